"""Coming back after ways to sign in were lost: by two ways and a wait, and by an office."""

from typing import Any

import pytest

from accounts.recoveries import Way
from idp import delivery
from tests.idp.test_alarm import link_in, say_not_me
from tests.idp.test_delivery import mail
from tests.support.app_phone import phone_of
from tests.support.browser import Browser, Page, as_json
from tests.support.phone import Phone
from tests.support.world import World

CODES = [f"{number:010}" for number in range(1, 21)]


@pytest.fixture
def kind() -> str:
    return "sqlite"


@pytest.fixture(autouse=True)
def card(world: World) -> None:
    account = world.account()
    hashes = [world.installation.hashing.hash_unchecked(code) for code in CODES]
    with world.transaction() as services:
        services.second_factors.make_card(account, hashes)


def sign_in_by_card(world: World, browser: Browser | None = None) -> Browser:
    visitor = browser or world.browser()
    form = visitor.open("/sign-in").form("/sign-in/password")
    page = visitor.submit(form, login="lan", password=world.person().password)
    form = page.form("/sign-in/code")
    position = int(page.text.split("Code number ")[1].split()[0])
    page = visitor.submit(form, code=CODES[position - 1])
    assert page.status == 303, page.text
    return visitor


def new_passkey(world: World, browser: Browser, at: str) -> tuple[Page, Phone]:
    phone = Phone(world.issuer)
    options = browser.call(f"{at}/passkey/options" if at == "/activate" else f"{at}/options")
    if options.status != 200:
        return options, phone
    credential = phone.register(as_json(options)["publicKey"])
    return browser.call(f"{at}/passkey", {"credential": credential, "name": "new"}), phone


def begin(browser: Browser) -> Page:
    page = browser.open("/me/recovery")
    return browser.submit(page.form("/me/recovery/begin"))


def told(world: World) -> list[str]:
    subject = world.subject()
    with world.transaction() as services:
        return [one.kind.value for one in services.notices.of_subject(subject)]


def test_two_ways_and_three_days_void_everything_old(world: World) -> None:
    phone_of(world)
    browser = sign_in_by_card(world)
    refresh = world.arrive("portal", "openid name offline_access", browser=browser).tokens()
    begin(browser)
    with mail(world) as inbox:
        delivery.deliver(world.installation)
    assert {letter["To"] for letter in inbox.letters()} == {"lan@example.vn"}
    # The other address is told by the other way, once a gateway takes it; her page says it once.
    assert told(world).count("recovery-begun") == 1
    world.tick(hours=71)
    browser = sign_in_by_card(world)
    assert new_passkey(world, browser, "/me/recovery")[0].status == 403
    world.tick(hours=1)
    browser = sign_in_by_card(world)
    other = sign_in_by_card(world)
    answer, phone = new_passkey(world, browser, "/me/recovery")
    assert (answer.status, as_json(answer)["location"]) == (200, "/me/passkeys")
    assert browser.open("/me").status == 200
    assert other.open("/me").status == 303
    assert world.party("portal").refresh(refresh.refresh).status == 400
    assert world.browser().use_passkey(world.person().passkey).status == 403
    assert world.browser().use_passkey(phone).status == 200
    form = world.browser()
    page = form.submit(
        form.open("/sign-in").form("/sign-in/password"),
        login="lan", password=world.person().password,
    )  # fmt: skip
    assert page.status == 401
    assert told(world).count("recovered") == 1
    account = world.account()
    with world.transaction() as services:
        assert services.phones.of_account(account) == []
    assert new_passkey(world, browser, "/me/recovery")[0].status == 403


@pytest.mark.parametrize("stop", ["passkey", "button", "link"])
def test_the_wait_is_stopped_by_whoever_still_has_a_way(world: World, stop: str) -> None:
    begin(sign_in_by_card(world))
    if stop == "passkey":
        world.sign_in(how="passkey")
    elif stop == "button":
        browser = sign_in_by_card(world)
        browser.submit(browser.open("/me/recovery").form("/me/recovery/cancel"))
    else:
        with mail(world) as inbox:
            delivery.deliver(world.installation)
        bodies = [letter.get_payload(decode=True) for letter in inbox.letters()]
        letters = [body.decode() for body in bodies if isinstance(body, bytes)]
        say_not_me(
            world.browser(), link_in(world, next(one for one in letters if "khôi phục" in one))
        )
    world.tick(hours=73)
    browser = sign_in_by_card(world)
    assert new_passkey(world, browser, "/me/recovery")[0].status == 403
    if stop == "link":
        # Whoever has the ways may begin anew, and each time she is told and can stop it.
        begin(browser)
        assert told(world).count("recovery-begun") == 2
    world.sign_in(how="passkey")


