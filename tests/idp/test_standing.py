"""Locking, unlocking and closing: everything that must end, ends in the same transaction."""

import pytest

from accounts.account import HOLDER, OPERATOR, AccountKind, CloseReason, LockReason
from accounts.errors import AccountClosedError, BadIdentifierError, IdentifierTakenError
from accounts.subject import IdentifierType
from idp.standing import HOLD, NoSuccessionError, UnfittingReasonError
from idp.upkeep import purge
from tests.support.cast import TAX_CODE
from tests.support.world import World


def lock(world: World, account: str, reason: LockReason = LockReason.AUTHORITY_ORDER) -> None:
    with world.transaction() as services:
        services.standing.lock(account, reason, OPERATOR, ground="Công văn 1/2026")


def company_account(world: World) -> str:
    with world.transaction() as services:
        subject = services.subjects.find(IdentifierType.TAX_CODE, TAX_CODE)
        found = services.accounts.find_of_subject(subject or "")
    assert found is not None
    return found.id


def mandate_of(world: World) -> str:
    with world.transaction() as services:
        (mandate,) = services.mandates.held_by(world.subject_in(services, "lan"))
    return mandate.id


def test_a_lock_ends_sessions_and_tokens(world: World) -> None:
    arrival = world.arrive("basic", "openid name offline_access")
    tokens = arrival.tokens()
    lock(world, world.account())
    assert not arrival.party.is_alive(tokens.access)
    assert arrival.browser.open("/me").status == 303
    account = world.account()
    with world.transaction() as services:
        services.standing.unlock(account, LockReason.AUTHORITY_ORDER, OPERATOR)
    assert not arrival.party.is_alive(tokens.access)
    assert arrival.browser.open("/me").status == 303
    assert world.sign_in().open("/me").status == 200


def test_a_locked_company_suspends_who_acts_for_it(world: World) -> None:
    mandate = mandate_of(world)
    arrival = world.arrive("portal", "openid name represent organization", acting_for=mandate)
    tokens = arrival.tokens()
    own = world.arrive("basic", "openid name", browser=arrival.browser).tokens()
    company = company_account(world)
    lock(world, company, LockReason.DISSOLVED)
    assert not arrival.party.is_alive(tokens.access)
    assert world.party("basic").is_alive(own.access)
    with world.transaction() as services:
        subject = world.subject_in(services, "lan")
        assert services.mandates.held_by(subject) == []
        services.standing.unlock(company, LockReason.DISSOLVED, OPERATOR)
        assert [one.id for one in services.mandates.held_by(subject)] == [mandate]
    assert not arrival.party.is_alive(tokens.access)


def test_a_dissolved_company_is_closed_and_its_mandates_end(world: World) -> None:
    company = company_account(world)
    mandate_of(world)
    with world.transaction() as services:
        services.standing.close(company, CloseReason.DISSOLUTION, OPERATOR)
        assert services.mandates.held_by(world.subject_in(services, "lan")) == []
    with pytest.raises(AccountClosedError):
        lock(world, company)


@pytest.mark.parametrize(
    ("login", "reason"),
    [("lan", LockReason.RESIDENCE_ENDED), ("jean", LockReason.CARD_EXPIRED)],
)
def test_each_kind_has_the_locks_that_the_law_knows(
    world: World, login: str, reason: LockReason
) -> None:
    with pytest.raises(UnfittingReasonError):
        lock(world, world.account(login), reason)


def test_our_own_hold_ends_by_itself_and_no_other(world: World) -> None:
    held, locked = world.account(), world.account("hoa")
    lock(world, held, LockReason.RISK)
    lock(world, locked, LockReason.HOLDER_REQUEST)
    world.tick(seconds=HOLD.total_seconds() - 1)
    assert purge(world.installation)["lapsed holds"] == 0
    world.tick()
    assert purge(world.installation)["lapsed holds"] == 1
    with world.transaction() as services:
        assert services.accounts.account(held).locks == frozenset()
        assert services.accounts.account(locked).locks == {LockReason.HOLDER_REQUEST}


def test_a_changed_number_keeps_account_sub_and_consents(world: World) -> None:
    first = world.arrive("basic", "openid name offline_access")
    tokens = first.tokens()
    before = first.party.userinfo(tokens.access).body["sub"]
    account = world.account()
    with world.transaction() as services:
        services.standing.renumber(account, "999190000091")
    assert first.party.is_alive(tokens.access)
    again = first.party.begin("openid name")
    page = first.browser.visit(again.url)
    # Neither a sign-in nor a consent is asked for.
    assert page.status == 303
    redeemed = first.party.redeem(again, first.party.code_from(again, page.location))
    assert first.party.userinfo(redeemed.access).body["sub"] == before
    with world.transaction() as services:
        subject = world.subject_in(services, "lan")
        known = [
            (one.value, one.valid_to is None)
            for one in services.subjects.identifiers_of(subject)
            if one.type is IdentifierType.PERSONAL_NUMBER
        ]
    assert known == [("999190000001", False), ("999190000091", True)]


def test_a_number_must_be_possible_and_free(world: World) -> None:
    citizen, foreigner = world.account(), world.account("jean")
    for number, refusal in (
        ("99919000009", BadIdentifierError),
        ("９９９１９０００００９１", BadIdentifierError),
        (world.person("minh").number, IdentifierTakenError),
    ):
        with pytest.raises(refusal), world.transaction() as services:
            services.standing.renumber(citizen, number)
    with pytest.raises(BadIdentifierError), world.transaction() as services:
        services.standing.renumber(foreigner, "999190000091")


def test_a_foreigner_who_naturalises_has_a_citizens_account(world: World) -> None:
    arrival = world.arrive("basic", "openid name", person="jean")
    tokens = arrival.tokens()
    before = world.account("jean")
    with world.transaction() as services:
        made = services.standing.succeed(before, "999079000077", OPERATOR, ground="QĐ 7/2026")
        code = services.accounts.new_activation_code(made.id)
    world.secrets.append(code)
    assert not arrival.party.is_alive(tokens.access)
    assert (made.kind, made.successor_of) == (AccountKind.CITIZEN, before)
    browser = world.browser()
    page = browser.submit(
        browser.open("/activate").form("/activate"), login="999079000077", code=code
    )
    assert page.location == "/activate/authenticators"
    page = browser.submit(
        browser.follow(page).form("/activate/password"), password="tôi là công dân mới"
    )
    assert browser.open("/me").status == 200
    # The history of uses is the person's, and she is the same.
    assert "Kiểm thử cơ bản" in browser.open("/me/uses").text
    with pytest.raises(NoSuccessionError), world.transaction() as services:
        services.standing.succeed(made.id, "999079000078", HOLDER)
