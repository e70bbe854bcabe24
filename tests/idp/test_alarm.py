"""Notices of sign-ins, and "this was not me": what ends, what is left, and how it is settled."""

import re

import pytest

from accounts.incidents import Incident
from idp import delivery, dispatch
from tests.idp.test_delivery import mail
from tests.support.back_channel import listening
from tests.support.browser import Browser
from tests.support.world import World


@pytest.fixture
def kind() -> str:
    return "sqlite"


def link_in(world: World, letter: str) -> str:
    found = re.search(r"https://id\.sen\.example(/not-me/\S+)", letter)
    assert found, letter
    world.secrets.append(found[1])
    return found[1]


def letters(world: World) -> list[str]:
    with mail(world) as inbox:
        delivery.deliver(world.installation)
        bodies = [one.get_payload(decode=True) for one in inbox.letters()]
    return [body.decode() for body in bodies if isinstance(body, bytes)]


def say_not_me(browser: Browser, link: str) -> str:
    page = browser.submit(browser.open(link).form(link))
    assert page.status == 200, page.text
    return page.text


def incidents(world: World) -> list[Incident]:
    account = world.account()
    with world.transaction() as services:
        return services.incidents.of_account(account)


def test_a_browser_that_is_known_causes_no_notice_and_a_new_one_does(world: World) -> None:
    browser = world.sign_in()
    assert len(letters(world)) == 1
    browser.submit(browser.open("/logout").form("/logout"), "logout-confirm")
    world.sign_in(browser=browser)
    assert letters(world) == []
    # Another person's sign-in there is new to her, and takes nothing from the first.
    world.sign_in("minh", browser=browser)
    assert len(letters(world)) == 1
    world.sign_in(browser=browser)
    assert letters(world) == []
    world.sign_in()
    (letter,) = letters(world)
    assert "chưa từng sử dụng" in letter
    assert "Chrome" not in letter
    world.tick(days=401)
    world.sign_in(browser=browser)
    assert len(letters(world)) == 1


def test_the_link_ends_everything_and_takes_no_strong_way_away(world: World) -> None:
    with listening(world, "basic") as channel:
        thief = world.arrive("basic", "openid name", how="passkey")
        tokens = thief.tokens()
        (letter,) = letters(world)
        link = link_in(world, letter)
        anybody = world.browser()
        # Mail is opened by machines too: looking changes nothing.
        assert anybody.open(link).status == 200
        assert thief.party.is_alive(tokens.access)
        number = re.search(r"[0-9A-F]{4}-[0-9A-F]{4}", say_not_me(anybody, link))
        assert number
        assert not thief.party.is_alive(tokens.access)
        assert thief.browser.open("/me").status == 303
        assert dispatch.dispatch(world.installation)["delivered"] == 1
        assert channel.checked("basic")[0]["sid"] == tokens.claims["sid"]
        # Once is once.
        assert number[0] in say_not_me(world.browser(), link)
        (incident,) = incidents(world)
        assert incident.number == number[0]
        refused = world.browser()
        form = refused.open("/sign-in").form("/sign-in/password")
        page = refused.submit(form, login="lan", password=world.person().password)
        assert page.status == 401
        assert "this was not me" in page.text
        owner = world.sign_in(how="passkey")
        again = world.arrive("basic", "openid name", browser=owner, how="passkey")
        assert again.party.is_alive(again.tokens().access)


def test_consents_pause_and_count_again_once_it_is_settled(world: World) -> None:
    browser = world.arrive("basic", "openid name", how="passkey").browser
    notice = browser.open("/me/notices")
    (link,) = set(re.findall(r'href="(/not-me/[^"]+)"', notice.html))
    world.secrets.append(link)
    say_not_me(browser, link)
    assert browser.open("/me").status == 303
    browser = world.sign_in(how="passkey", browser=browser)
    assert "Paused until" in browser.open("/me/consents").text
    party = world.party("basic")
    attempt = party.begin("openid name", prompt="none")
    answer = browser.open(attempt.url)
    assert party.error_from(attempt, answer.location) == "consent_required"
    (incident,) = incidents(world)
    action = f"/me/incidents/{incident.id}/settle"
    world.tick(minutes=6)
    page = browser.submit(browser.open("/me/incidents").form(action))
    assert page.location == "/sign-in?next=/me/incidents"
    world.sign_in(how="passkey", browser=browser)
    page = browser.submit(browser.open("/me/incidents").form(action))
    assert "Settled" in page.text
    attempt = party.begin("openid name", prompt="none")
    answer = browser.open(attempt.url)
    assert party.code_from(attempt, answer.location)
    # What was trusted before the incident is new again after it.
    assert world.sign_in(how="passkey").open("/me/notices").status == 200


@pytest.mark.parametrize("change", ["cut", "other", "nothing", "foreign"])
def test_a_forged_link_opens_nothing(world: World, change: str) -> None:
    world.sign_in()
    (letter,) = letters(world)
    link = link_in(world, letter)
    forged = {
        "cut": link[:-4],
        "other": link[:8] + ("A" if link[8] != "A" else "B") + link[9:],
        "nothing": "/not-me/AAAA",
        "foreign": "/not-me/%C3%A9=",
    }[change]
    assert world.browser().open(forged).status == 404
    assert incidents(world) == []


def test_an_old_link_opens_nothing(world: World) -> None:
    world.sign_in()
    (letter,) = letters(world)
    world.tick(days=31)
    assert world.browser().open(link_in(world, letter)).status == 404


def test_the_desk_sees_it_and_settles_it_in_writing(world: World) -> None:
    world.sign_in()
    (letter,) = letters(world)
    say_not_me(world.browser(), link_in(world, letter))
    (incident,) = incidents(world)
    subject = world.subject("minh")
    with world.transaction() as services:
        services.officers.appoint(subject, "Công an phường Mẫu")
    officer = world.sign_in("minh", how="passkey")
    page = officer.open("/desk")
    assert incident.number in page.text
    page = officer.open(f"/desk/accounts/{incident.account_id}")
    action = f"/desk/accounts/{incident.account_id}/incidents/{incident.id}"
    page = officer.submit(page.form(action), ground="Đã gặp người dân, máy tính dùng chung.")
    assert page.status == 303
    (incident,) = incidents(world)
    assert incident.finding == "Đã gặp người dân, máy tính dùng chung."
    assert world.sign_in().open("/me/incidents").text.count("máy tính dùng chung") == 1
