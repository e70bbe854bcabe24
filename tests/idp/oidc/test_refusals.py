"""Refusals are entries (invariant 11): who asked, for which attributes, and why nothing was given."""

import pytest
from structlog.testing import capture_logs

from consent.data_use import Channel, Outcome, UseEntry
from idp import limits
from tests.support.world import Arrival, World


def refusals(world: World, login: str = "lan") -> list[UseEntry]:
    """Return the refusals in a person's record, oldest first."""
    with world.transaction() as services:
        subject = world.subject_in(services, login)
        found = services.use_log.of_subject(subject, limit=200)
        assert services.use_log.is_intact(subject)
    return [one for one in reversed(found) if one.use.outcome is Outcome.REFUSED]


def reasons(world: World) -> list[tuple[str, str, str]]:
    return [
        (one.use.client_id, one.use.channel.value, one.use.detail["reason"])
        for one in refusals(world)
    ]


@pytest.fixture
def arrival(world: World) -> Arrival:
    made = world.arrive("portal", "openid name contact offline_access")
    made.tokens()
    return made


def withdraw(world: World, arrival: Arrival) -> None:
    with world.transaction() as services:
        (given,) = services.consents.of_subject(world.subject_in(services, "lan"))
    page = arrival.browser.open("/me/consents")
    arrival.browser.submit(page.form(f"/me/consents/{given.id}/withdraw"))


def test_whoever_asks_after_a_withdrawal_stands_in_the_record_once(
    world: World, arrival: Arrival
) -> None:
    tokens = arrival.tokens()
    withdraw(world, arrival)
    for _ in range(3):
        assert arrival.party.userinfo(tokens.access).status == 401
    assert reasons(world) == [("portal", "userinfo", "withdrawn")]
    (entry,) = refusals(world)
    assert {"name", "email", "phone_number"} <= set(entry.use.attributes)
    assert entry.use.grant_id
    # By whatever way it asks: one entry a grant, reason and day.
    assert arrival.party.introspect(tokens.access).body == {"active": False}
    assert arrival.party.refresh(tokens.refresh).status == 400
    assert len(refusals(world)) == 1
    world.tick(days=1)
    assert arrival.party.introspect(tokens.access).body == {"active": False}
    assert reasons(world)[1:] == [("portal", "introspection", "withdrawn")]
    # She reads who asked, what for, and why it got nothing.
    page = world.sign_in().open(f"/me/uses/{entry.position}").text
    assert "Asked for your data and was refused" in page
    assert "You had withdrawn your consent." in page


def test_each_way_to_be_refused_is_told_by_its_reason(world: World, arrival: Arrival) -> None:
    tokens = arrival.tokens()
    # Another's token, a refresh token used twice, a code used twice.
    stolen = world.party("clinic").introspect(tokens.access)
    assert stolen.body == {"active": False}
    assert "Use-Entry" not in stolen.headers
    assert arrival.party.refresh(tokens.refresh).status == 200
    assert arrival.party.refresh(tokens.refresh).status == 400
    second = world.arrive("portal", "openid name")
    second.tokens()
    assert second.party.try_redeem(second.attempt, second.code).status == 400
    assert second.party.userinfo(second.tokens().access).status == 401
    assert reasons(world) == [
        ("clinic", "introspection", "not-theirs"),
        ("portal", "id_token", "used-twice"),
        ("portal", "id_token", "used-twice"),
        ("portal", "userinfo", "ended"),
    ]


def test_a_code_that_is_too_late_and_a_no_are_told_too(world: World) -> None:
    late = world.arrive("portal", "openid name birth")
    code = late.code
    withdraw(world, late)
    assert late.party.try_redeem(late.attempt, code).status == 400
    denied = world.arrive("bank", "openid name", decision="deny")
    assert denied.error == "access_denied"
    assert reasons(world) == [
        ("portal", "userinfo", "withdrawn"),
        ("bank", "userinfo", "declined"),
    ]
    assert {"name", "birthdate"} <= set(refusals(world)[0].use.attributes)
    assert "name" in refusals(world)[1].use.attributes


def test_what_her_level_does_not_let_out_is_told_beside_what_it_does(world: World) -> None:
    arrival = world.arrive("portal", "openid name pid", person="minh")
    arrival.tokens()
    for _ in range(2):
        answer = arrival.party.userinfo(arrival.tokens().access)
        assert answer.status == 200
    # Only what was given is to be held, and compared.
    assert answer.headers["Use-Entry"].count(";c=") == 1
    withheld = answer.body.get("vn_withheld", {})
    found = refusals(world, "minh")
    assert [one.use.detail["reason"] for one in found] == ["level"] * bool(withheld)
    assert [set(one.use.attributes) for one in found] == [set(withheld)] * bool(withheld)
    assert withheld


def test_what_names_nobody_is_nobodys_entry(world: World, arrival: Arrival) -> None:
    access = arrival.tokens().access
    for forged in ("", "x", access[:-4] + "AAAA", "sen_at_" + "A" * 60):
        assert arrival.party.userinfo(forged).status == 401
        arrival.party.introspect(forged or "x")
    # Nor is a token that merely ran out.
    world.tick(minutes=11)
    assert arrival.party.userinfo(access).status == 401
    assert arrival.party.introspect(access).body == {"active": False}
    assert refusals(world) == []


def test_an_agency_cannot_flood_a_record(world: World) -> None:
    dead = []
    for _ in range(limits.REFUSALS.failures + 2):
        arrival = world.arrive("portal", "openid")
        dead.append(arrival.tokens().access)
        arrival.party.revoke(dead[-1])
    with capture_logs() as logged:
        for token in dead:
            assert world.party("portal").userinfo(token).status == 401
    assert len(refusals(world)) == limits.REFUSALS.failures
    assert [line["event"] for line in logged].count("refusals.many") == 1
    assert refusals(world)[0].use.channel is Channel.USERINFO
