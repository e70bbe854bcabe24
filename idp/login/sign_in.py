"""Becoming signed in: the one function through which every method leads, and the checks before it."""

from dataclasses import dataclass

from accounts.account import Account, Accounts
from accounts.authenticators import Passkeys
from accounts.errors import PasskeyRefusedError
from accounts.levels import AuthenticationMethod, level_of
from accounts.secrets import Passwords
from accounts.sessions import BrowserSession, BrowserSessions
from accounts.subject import IdentifierType, Subjects, canonical
from idp import audit, limits
from idp.limits import Limits
from idp.login.errors import SignInRefusedError, TooManyFailuresError
from idp.oidc.grants import Grants


@dataclass(frozen=True)
class Visitor:
    """The browser somebody signs in with: its binding, name and network address."""

    binding: bytes
    browser: str
    address: str


@dataclass(frozen=True)
class FoundPassword:
    """The outcome of looking an identifier up, before the slow comparison."""

    account: Account | None
    hash: str | None


@dataclass(frozen=True)
class SignInDesk:
    """Everything that signing in needs."""

    accounts: Accounts
    subjects: Subjects
    passwords: Passwords
    passkeys: Passkeys
    sessions: BrowserSessions
    grants: Grants
    limits: Limits

    def look_up(self, login: str, visitor: Visitor) -> FoundPassword:
        """Find whom the identifier means; says nothing about whether there is anybody.

        Raises:
            TooManyFailuresError: the limit for this identifier or address is used up.
        """
        subject_id = self.subjects.find_for_sign_in(login)
        account = self.accounts.find_of_subject(subject_id) if subject_id else None
        if self.limits.is_exhausted(*_password_limits(account, login, visitor)):
            audit.security_event("sign-in.throttled", method="password", address=visitor.address)
            raise TooManyFailuresError
        return FoundPassword(account, self.passwords.find(account.id) if account else None)

    def by_password(
        self,
        found: FoundPassword,
        *,
        login: str,
        is_right: bool,
        visitor: Visitor,
        current: BrowserSession | None,
    ) -> tuple[BrowserSession, str]:
        """Sign in after the password was compared.

        Raises:
            SignInRefusedError: wrong password, or an account that cannot be used.
        """
        if not is_right or found.account is None or not found.account.is_open:
            self.limits.count_failure(*_password_limits(found.account, login, visitor))
            audit.security_event(
                "sign-in.refused",
                method="password",
                account=found.account.id if found.account else None,
                address=visitor.address,
            )
            raise SignInRefusedError
        return self.complete(found.account, AuthenticationMethod.PASSWORD, visitor, current)

    def by_passkey(
        self,
        credential: object,
        visitor: Visitor,
        current: BrowserSession | None,
        *,
        is_asked: bool = True,
    ) -> tuple[BrowserSession, str] | None:
        """Sign in with a passkey assertion.

        Not ``is_asked`` means that the request needs no sign-in any more, because the person did it
        in another tab meanwhile. If she is the same and could gain nothing, the answer is None and
        her session stays as it is, so that the other tab's forms stay good.

        Raises:
            PasskeyRefusedError: the assertion does not hold, or the account cannot be used.
        """
        try:
            passkey = self.passkeys.verify(credential, browser=visitor.binding)
        except PasskeyRefusedError as error:
            audit.security_event(
                "sign-in.refused", method="passkey", reason=error.detail, address=visitor.address
            )
            raise
        account = self.accounts.account(passkey.account_id)
        if not account.is_open:
            audit.security_event("sign-in.refused", method="passkey", account=account.id)
            raise PasskeyRefusedError("account-not-open")
        method = AuthenticationMethod.PASSKEY
        if (
            not is_asked
            and current is not None
            and current.account_id == account.id
            and current.level >= level_of(method)
        ):
            return None
        return self.complete(account, method, visitor, current)

    def by_activation_code(
        self, login: str, code: str, visitor: Visitor, current: BrowserSession | None
    ) -> tuple[BrowserSession, str]:
        """Activate an issued account with its code, and sign its holder in.

        Raises:
            TooManyFailuresError: the limit for this identifier or address is used up.
            SignInRefusedError: the identifier and code do not belong together.
        """
        subject_id = self.subjects.find_for_sign_in(login)
        account = self.accounts.find_of_subject(subject_id) if subject_id else None
        counted = (
            (limits.ACTIVATION_ACCOUNT, _counted_as(account, login)),
            (limits.ACTIVATION_ADDRESS, visitor.address),
        )
        if self.limits.is_exhausted(*counted):
            raise TooManyFailuresError
        if (
            account is None
            or not (account.awaits_activation or account.is_open)
            or not self.accounts.activation_code_fits(account.id, code)
        ):
            self.limits.count_failure(*counted)
            audit.security_event("activation.refused", address=visitor.address)
            raise SignInRefusedError
        self.accounts.activate(account.id)
        audit.security_event("account.activated", account=account.id, address=visitor.address)
        return self.complete(account, AuthenticationMethod.ACTIVATION_CODE, visitor, current)

    def complete(
        self,
        account: Account,
        method: AuthenticationMethod,
        visitor: Visitor,
        current: BrowserSession | None,
    ) -> tuple[BrowserSession, str]:
        """Make the person signed in: a new cookie always, and nobody else's session beside it."""
        if current is not None and current.account_id != account.id:
            self.sign_out(current)
        session, cookie = self.sessions.start(
            account_id=account.id,
            subject_id=account.subject_id,
            method=method,
            browser=visitor.browser,
            address=visitor.address,
            continues=current,
        )
        audit.security_event(
            "sign-in.completed",
            method=method.value,
            account=account.id,
            level=int(session.level),
            address=visitor.address,
        )
        return session, cookie

    def sign_out(self, session: BrowserSession) -> None:
        """End the session and everything that lived on it."""
        self.sessions.end(session.account_id, session.id)
        self.grants.revoke_of_session(session.id)
        audit.security_event("signed-out", account=session.account_id)


def _counted_as(account: Account | None, login: str) -> str:
    """Return one key for everything that means the same account, however it is spelled."""
    if account is not None:
        return f"account {account.id}"
    return f"nobody {canonical(IdentifierType.LOGIN, login)}"


def _password_limits(
    account: Account | None, login: str, visitor: Visitor
) -> tuple[tuple[limits.Limit, str], ...]:
    return (
        (limits.PASSWORD_ACCOUNT, _counted_as(account, login)),
        (limits.PASSWORD_ADDRESS, visitor.address),
    )
