"""Guessing (security cases EN)."""

import re

import pytest

from tests.support.browser import Browser, Page
from tests.support.world import World


def guess(browser: Browser, login: str, password: str) -> Page:
    form = browser.open("/sign-in").form("/sign-in/password")
    return browser.submit(form, login=login, password=password)


def activate(browser: Browser, login: str, code: str) -> Page:
    return browser.submit(browser.open("/activate").form("/activate"), login=login, code=code)


def without_the_typed(page: Page, *typed: str) -> str:
    text = page.html
    for word in typed:
        text = text.replace(word, "")
    return re.sub(r"[0-9a-f]{32,}", "", text)


@pytest.mark.parametrize("unknown", ["nobody", "999000000000", "x" * 200, "jean'--"])
def test_en01_a_wrong_password_looks_the_same_whether_or_not_she_exists(
    world: World, unknown: str
) -> None:
    known, other = guess(world.browser(), "lan", "wrong"), guess(world.browser(), unknown, "wrong")
    assert known.status == other.status == 401
    assert without_the_typed(known, "lan") == without_the_typed(
        other, unknown.replace("'", "&#39;")
    ).replace("lan", "")


def test_en01_an_account_without_password_or_not_yet_activated_looks_the_same(world: World) -> None:
    pages = [guess(world.browser(), login, "wrong") for login in ("tam", "lan", "nobody")]
    assert {page.status for page in pages} == {401}


def test_en01_activation_tells_nobody_who_has_an_account(world: World) -> None:
    pages = [activate(world.browser(), login, "WRONG-CODE") for login in ("tam", "lan", "nobody")]
    assert {page.status for page in pages} == {401}


def test_en02_after_ten_wrong_passwords_the_right_one_is_refused_too(world: World) -> None:
    browser, person = world.browser(), world.person("hoa")
    for _ in range(10):
        assert guess(browser, "hoa", "wrong").status == 401
    assert guess(browser, "hoa", person.password).status == 429
    assert guess(world.browser("192.0.2.7"), "hoa", person.password).status == 429
    world.tick(minutes=15)
    assert guess(browser, "hoa", person.password).status == 303


def test_en02_a_right_password_is_never_slowed_by_a_few_wrong_ones(world: World) -> None:
    browser, person = world.browser(), world.person("hoa")
    for _ in range(6):
        guess(browser, "hoa", "wrong")
    assert guess(browser, "hoa", person.password).status == 303


@pytest.mark.parametrize(
    "spellings",
    [
        [
            "999190000001",
            "999 190 000 001",
            "999-190-000-001",
            "999.190.000.001",
            "９９９190000001",
        ],
        ["lan", "LAN", " lan ", "ｌａｎ"],
        ["lan", "999190000001"],
    ],
    ids=["number", "login", "both"],
)
def test_en02_guesses_at_one_account_count_together_however_it_is_spelled(
    world: World, spellings: list[str]
) -> None:
    statuses = [
        guess(world.browser(f"192.0.2.{n}"), spellings[n % len(spellings)], "wrong").status
        for n in range(11)
    ]
    assert statuses[-1] == 429


def test_en02_one_address_cannot_try_everybody(world: World) -> None:
    browser = world.browser("192.0.2.8")
    statuses = [guess(browser, f"nobody{n}", "x").status for n in range(101)]
    assert statuses[99] == 401
    assert statuses[100] == 429


def test_en02_ten_wrong_activation_codes_stop_the_right_one(world: World) -> None:
    browser = world.browser()
    for _ in range(10):
        assert activate(browser, "tam", "WRONG-CODE").status == 401
    assert activate(browser, "tam", "SEN-2345-6789").status == 429


def test_en05_locking_the_password_path_leaves_the_passkey(world: World) -> None:
    attacker = world.browser("192.0.2.66")
    for _ in range(12):
        guess(attacker, "lan", "wrong")
    assert world.browser().use_passkey(world.person().passkey).status == 200


def test_en07_one_person_has_another_sub_in_each_sector(world: World) -> None:
    subs = {
        party: world.arrive(party, "openid").tokens().claims["sub"]
        for party in ("tax", "customs", "basic", "clinic")
    }
    assert subs["tax"] == subs["customs"]
    assert len(set(subs.values())) == 3


def test_en07_no_sub_tells_the_personal_number(world: World) -> None:
    import hashlib  # noqa: PLC0415

    sub = world.arrive("basic", "openid").tokens().claims["sub"]
    number = world.person().number
    assert number not in sub
    for algorithm in ("md5", "sha1", "sha256", "sha512"):
        assert hashlib.new(algorithm, number.encode()).hexdigest() not in sub


def test_in05_a_password_of_a_megabyte_is_refused_quickly(world: World) -> None:
    assert guess(world.browser(), "lan", "x" * 2**20).status == 413


@pytest.mark.parametrize("password", ["x" * 2000, "\0", "é" * 1025, "", "\u202e", "😀" * 300])
def test_in05_an_odd_password_is_just_wrong(world: World, password: str) -> None:
    assert guess(world.browser(), "lan", password).status == 401


def test_wa14_passkey_options_are_the_same_for_everybody(world: World) -> None:
    shapes = set()
    for _ in range(3):
        page = world.browser().call("/sign-in/passkey/options")
        shapes.add(re.sub(r'"challenge":"[^"]+"', "", page.html))
    assert len(shapes) == 1
