"""The consent page says where each attribute comes from, and what has to happen before it is given."""

import pytest

from tests.support.browser import Browser, Page
from tests.support.world import World

PASSKEY = "Given only when you sign in with a passkey"
LEVEL = "Given only when your account has level 02"
NONE_HELD = "Sen ID holds none of yours at present"


def ask(
    world: World, scope: str, *, person: str = "lan", how: str = "password"
) -> tuple[Browser, Page]:
    browser = world.browser()
    page = browser.visit(world.party("basic").begin(scope).url)
    page = browser.follow(world.sign_in_on(browser, page, world.person(person), how))
    assert page.has_form("/consent")
    return browser, page


@pytest.mark.parametrize(("how", "waits"), [("password", True), ("passkey", False)])
def test_what_a_password_alone_does_not_open_is_marked(world: World, how: str, waits: bool) -> None:
    _, page = ask(world, "openid name pid", how=how)
    assert "Personal identification number" in page.text
    assert (PASSKEY in page.text) is waits


def test_what_is_marked_is_given_after_a_passkey_without_asking_again(world: World) -> None:
    browser, page = ask(world, "openid name pid")
    party = world.party("basic")
    browser.submit(page.form("/consent"), "consent-allow")
    arrival = world.arrive("basic", "openid name pid", browser=browser)
    assert "vn_pid" not in party.userinfo(arrival.tokens().access).body

    again = party.begin("openid name pid", prompt="login")
    world.tick()
    page = browser.visit(again.url)
    page = browser.follow(world.sign_in_on(browser, page, world.person(), "passkey"))
    assert "code=" in page.location
    arrival = world.arrive("basic", "openid name pid", browser=browser, how="passkey")
    told = party.userinfo(arrival.tokens().access).body
    assert told["vn_pid"] == world.person().number


def test_an_account_of_level_01_is_told_that_more_is_needed(world: World) -> None:
    _, page = ask(world, "openid name pid", person="hoa")
    assert LEVEL in page.text
    assert PASSKEY not in page.text


def test_each_persons_own_sources_are_named(world: World) -> None:
    _, page = ask(world, "openid name")
    assert "from the national population database" in page.text
    _, page = ask(world, "openid name contact", person="jean")
    assert "from the immigration database" in page.text
    assert "from the national population database" not in page.text
    assert "as you stated it yourself" in page.text
    assert NONE_HELD in page.text


def test_no_mark_where_all_is_given_now(world: World) -> None:
    _, page = ask(world, "openid name birth email", how="passkey")
    for mark in (PASSKEY, LEVEL, NONE_HELD):
        assert mark not in page.text
