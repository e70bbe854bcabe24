"""Mandates as people manage them: giving, answering, narrowing, ending, and who sees what."""

from datetime import timedelta

import pytest

from accounts.account import OPERATOR, LockReason
from accounts.mandates import MandateType
from tests.support.cast import COMPANY
from tests.support.mandates import (
    YEAR,
    give,
    given_by,
    hold,
    mandate_id,
    organisation,
    press,
    state,
    strong,
)
from tests.support.stores import KINDS
from tests.support.world import World


@pytest.fixture(params=KINDS[:1])
def kind(request: pytest.FixtureRequest) -> str:
    """Pages; what depends on the database is tried on both in tests/accounts and tests/races."""
    return str(request.param)


def rep(world: World) -> str:
    return mandate_id(world, "lan", "legal_rep")


def follow(world: World, *logins: str, joint: bool | None = None) -> None:
    """Let the register of enterprises name these representatives."""
    company = organisation(world)
    with world.transaction() as services:
        services.mandating.follow_representatives(
            company, {world.subject_in(services, one) for one in logins}, "enterprises", joint=joint
        )
    world.tick()


def test_a_proxy_is_offered_accepted_and_seen_by_both(world: World) -> None:
    lan = strong(world, "lan")
    page = give(world, lan, "minh", amount_limit="5.000.000")
    assert "your offer waits" in page.text
    minh = strong(world, "minh")
    page = minh.open("/me/mandates")
    assert "Offered to you" in page.text
    assert world.person("lan").name in page.text
    offered = mandate_id(world, "minh")
    assert state(world, offered) == "offered"
    assert press(minh, offered, "accept").status == 200
    assert state(world, offered) == "active"
    for browser in (lan, minh):
        page = browser.open(f"/me/mandates/{offered}")
        assert "Accepted" in page.text
        assert "5,000,000 đồng" in page.text
        assert "Handling your public-service request" in page.text
    with world.transaction() as services:
        found = services.mandates.find(offered)
    assert found is not None
    assert world.clock is not None
    assert found.valid_to is not None
    assert found.valid_to - world.clock() <= timedelta(days=365)


def test_what_is_declined_or_lapses_never_counts(world: World) -> None:
    lan, minh = strong(world, "lan"), strong(world, "minh")
    give(world, lan, "minh")
    declined = mandate_id(world, "minh")
    assert press(minh, declined, "decline").status == 200
    assert state(world, declined) == "declined"
    assert press(minh, declined, "accept").status == 409
    world.tick()
    give(world, lan, "minh")
    lapsed = mandate_id(world, "minh")
    world.tick(days=15)
    assert press(strong(world, "minh"), lapsed, "accept").status == 409
    assert state(world, lapsed) == "expired"


@pytest.mark.parametrize("side", ["lan", "minh"])
def test_either_side_ends_it_at_once(world: World, side: str) -> None:
    proxy = hold(world, strong(world, "lan"), "minh")
    # Ending takes rights away: an ordinary sign-in is enough.
    assert press(world.sign_in(side), proxy, "revoke").status == 200
    assert state(world, proxy) == "revoked"
    assert press(strong(world, side), proxy, "revoke").status == 409


def test_a_representative_appoints_who_names_members(world: World) -> None:
    company = organisation(world)
    admin = hold(world, strong(world, "lan"), "minh", "org_admin", rep(world), services=("*",))
    minh = strong(world, "minh")
    member = hold(
        world, minh, "nga", "org_member", admin, lasts="30", amount_limit="1000000",
        services=("public-service",),
    )  # fmt: skip
    with world.transaction() as services:
        (found,) = services.mandates.held_by(world.subject_in(services, "nga"))
    assert (found.id, found.principal_id, found.type) == (member, company, MandateType.ORG_MEMBER)
    assert found.terms.scopes == {"public-service"}
    # The representative sees and ends what the administrator gave.
    page = strong(world, "lan").open("/me/mandates")
    assert world.person("nga").name in page.text
    assert press(strong(world, "lan"), member, "revoke").status == 200
    # A member names nobody: she was given nothing to pass on.
    nga = strong(world, "nga")
    assert nga.open(f"/me/mandates/give?type=org_member&under={member}").status == 403


