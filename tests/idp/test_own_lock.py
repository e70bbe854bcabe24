"""Locking one's own account: from any signed-in browser, by a code of the card, and unlocking it."""

from typing import Any

import pytest

from accounts.account import Actor, ActorKind, LockReason
from tests.support.browser import Browser, Page, as_json
from tests.support.world import World

CODES = [f"{number:010}" for number in range(1, 21)]


@pytest.fixture
def kind() -> str:
    return "sqlite"


def give_card(world: World, login: str = "lan") -> None:
    account = world.account(login)
    hashes = [world.installation.hashing.hash_unchecked(code) for code in CODES]
    with world.transaction() as services:
        services.second_factors.make_card(account, hashes)


def lock_by_card(world: World, login: str, position: str, code: str) -> Page:
    browser = world.browser()
    form = browser.open("/lock").form("/lock")
    return browser.submit(form, login=login, position=position, code=code)


def unlock(world: World, browser: Browser) -> Page:
    options = as_json(browser.call("/sign-in/passkey/options"))
    credential = world.person().passkey.sign(options["publicKey"])
    return browser.call("/unlock/passkey", {"credential": credential})


def test_one_press_locks_and_a_passkey_opens_it_again(world: World) -> None:
    arrival = world.arrive("basic")
    tokens = arrival.tokens()
    browser = arrival.browser
    page = browser.follow(browser.submit(browser.open("/me/lock").form("/me/lock")))
    assert page.path == "/locked"
    assert not arrival.party.is_alive(tokens.access)
    assert browser.open("/me").status == 303
    refused = world.browser().use_passkey(world.person().passkey)
    assert refused.status == 403
    assert "/unlock" in refused.text
    opened = unlock(world, browser)
    assert (opened.status, as_json(opened)["location"]) == (200, "/me")
    page = browser.open("/me/notices")
    assert "locked at your own wish" in page.text
    assert "unlocked with a passkey" in page.text
    # Whatever is open already is not opened again.
    assert unlock(world, browser).status == 403


@pytest.mark.parametrize("by", ["officer", "authority"])
def test_a_passkey_opens_no_lock_that_an_office_set(world: World, by: str) -> None:
    account = world.account()
    reason = LockReason.HOLDER_REQUEST if by == "officer" else LockReason.AUTHORITY_ORDER
    with world.transaction() as services:
        services.standing.lock(account, reason, Actor(ActorKind.OFFICER, "0" * 32), ground="x")
    assert unlock(world, world.browser()).status == 403
    with world.transaction() as services:
        assert services.accounts.account(account).locks == {reason}


def test_own_lock_beside_another_leaves_the_other(world: World) -> None:
    browser, account = world.sign_in(), world.account()
    browser.submit(browser.open("/me/lock").form("/me/lock"))
    with world.transaction() as services:
        services.accounts.lock(account, LockReason.AUTHORITY_ORDER)
    assert unlock(world, browser).status == 403
    assert browser.open("/me").status == 303


def test_a_code_of_the_card_locks_once_and_without_a_sign_in(world: World) -> None:
    give_card(world)
    browser = world.sign_in(how="passkey")
    assert lock_by_card(world, "lan", "7", "00000 00007").status == 200
    assert browser.open("/me").status == 303
    unlock(world, browser)
    assert lock_by_card(world, "lan", "7", CODES[6]).status == 401
    assert browser.open("/me").status == 200


@pytest.mark.parametrize(
    ("login", "position", "code"),
    [
        ("lan", "1", "9999999999"),
        ("lan", "2", CODES[0]),
        ("lan", "21", CODES[0]),
        ("lan", "x", CODES[0]),
        ("minh", "1", CODES[0]),
        ("nobody", "1", CODES[0]),
    ],
)
def test_en01_every_other_try_is_answered_alike(
    world: World, login: str, position: str, code: str
) -> None:
    give_card(world)
    page = lock_by_card(world, login, position, code)
    assert page.status == 401
    assert "The code is not right, or was used before." in page.text
    with world.transaction() as services:
        assert services.accounts.account(_account(services, "lan")).is_open


def test_en02_guessing_stops_and_counts_as_guessing_at_the_sign_in(world: World) -> None:
    give_card(world)
    for _ in range(10):
        assert lock_by_card(world, "lan", "1", "9999999999").status == 401
    assert lock_by_card(world, "lan", "1", CODES[0]).status == 429
    # EN05: the passkey still works.
    assert world.sign_in(how="passkey").open("/me").status == 200


def _account(services: Any, login: str) -> str:
    found = services.accounts.find_of_subject(services.subjects.find_for_sign_in(login))
    return str(found.id)