def test_steps_cannot_be_skipped(world: World) -> None:
    by_password = world.browser()
    account = world.account()
    with world.transaction() as services:
        services.second_factors.remove_card(account)
    by_password = world.sign_in()
    for path in ("/me/recovery/options", "/me/recovery/passkey"):
        assert by_password.call(path, {}).status == 403
    assert not by_password.open("/me/recovery").has_form("/me/recovery/begin")
    assert world.browser().call("/me/recovery/passkey", {}).status == 403
    with world.transaction() as services:
        assert services.recoveries.open_of(account) is None
        assert not services.recovering.finish(account, Way.OFFICE)


def at_the_desk(world: World) -> tuple[Browser, str]:
    subject, account = world.subject("minh"), world.account()
    with world.transaction() as services:
        services.officers.appoint(subject, "Công an phường Mẫu")
    return world.sign_in("minh", how="passkey"), account


def post_at_the_desk(world: World, what: str, ground: str) -> Page:
    officer, account = at_the_desk(world)
    form = officer.open(f"/desk/accounts/{account}").form(f"/desk/accounts/{account}/recover")
    fields = form.values | {"ground": ground}
    return officer.post(f"/desk/accounts/{account}/{what}", fields)


def test_an_office_gives_a_code_to_who_is_present(world: World) -> None:
    thief = world.sign_in(how="passkey")
    page = post_at_the_desk(world, "recover", "CCCD 0123, đã đối chiếu khuôn mặt")
    code = page.html.split('id="activation-code">')[1].split("<")[0]
    world.secrets.append(code)
    assert thief.open("/me").status == 303
    assert "recovery-begun" in told(world)
    browser = world.browser()
    form = browser.open("/activate").form("/activate")
    assert browser.submit(form, login="lan", code=code).status == 303
    answer, phone = new_passkey(world, browser, "/activate")
    assert answer.status == 200, answer.text
    assert world.browser().use_passkey(world.person().passkey).status == 403
    assert world.browser().use_passkey(phone).status == 200
    # The code is spent, and her own record says who looked and gave it.
    again = world.browser()
    form = again.open("/activate").form("/activate")
    assert again.submit(form, login="lan", code=code).status == 401
    assert "Công an phường Mẫu" in browser.open("/me/uses").text


def test_a_code_given_to_an_impostor_is_stopped_by_the_notice(world: World) -> None:
    page = post_at_the_desk(world, "recover", "CCCD 0123, đã đối chiếu khuôn mặt")
    code = page.html.split('id="activation-code">')[1].split("<")[0]
    world.secrets.append(code)
    impostor = world.browser()
    form = impostor.open("/activate").form("/activate")
    impostor.submit(form, login="lan", code=code)
    with mail(world) as inbox:
        delivery.deliver(world.installation)
    bodies: list[Any] = [letter.get_payload(decode=True) for letter in inbox.letters()]
    letter = next(body.decode() for body in bodies if "khôi phục" in body.decode())
    say_not_me(world.browser(), link_in(world, letter))
    assert new_passkey(world, impostor, "/activate")[0].status == 400
    assert impostor.submit(form, login="lan", code=code).status in {401, 403}
    assert world.browser().use_passkey(world.person().passkey).status == 200


def test_without_evidence_in_writing_an_officer_gives_nothing(world: World) -> None:
    assert post_at_the_desk(world, "recover", "ja").status == 422
    assert post_at_the_desk(world, "card", "").status == 422
    assert "recovery-begun" not in told(world)


def test_an_officer_prints_a_new_code_card_once(world: World) -> None:
    page = post_at_the_desk(world, "card", "CCCD 0123, đã đối chiếu khuôn mặt")
    assert page.status == 200
    codes = [part.split("<")[0] for part in page.html.split("<li>")[1:] if part[:5].isdigit()]
    assert len(codes) == 20
    world.secrets += codes
    assert "sign-in-changed" in told(world)
    visitor = world.browser()
    form = visitor.open("/sign-in").form("/sign-in/password")
    page = visitor.submit(form, login="lan", password=world.person().password)
    assert visitor.submit(page.form("/sign-in/code"), code=codes[0]).status == 303


def test_en01_the_page_for_the_lost_asks_for_nothing(world: World) -> None:
    page = world.browser().open("/recover")
    assert page.status == 200
    assert not page.forms