def test_when_the_representative_is_replaced_what_hangs_below_waits(world: World) -> None:
    admin = hold(world, strong(world, "lan"), "minh", "org_admin", rep(world), services=("*",))
    member = hold(world, strong(world, "minh"), "nga", "org_member", admin)
    follow(world, "nga")
    assert [state(world, one) for one in (admin, member)] == ["suspended", "suspended"]
    page = strong(world, "minh").open(f"/me/mandates/{admin}")
    assert "until another representative confirms" in page.text
    nga = strong(world, "nga")
    assert nga.open(f"/me/mandates/{admin}").has_form(f"/me/mandates/{admin}/confirm")
    assert press(nga, admin, "confirm").status == 200
    assert [state(world, one) for one in (admin, member)] == ["active", "active"]
    # Nobody is left: the administrator's page says so.
    follow(world)
    assert state(world, admin) == "suspended"
    page = strong(world, "minh").open(f"/me/mandates/{admin}")
    assert "names no representative at present" in page.text


def test_joint_representatives_appoint_together(world: World) -> None:
    follow(world, "lan", "minh", joint=True)
    page = give(world, strong(world, "lan"), "nga", "org_admin", rep(world), services=("*",))
    assert "asked to agree first" in page.text
    (proposed,) = given_by(world, "lan")
    assert state(world, proposed) == "proposed"
    nga = strong(world, "nga")
    assert COMPANY not in nga.open("/me/mandates").text
    assert nga.open(f"/me/mandates/{proposed}").status == 404
    assert press(nga, proposed, "accept").status == 409
    assert press(strong(world, "lan"), proposed, "agree").status == 409
    minh = strong(world, "minh")
    assert minh.open("/me/mandates").has_form(f"/me/mandates/{proposed}/agree")
    assert press(minh, proposed, "agree").status == 200
    assert state(world, proposed) == "offered"
    assert press(strong(world, "nga"), proposed, "accept").status == 200
    assert state(world, proposed) == "active"


def test_a_joint_representative_without_an_account_is_not_passed_over(world: World) -> None:
    company = organisation(world)
    with world.transaction() as services:
        people = {world.subject_in(services, "lan")}
        services.mandating.follow_representatives(
            company, people, "enterprises", joint=True, named=2
        )
    world.tick()
    give(world, strong(world, "lan"), "nga", "org_admin", rep(world), services=("*",))
    proposed = given_by(world, "lan")[0]
    assert state(world, proposed) == "proposed"
    # She gets her account, and the register is read again: now she can be asked.
    follow(world, "lan", "minh", joint=True)
    assert state(world, proposed) == "proposed"
    assert press(strong(world, "minh"), proposed, "agree").status == 200
    assert state(world, proposed) == "offered"


def test_a_lock_is_no_agreement(world: World) -> None:
    follow(world, "lan", "minh", joint=True)
    account = world.account("minh")
    with world.transaction() as services:
        services.standing.lock(account, LockReason.HOLDER_REQUEST, OPERATOR)
    give(world, strong(world, "lan"), "nga", "org_admin", rep(world), services=("*",))
    assert state(world, given_by(world, "lan")[0]) == "proposed"


def test_one_joint_representative_stops_a_proposal_and_a_leaving_one_frees_it(world: World) -> None:
    follow(world, "lan", "minh", joint=True)
    give(world, strong(world, "lan"), "nga", "org_admin", rep(world), services=("*",))
    stopped = given_by(world, "lan")[0]
    assert press(world.sign_in("minh"), stopped, "disagree").status == 200
    assert state(world, stopped) == "revoked"
    world.tick()
    give(world, strong(world, "lan"), "nga", "org_admin", rep(world), services=("*",))
    freed = given_by(world, "lan")[0]
    follow(world, "lan", joint=True)
    assert state(world, freed) == "offered"


