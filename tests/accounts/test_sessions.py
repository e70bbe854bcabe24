"""Browser sessions."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from accounts.account import Account, LockReason
from accounts.levels import AuthenticationLevel, AuthenticationMethod
from accounts.sessions import BrowserSession, browser_session
from idp.services import Services
from tests.support.clock import Clock

PASSWORD, PASSKEY = AuthenticationMethod.PASSWORD, AuthenticationMethod.PASSKEY


@pytest.fixture
def account(services: Services) -> Account:
    subject = services.subjects.find_for_sign_in("lan")
    assert subject is not None
    found = services.accounts.find_of_subject(subject)
    assert found is not None
    return found


def start(
    services: Services,
    account: Account,
    *methods: AuthenticationMethod,
    continues: BrowserSession | None = None,
) -> tuple[BrowserSession, str]:
    return services.sessions.start(
        account_id=account.id,
        subject_id=account.subject_id,
        methods=methods or (PASSWORD,),
        browser="Firefox",
        address="127.0.0.1",
        continues=continues,
    )


def test_the_cookie_opens_the_session_and_is_stored_nowhere(
    services: Services, account: Account
) -> None:
    session, cookie = start(services, account)
    assert services.sessions.find(cookie) == session
    row = services.db.execute(
        select(browser_session).where(browser_session.c.id == session.id)
    ).one()
    assert cookie not in str(row)


def test_a_session_dies_after_thirty_idle_minutes(
    services: Services, account: Account, clock: Clock
) -> None:
    _, cookie = start(services, account)
    clock.advance(minutes=29, seconds=59)
    assert services.sessions.find(cookie)
    clock.advance(minutes=30)
    assert services.sessions.find(cookie) is None


def test_a_session_dies_after_twelve_hours_though_used_all_the_time(
    services: Services, account: Account, clock: Clock
) -> None:
    _, cookie = start(services, account)
    for _ in range(71):
        clock.advance(minutes=10)
        assert services.sessions.find(cookie)
    clock.advance(minutes=10)
    assert services.sessions.find(cookie) is None


def test_its_use_is_noted_once_a_minute(services: Services, account: Account, clock: Clock) -> None:
    _, cookie = start(services, account)
    begun = clock()
    clock.advance(seconds=59)
    services.sessions.find(cookie)
    assert services.sessions.of_account(account.id)[0].last_seen_at == begun
    clock.advance(seconds=1)
    services.sessions.find(cookie)
    assert services.sessions.of_account(account.id)[0].last_seen_at == clock()


def test_a_stronger_sign_in_keeps_the_session_and_changes_the_cookie(
    services: Services, account: Account
) -> None:
    low, old = start(services, account)
    high, new = start(services, account, PASSKEY, continues=low)
    assert (high.id, high.level) == (low.id, AuthenticationLevel.LEVEL_2)
    assert services.sessions.find(old) is None
    assert services.sessions.find(new) == high


def test_a_weaker_reauthentication_lowers_the_level(services: Services, account: Account) -> None:
    high, _ = start(services, account, PASSKEY)
    low, _ = start(services, account, PASSWORD, continues=high)
    assert low.level is AuthenticationLevel.LEVEL_1
    assert low.references == ("pwd",)


def test_a_locked_account_has_no_session(services: Services, account: Account) -> None:
    _, cookie = start(services, account)
    services.accounts.lock(account.id, LockReason.RISK)
    assert services.sessions.find(cookie) is None


def test_one_ends_ones_own_sessions_only(services: Services, account: Account) -> None:
    session, cookie = start(services, account)
    assert not services.sessions.end("somebody else", session.id)
    assert services.sessions.find(cookie)
    assert services.sessions.end(account.id, session.id)
    assert not services.sessions.end(account.id, session.id)
    assert services.sessions.find(cookie) is None


def test_all_but_this_one_can_be_ended(services: Services, account: Account) -> None:
    here, cookie = start(services, account)
    there, _ = start(services, account)
    assert services.sessions.end_all(account.id, but=here.id) == [there.id]
    assert services.sessions.find(cookie)


@pytest.mark.parametrize("cookie", ["", "0" * 64, "'", "\0", "é"])
def test_se07_a_cookie_made_up_opens_nothing(services: Services, cookie: str) -> None:
    assert services.sessions.find(cookie) is None


def test_old_sessions_are_purged(services: Services, account: Account, clock: Clock) -> None:
    start(services, account)
    assert services.sessions.purge(clock()) == 0
    assert services.sessions.purge(clock() + timedelta(hours=12)) >= 1


def test_a_code_completes_the_password_and_makes_it_no_younger(
    services: Services, account: Account, clock: Clock
) -> None:
    first, _ = start(services, account)
    clock.advance(minutes=5)
    second, cookie = start(services, account, AuthenticationMethod.TOTP, continues=first)
    assert second.methods == (PASSWORD, AuthenticationMethod.TOTP)
    assert second.level is AuthenticationLevel.LEVEL_2
    assert second.authenticated_at == first.authenticated_at
    third, _ = start(services, account, continues=services.sessions.find(cookie))
    assert third.level is AuthenticationLevel.LEVEL_1
