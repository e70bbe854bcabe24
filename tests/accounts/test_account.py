"""Accounts: issuing, activating, locking."""

import pytest
from sqlalchemy.exc import IntegrityError

from accounts.account import (
    HOLDER,
    OPERATOR,
    Account,
    AccountKind,
    AccountState,
    CloseReason,
    EventKind,
    LockReason,
)
from accounts.errors import AccountClosedError, UnknownAccountError
from accounts.levels import AccountLevel
from accounts.subject import SubjectKind
from idp.services import Services
from tests.support.clock import Clock


@pytest.fixture
def account(services: Services) -> Account:
    subject = services.subjects.add(SubjectKind.PERSON)
    return services.accounts.issue(subject, AccountKind.CITIZEN, AccountLevel.LEVEL_02)


def now(services: Services, account: Account) -> Account:
    return services.accounts.account(account.id)


def test_an_issued_account_waits_for_its_holder(account: Account) -> None:
    assert account.awaits_activation
    assert not account.is_open
    assert len(account.user_handle) == 32


def test_an_activated_account_is_open(services: Services, account: Account, clock: Clock) -> None:
    services.accounts.activate(account.id)
    assert now(services, account).is_open
    assert now(services, account).activated_at == clock()


def test_activating_twice_keeps_the_first_moment(
    services: Services, account: Account, clock: Clock
) -> None:
    services.accounts.activate(account.id)
    clock.advance(days=1)
    services.accounts.activate(account.id)
    assert now(services, account).activated_at != clock()


def test_an_account_opens_only_when_no_lock_is_left(services: Services, account: Account) -> None:
    services.accounts.activate(account.id)
    for reason in (LockReason.RISK, LockReason.CARD_EXPIRED, LockReason.RISK):
        services.accounts.lock(account.id, reason)
    assert now(services, account).locks == {LockReason.RISK, LockReason.CARD_EXPIRED}
    services.accounts.unlock(account.id, LockReason.RISK)
    assert not now(services, account).is_open
    services.accounts.unlock(account.id, LockReason.CARD_EXPIRED)
    assert now(services, account).is_open


def test_a_locked_account_cannot_be_activated_by_code(services: Services, account: Account) -> None:
    services.accounts.lock(account.id, LockReason.AUTHORITY_ORDER)
    assert not now(services, account).awaits_activation


def test_a_closed_account_is_neither_open_nor_waiting(services: Services, account: Account) -> None:
    services.accounts.give_activation_code(account.id, "SEN-2345-6789")
    assert services.accounts.close(account.id, CloseReason.DEATH)
    closed = now(services, account)
    assert (closed.state, closed.closed_reason) == (AccountState.CLOSED, CloseReason.DEATH)
    assert not closed.awaits_activation
    assert not closed.is_open
    assert not services.accounts.activation_code_fits(account.id, "SEN-2345-6789")


def test_a_closed_account_stays_closed(services: Services, account: Account) -> None:
    services.accounts.close(account.id, CloseReason.DEATH)
    assert not services.accounts.close(account.id, CloseReason.CITIZENSHIP_LOST)
    services.accounts.activate(account.id)
    assert now(services, account).closed_reason is CloseReason.DEATH
    assert now(services, account).state is AccountState.CLOSED
    with pytest.raises(AccountClosedError):
        services.accounts.lock(account.id, LockReason.RISK)


def test_a_subject_has_one_live_account(services: Services, account: Account) -> None:
    db = services.db
    with pytest.raises(IntegrityError), db.begin_nested():
        services.accounts.issue(account.subject_id, AccountKind.CITIZEN, AccountLevel.LEVEL_01)
    services.accounts.close(account.id, CloseReason.SUCCEEDED)
    made = services.accounts.issue(account.subject_id, AccountKind.CITIZEN, AccountLevel.LEVEL_02)
    assert services.accounts.find_of_subject(account.subject_id) == made


def test_every_change_is_remembered_with_who_why_and_on_what_ground(
    services: Services, account: Account, clock: Clock
) -> None:
    clock.advance(days=1)
    services.accounts.activate(account.id)
    clock.advance(days=1)
    assert services.accounts.lock(account.id, LockReason.HOLDER_REQUEST, actor=HOLDER)
    assert not services.accounts.lock(account.id, LockReason.HOLDER_REQUEST, actor=OPERATOR)
    clock.advance(days=1)
    services.accounts.unlock(
        account.id, LockReason.HOLDER_REQUEST, actor=OPERATOR, ground="TK03 số 5"
    )
    assert not services.accounts.unlock(account.id, LockReason.HOLDER_REQUEST)
    events = services.accounts.history(account.id)
    assert [event.kind for event in events] == [
        EventKind.ISSUED, EventKind.ACTIVATED, EventKind.LOCKED, EventKind.UNLOCKED,
    ]  # fmt: skip
    assert (events[2].reason, events[2].actor) == ("holder-request", HOLDER)
    assert (events[3].ground, events[3].at) == ("TK03 số 5", clock())


@pytest.mark.parametrize("typed", ["SEN-2345-6789", "sen 2345 6789", " sen23456789 "])
def test_an_activation_code_fits_in_any_spelling(
    services: Services, account: Account, typed: str
) -> None:
    services.accounts.give_activation_code(account.id, "SEN-2345-6789")
    assert services.accounts.activation_code_fits(account.id, typed)
    assert not services.accounts.activation_code_fits(account.id, typed + "0")


def test_a_code_is_spent_once(services: Services, account: Account) -> None:
    services.accounts.give_activation_code(account.id, "SEN-2345-6789")
    assert services.accounts.spend_activation_code(account.id)
    assert not services.accounts.spend_activation_code(account.id)
    assert not services.accounts.activation_code_fits(account.id, "SEN-2345-6789")


def test_a_new_code_ends_the_old_one(services: Services, account: Account) -> None:
    services.accounts.give_activation_code(account.id, "FIRST-CODE")
    services.accounts.give_activation_code(account.id, "SECOND-CODE")
    assert not services.accounts.activation_code_fits(account.id, "FIRST-CODE")


def test_a_code_is_good_for_a_week(services: Services, account: Account, clock: Clock) -> None:
    services.accounts.give_activation_code(account.id, "SEN-2345-6789")
    clock.advance(days=7)
    assert not services.accounts.activation_code_fits(account.id, "SEN-2345-6789")
    assert services.accounts.purge(clock()) >= 1


def test_one_accounts_code_does_not_fit_another(services: Services, account: Account) -> None:
    services.accounts.give_activation_code(account.id, "SEN-2345-6789")
    subject = services.subjects.add(SubjectKind.PERSON)
    other = services.accounts.issue(subject, AccountKind.CITIZEN, AccountLevel.LEVEL_01)
    services.accounts.give_activation_code(other.id, "OTHER-CODE")
    assert not services.accounts.activation_code_fits(other.id, "SEN-2345-6789")


def test_an_unknown_account_is_refused(services: Services) -> None:
    with pytest.raises(UnknownAccountError):
        services.accounts.account("nobody")