def test_the_giver_narrows_and_never_widens(world: World) -> None:
    lan = strong(world, "lan")
    proxy = hold(world, lan, "minh", services=("public-service", "banking"), amount_limit="900")
    form = lan.open(f"/me/mandates/{proxy}").form(f"/me/mandates/{proxy}/narrow")
    page = lan.submit(form, services=["public-service"], amount_limit="500", lasts="")
    assert page.status == 200, page.text
    form = lan.open(f"/me/mandates/{proxy}").form(f"/me/mandates/{proxy}/narrow")
    for wider in ({"services": ["public-service", "banking"]}, {"amount_limit": "501"}):
        values = {"services": ["public-service"], "amount_limit": "500", **wider}
        assert lan.submit(form, **values).status == 422
    # Her holder cannot change it at all.
    assert press(strong(world, "minh"), proxy, "narrow").status in {403, 422}
    with world.transaction() as services:
        found = services.mandates.find(proxy)
    assert found is not None
    assert (found.terms.scopes, found.terms.amount_limit) == ({"public-service"}, 500)


def test_a_proxy_is_passed_on_once_and_never_wider(world: World) -> None:
    proxy = hold(
        world, strong(world, "lan"), "minh", services=("public-service",), passes_on="yes",
        lasts="90", amount_limit="700",
    )  # fmt: skip
    minh = strong(world, "minh")
    page = give(world, minh, "nga", "proxy", proxy, services=("banking",))
    assert page.status == 422
    assert give(world, minh, "nga", "proxy", proxy, amount_limit="701").status == 422
    below = hold(world, minh, "nga", "proxy", proxy, passes_on="yes")
    with world.transaction() as services:
        first, second = services.mandates.find(proxy), services.mandates.find(below)
    assert first is not None
    assert second is not None
    assert second.principal_id == world.subject("lan")
    assert (second.terms.valid_to, second.terms.sub_delegation) == (first.terms.valid_to, 0)
    assert second.terms.amount_limit == 700
    nga = strong(world, "nga")
    assert nga.open(f"/me/mandates/give?type=proxy&under={below}").status == 403
    # The giver ends it with everything below.
    press(world.sign_in("lan"), proxy, "revoke")
    assert state(world, below) == "revoked"


def test_a_childs_mandates_cannot_be_given_or_revoked_here(world: World) -> None:
    with world.transaction() as services:
        parent, child = (world.subject_in(services, one) for one in ("lan", "hoa"))
        services.mandates.grant(MandateType.PARENT, child, parent, "population", None)
    lan = strong(world, "lan")
    page = lan.open(f"/me/mandates/{mandate_id(world, 'lan', 'parent')}")
    assert "changed there, not here" in page.text
    assert press(lan, mandate_id(world, "lan", "parent"), "revoke").status == 403
    assert lan.open("/me/mandates/give?type=parent&under=").status == 403
    assert lan.open("/me/mandates/give?type=king&under=").status == 404


def test_a_key_is_recorded_shown_and_revoked(world: World) -> None:
    from idp.oidc.thumbprints import thumbprint  # noqa: PLC0415

    key = world.cast.keys["bank"].as_dict(private=False)
    lan = strong(world, "lan")
    form = lan.open(f"/me/mandates/give?type=machine&under={rep(world)}").form("/me/mandates/give")
    stated = {"client_id": "bank", "lasts": YEAR, "services": ["banking"]}
    assert lan.submit(form, **stated, key_thumbprint="x" * 43).status == 422
    assert lan.submit(form, **stated, key_thumbprint=thumbprint(key) or "").status == 200
    (machine,) = given_by(world, "lan")
    with world.transaction() as services:
        assert [one.id for one in services.mandates.of_relying_party("bank")] == [machine]
    page = lan.open(f"/me/mandates/{machine}")
    assert thumbprint(key) in page.html
    assert press(lan, machine, "revoke").status == 200
    assert state(world, machine) == "revoked"


def test_who_signed_in_with_a_password_is_told_that_a_mandate_needs_a_passkey(
    world: World,
) -> None:
    browser = world.sign_in("lan")
    page = browser.follow(browser.open("/me/mandates/give?type=proxy&under="))
    assert "possible only after signing in with a passkey" in page.text
    # Her password would lead her here again and again.
    assert not page.has_form("/sign-in/password")
