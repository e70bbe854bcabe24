"""Attacks on mandates: nobody takes, widens, sees or finds what is not hers (security cases OA)."""

import pytest

from accounts.account import OPERATOR, LockReason
from tests.support.mandates import (
    YEAR,
    give,
    given_by,
    hold,
    mandate_id,
    press,
    state,
    strong,
)
from tests.support.stores import KINDS
from tests.support.world import World


@pytest.fixture(params=KINDS[:1])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


NOBODY = {"name": "Không Có Ai", "personal_number": "999190999999"}


@pytest.mark.parametrize(
    "stated",
    [
        NOBODY,
        {"name": "Trần Văn Khác", "personal_number": "999085000002"},
        {"name": "Phạm Minh Tâm", "personal_number": "999085000002"},
    ],
    ids=["nobody", "another-name", "anothers-number"],
)
def test_en01_an_offer_tells_nobody_whether_there_is_such_a_person(
    world: World, stated: dict[str, str]
) -> None:
    lan = strong(world, "lan")
    right = give(world, lan, "minh")
    first = given_by(world, "lan")[0]
    world.tick()
    page = give(world, lan, "minh", **stated)
    (second,) = set(given_by(world, "lan")) - {first}
    assert page.status == right.status == 200
    assert state(world, second) == state(world, first) == "offered"

    def told(mandate: str, name: str) -> str:
        text = lan.open(f"/me/mandates/{mandate}").text
        return text.replace(mandate, "").replace(name, "")

    assert told(second, stated["name"]) == told(first, world.person("minh").name)
    minh = strong(world, "minh").open("/me/mandates").text
    assert minh.count("Offered to you") == 1


def test_en01_offers_are_limited_whatever_they_meet(world: World) -> None:
    lan = strong(world, "lan")
    answers = [give(world, lan, "minh", **(NOBODY if n % 2 else {})).status for n in range(11)]
    assert answers == [200] * 10 + [429]


def test_oa05_an_offer_is_accepted_by_nobody_else(world: World) -> None:
    give(world, strong(world, "lan"), "minh")
    offered = mandate_id(world, "minh")
    for other in ("lan", "nga"):
        browser = strong(world, other)
        assert press(browser, offered, "accept").status == 409
    assert strong(world, "nga").open(f"/me/mandates/{offered}").status == 404
    for what in ("revoke", "narrow", "confirm"):
        assert press(strong(world, "nga"), offered, what).status == 404
    assert state(world, offered) == "offered"


def test_oa05_an_offer_is_accepted_once(world: World) -> None:
    proxy = hold(world, strong(world, "lan"), "minh")
    press(world.sign_in("lan"), proxy, "revoke")
    assert press(strong(world, "minh"), proxy, "accept").status == 409
    assert state(world, proxy) == "revoked"


@pytest.mark.parametrize("how", ["password", "old"])
def test_wa10_giving_and_accepting_need_a_passkey_a_moment_ago(world: World, how: str) -> None:
    give(world, strong(world, "lan"), "minh")
    offered = mandate_id(world, "minh")
    browsers = {}
    for login in ("lan", "minh"):
        way = "password" if how == "password" else "passkey"
        browsers[login] = world.sign_in(login, how=way)
    if how == "old":
        world.tick(minutes=6)
    page = browsers["lan"].open("/me/mandates/give?type=proxy&under=")
    assert (page.status, page.location) == (303, "/sign-in?next=/me/mandates")
    assert press(browsers["minh"], offered, "accept").status == 303
    assert state(world, offered) == "offered"


def test_oa04_what_is_not_offered_to_her_cannot_be_sent_along(world: World) -> None:
    lan = strong(world, "lan")
    form = lan.open("/me/mandates/give?type=proxy&under=").form("/me/mandates/give")
    person = world.person("minh")
    stated = {"name": person.name, "personal_number": person.number, "lasts": YEAR}
    for bad in (
        {"services": ["*"]},
        {"services": ["account-issuing"]},
        {"services": ["nothing"]},
        {"services": []},
        {"services": ["banking"], "lasts": "99999"},
        {"services": ["banking"], "amount_limit": "-5"},
        {"services": ["banking"], "amount_limit": "9" * 16},
    ):
        assert lan.submit(form, **{**stated, **bad}).status == 422, bad
    # Another's mandate is no basis, nor is a type that does not fit.
    other = mandate_id(world, "lan", "legal_rep")
    nga = strong(world, "nga")
    assert nga.open(f"/me/mandates/give?type=org_admin&under={other}").status == 403
    assert lan.open(f"/me/mandates/give?type=proxy&under={other}").status == 403
    assert lan.open("/me/mandates/give?type=org_admin&under=").status == 403
    assert lan.submit(
        form, **{**stated, "services": ["banking"], "principal_id": world.subject("nga"),
                 "granted_by": world.subject("nga"), "state": "active", "type": "proxy"},
    ).status == 200  # fmt: skip
    given = given_by(world, "lan")[0]
    with world.transaction() as services:
        found = services.mandates.find(given)
    assert found is not None
    assert (found.principal_id, found.state.value) == (world.subject("lan"), "offered")


def test_a_locked_or_low_account_gives_and_takes_nothing(world: World) -> None:
    hoa = world.sign_in("hoa")
    assert hoa.open("/me/mandates/give?type=proxy&under=").status == 403
    proxy = hold(world, strong(world, "lan"), "minh")
    account = world.account("lan")
    with world.transaction() as services:
        services.standing.lock(account, LockReason.HOLDER_REQUEST, OPERATOR)
    assert state(world, proxy) == "suspended"
    with world.transaction() as services:
        services.standing.unlock(account, LockReason.HOLDER_REQUEST, OPERATOR)
    assert state(world, proxy) == "active"


@pytest.mark.parametrize("what", ["", "/accept", "/revoke", "/agree", "/confirm", "/narrow"])
@pytest.mark.parametrize("identifier", ["%00", "x" * 300, "%E2%80%AE", "f" * 32])
def test_oa01_an_odd_or_unknown_mandate_is_not_found(
    world: World, what: str, identifier: str
) -> None:
    browser = strong(world, "lan")
    if not what:
        assert browser.open(f"/me/mandates/{identifier}").status == 404
        return
    assert press(browser, identifier, what[1:]).status in {404, 405, 409}
