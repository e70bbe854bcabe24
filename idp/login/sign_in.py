"""Becoming signed in: the one function through which every method leads, and the checks before it."""

import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from accounts.account import Account, Accounts, LockReason
from accounts.authenticators import Passkeys
from accounts.errors import OwnLockError, PasskeyRefusedError
from accounts.incidents import Incidents
from accounts.levels import AuthenticationMethod, strength_of
from accounts.notices import NoticeKind
from accounts.phone_invitations import PhoneInvitations
from accounts.recoveries import Recoveries, Way
from accounts.schema import Clock
from accounts.second_factors import Held, SecondFactors
from accounts.secrets import Passwords
from accounts.sessions import BrowserSession, BrowserSessions
from accounts.subject import IdentifierType, Subjects, canonical
from accounts.vault import Vault
from idp import audit, limits
from idp.limits import Limits
from idp.login.errors import (
    CodeRefusedError,
    RiskError,
    SignInExpiredError,
    SignInRefusedError,
    TooManyFailuresError,
)
from idp.login.known_browsers import KnownBrowsers
from idp.login.risk import AddressList, Decision, Surroundings, is_impossible, judge
from idp.oidc.grants import Grants
from idp.places import Places


@dataclass(frozen=True)
class Visitor:
    """The browser somebody signs in with: its binding, name and network address, and the cookie by
    which it is known (``known_browsers``).
    """

    binding: bytes
    browser: str
    address: str
    known: str = ""


@dataclass(frozen=True)
class FoundPassword:
    """The outcome of looking an identifier up, before the slow comparison."""

    account: Account | None
    hash: str | None


@dataclass(frozen=True)
class HalfSignedIn:
    """The password was right, and a code has to follow within five minutes.

    ``ticket`` says so for this browser; it opens nothing by itself.
    """

    held: Held
    ticket: str


@dataclass(frozen=True)
class FoundCode:
    """Whose code is asked for, before the slow comparison with the card.

    ``hash`` is that of the card's next code. ``is_new`` when the password came right before: both
    begin the session together.
    """

    account: Account
    held: Held
    hash: str | None
    is_new: bool


HALF_LIFETIME = timedelta(minutes=5)
_TICKET = re.compile(r"([0-9a-f]{32})\.([0-9]{1,12})\.([0-9a-f]{64})", re.ASCII)


@dataclass(frozen=True)
class SignInDesk:
    """Everything that signing in needs."""

    accounts: Accounts
    subjects: Subjects
    passwords: Passwords
    passkeys: Passkeys
    second_factors: SecondFactors
    sessions: BrowserSessions
    grants: Grants
    limits: Limits
    incidents: Incidents
    recoveries: Recoveries
    phone_invitations: PhoneInvitations
    tell: Callable[[str, NoticeKind, dict[str, str]], None]
    data_centres: AddressList
    places: Places
    vault: Vault
    clock: Clock

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
    ) -> tuple[BrowserSession, str] | HalfSignedIn:
        """Sign in after the password was compared; who has a second factor is half signed in.

        Raises:
            SignInRefusedError: wrong password, or an account that cannot be used.
            RiskError: the password alone is not enough here and now.
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
        held = self.second_factors.held(found.account.id)
        if held.any:
            return HalfSignedIn(held, self._ticket(found.account.id, visitor))
        methods = (AuthenticationMethod.PASSWORD,)
        self._weigh(found.account, methods, visitor)
        return self.complete(found.account, methods, visitor, current)

    def look_up_code(
        self, ticket: str, visitor: Visitor, current: BrowserSession | None
    ) -> FoundCode:
        """Find whose code is asked for: the ticket's holder, or without a ticket whoever signed in
        here with her password alone.

        Raises:
            SignInExpiredError: no ticket of this browser, or nobody signed in with a password.
            TooManyFailuresError: the limit for this account or address is used up.
        """
        account_id = self._holder(ticket, visitor) if ticket else _with_password(current)
        account = self.accounts.account(account_id)
        if not account.is_open:
            raise SignInExpiredError
        if self.limits.is_exhausted(*_code_limits(account, visitor)):
            audit.security_event("sign-in.throttled", method="code", address=visitor.address)
            raise TooManyFailuresError
        held = self.second_factors.held(account.id)
        card_hash = self.second_factors.hash_of_next(held.card) if held.card else None
        return FoundCode(account, held, card_hash, is_new=bool(ticket))

    def by_code(
        self,
        found: FoundCode,
        code: str,
        *,
        fits_card: bool,
        visitor: Visitor,
        current: BrowserSession | None,
    ) -> tuple[BrowserSession, str]:
        """Complete the password with the code of a second factor, which is used up.

        Raises:
            CodeRefusedError: no code of this account, or one used before.
            RiskError: these are not taken here and now.
        """
        method = self._spend(found, code, fits_card=fits_card)
        if method is None:
            self.limits.count_failure(*_code_limits(found.account, visitor))
            audit.security_event(
                "sign-in.refused",
                method="code",
                account=found.account.id,
                address=visitor.address,
            )
            raise CodeRefusedError
        methods = (AuthenticationMethod.PASSWORD, method) if found.is_new else (method,)
        self._weigh(found.account, (AuthenticationMethod.PASSWORD, method), visitor)
        return self.complete(found.account, methods, visitor, current)

    def _spend(
        self, found: FoundCode, code: str, *, fits_card: bool
    ) -> AuthenticationMethod | None:
        if fits_card and found.held.card and self.second_factors.spend_card_code(found.held.card):
            return AuthenticationMethod.CODE_CARD
        if self.second_factors.spend_totp(found.account.id, code):
            return AuthenticationMethod.TOTP
        return None

    def _ticket(self, account_id: str, visitor: Visitor) -> str:
        until = int((self.clock() + HALF_LIFETIME).timestamp())
        return f"{account_id}.{until}.{self._ticket_mac(account_id, until, visitor)}"

    def _ticket_mac(self, account_id: str, until: int, visitor: Visitor) -> str:
        # Bound to the browser, and to the password: whoever changes it ends what is under way.
        password_hash = self.passwords.find(account_id) or ""
        return self.vault.mac(
            "half-signed-in", account_id, str(until), visitor.binding, password_hash
        ).hex()

    def _holder(self, ticket: str, visitor: Visitor) -> str:
        found = _TICKET.fullmatch(ticket)
        if found is None or int(found[2]) <= self.clock().timestamp():
            raise SignInExpiredError
        expected = self._ticket_mac(found[1], int(found[2]), visitor)
        if not hmac.compare_digest(expected, found[3]):
            raise SignInExpiredError
        return found[1]

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
        account, methods = self.holder_of(credential, visitor)
        if not account.is_open:
            audit.security_event("sign-in.refused", method="passkey", account=account.id)
            if account.locks == {LockReason.HOLDER_REQUEST}:
                raise OwnLockError
            raise PasskeyRefusedError("account-not-open")
        if (
            not is_asked
            and current is not None
            and current.account_id == account.id
            and current.strength.meets(strength_of(methods))
        ):
            return None
        return self.complete(account, methods, visitor, current)

    def holder_of(
        self, credential: object, visitor: Visitor
    ) -> tuple[Account, tuple[AuthenticationMethod, ...]]:
        """Return the account, open or not, whose passkey made the assertion, and what it proves.

        Raises:
            PasskeyRefusedError: the assertion does not hold.
        """
        try:
            passkey = self.passkeys.verify(credential, browser=visitor.binding)
        except PasskeyRefusedError as error:
            audit.security_event(
                "sign-in.refused", method="passkey", reason=error.detail, address=visitor.address
            )
            raise
        return self.accounts.account(passkey.account_id), self.passkeys.proves(passkey)

    def after_passkey(
        self,
        account: Account,
        methods: tuple[AuthenticationMethod, ...],
        visitor: Visitor,
        current: BrowserSession | None,
    ) -> tuple[BrowserSession, str]:
        """Sign in whoever has just proved a passkey of this account.

        Raises:
            PasskeyRefusedError: another lock stands.
        """
        if not account.is_open:
            raise PasskeyRefusedError("account-not-open")
        return self.complete(account, methods, visitor, current)

    def by_phone(
        self,
        account_id: str,
        visitor: Visitor,
        current: BrowserSession | None,
        *,
        is_asked: bool = True,
    ) -> tuple[BrowserSession, str] | None:
        """Sign in where a phone of the account approved it, after that was picked up.

        As with a passkey the answer is None where she could gain nothing: a session that proves
        more must not become one that proves less.

        Raises:
            SignInRefusedError: the account cannot be used any more.
        """
        account = self.accounts.account(account_id)
        if not account.is_open:
            audit.security_event("sign-in.refused", method="phone", account=account.id)
            raise SignInRefusedError
        methods = (AuthenticationMethod.PHONE,)
        if (
            not is_asked
            and current is not None
            and current.account_id == account.id
            and current.strength.meets(strength_of(methods))
        ):
            return None
        return self.complete(account, methods, visitor, current)

    def by_step(
        self, session: BrowserSession, step: AuthenticationMethod, visitor: Visitor
    ) -> tuple[BrowserSession, str]:
        """Add one of ``STEPS``, just proved, to what the session proved before.

        Raises:
            SignInRefusedError: the account cannot be used any more.
        """
        account = self.accounts.account(session.account_id)
        if not account.is_open:
            raise SignInRefusedError
        return self.complete(account, (step,), visitor, session)

    def look_up_own(self, session: BrowserSession, visitor: Visitor) -> FoundPassword:
        """Find the password of whoever is signed in, before the slow comparison.

        Raises:
            TooManyFailuresError: the limit for this account or address is used up.
        """
        account = self.accounts.account(session.account_id)
        if self.limits.is_exhausted(*_password_limits(account, "", visitor)):
            audit.security_event("sign-in.throttled", method="password", address=visitor.address)
            raise TooManyFailuresError
        return FoundPassword(account, self.passwords.find(account.id))

    def by_known_secret(
        self, session: BrowserSession, found: FoundPassword, *, is_right: bool, visitor: Visitor
    ) -> tuple[BrowserSession, str]:
        """Add the password to what the session proved before, after it was compared.

        Raises:
            SignInRefusedError: wrong password, or an account that cannot be used.
        """
        if not is_right or found.account is None:
            self.limits.count_failure(*_password_limits(found.account, "", visitor))
            audit.security_event(
                "sign-in.refused",
                method="password",
                account=session.account_id,
                address=visitor.address,
            )
            raise SignInRefusedError
        return self.by_step(session, AuthenticationMethod.KNOWN_SECRET, visitor)

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
            (limits.ACTIVATION_ACCOUNT, counted_as(account, login)),
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
        methods = (AuthenticationMethod.ACTIVATION_CODE,)
        return self.complete(account, methods, visitor, current)

    def by_phone_code(
        self, code: str, visitor: Visitor, current: BrowserSession | None
    ) -> tuple[BrowserSession, str] | None:
        """Take an office's code to set this phone up; None when the holder is signed in here already,
        in whose session it is good now.

        Raises:
            TooManyFailuresError: too many wrong codes from this address.
            SignInRefusedError: there is no such code, or the account cannot be used.
        """
        counted = (limits.PHONE_CODE_ADDRESS, visitor.address)
        if self.limits.is_exhausted(counted):
            raise TooManyFailuresError
        account_id = self.phone_invitations.of_code(code)
        account = self.accounts.account(account_id) if account_id else None
        if account is None or not account.is_open:
            self.limits.count_failure(counted)
            audit.security_event("phone-code.refused", address=visitor.address)
            raise SignInRefusedError
        is_here = current is not None and current.account_id == account.id
        started = None
        if not is_here:
            methods = (AuthenticationMethod.ENROLMENT_CODE,)
            started = self.complete(account, methods, visitor, current)
        session = started[0] if started is not None else current
        assert session is not None  # noqa: S101 - one of the two is
        if not self.phone_invitations.take(code, session.id):
            raise SignInRefusedError
        return started

    def complete(
        self,
        account: Account,
        methods: tuple[AuthenticationMethod, ...],
        visitor: Visitor,
        current: BrowserSession | None,
    ) -> tuple[BrowserSession, str]:
        """Make the person signed in: a new cookie always, and nobody else's session beside it. From
        a browser that she never used before, or a place far from her latest ones, she is told of it.
        """
        if current is not None and current.account_id != account.id:
            self.sign_out(current)
        is_known = current is not None and current.account_id == account.id
        is_known = is_known or self._is_known(account, visitor)
        is_new_place = self.places.is_new(visitor.address, self.sessions.addresses(account.id))
        session, cookie = self.sessions.start(
            account_id=account.id,
            subject_id=account.subject_id,
            methods=methods,
            browser=visitor.browser,
            address=visitor.address,
            continues=current,
        )
        audit.security_event(
            "sign-in.completed",
            method="+".join(methods),
            account=account.id,
            level=int(session.level),
            address=visitor.address,
        )
        if AuthenticationMethod.PASSKEY in methods and self.recoveries.cancel(
            account.id, Way.TWO_WAYS, Way.CHIP
        ):
            # Whoever has a passkey has lost none.
            self.tell(account.subject_id, NoticeKind.RECOVERY_CANCELLED, {})
        if not is_known or is_new_place:
            facts = {"browser": visitor.browser, "network": self.places.told(visitor.address)}
            kind = NoticeKind.NEW_PLACE if is_known else NoticeKind.SIGN_IN
            self.tell(account.subject_id, kind, facts)
        return session, cookie

    def _weigh(
        self, account: Account, methods: tuple[AuthenticationMethod, ...], visitor: Visitor
    ) -> None:
        """Let the risk rules judge right proofs.

        Raises:
            RiskError: they want more, or refuse.
        """
        rule = judge(
            Surroundings(
                strength=strength_of(methods),
                is_new_browser=not self._is_known(account, visitor),
                has_incident=self.incidents.has_open(account.id),
                is_data_centre=visitor.address in self.data_centres,
                is_impossible_journey=self._is_impossible(account, visitor),
                has_many_failures=self.limits.is_exhausted(
                    (limits.MANY_FAILURES, counted_as(account, ""))
                ),
            )
        )
        if rule.decision is not Decision.ALLOW:
            raise RiskError(rule.reason)

    def _is_impossible(self, account: Account, visitor: Visitor) -> bool:
        """True when nobody gets here in the time since the sign-in before, wherever that was."""
        before = self.sessions.latest_sign_in(account.id) if self.places else None
        if before is None:
            return False
        at, address = before
        kilometres = self.places.kilometres(address, visitor.address)
        return kilometres is not None and is_impossible(kilometres, self.clock() - at)

    def _is_known(self, account: Account, visitor: Visitor) -> bool:
        if not visitor.known:
            return False
        since = self.incidents.latest_at(account.id)
        return KnownBrowsers(self.vault, self.clock).knows(visitor.known, account.id, since=since)

    def sign_out(self, session: BrowserSession) -> None:
        """End the session and everything that lived on it."""
        self.sessions.end(session.account_id, session.id)
        self.grants.revoke_of_session(session.id)
        audit.security_event("signed-out", account=session.account_id)


def counted_as(account: Account | None, login: str) -> str:
    """Return one key for everything that means the same account, however it is spelled."""
    if account is not None:
        return f"account {account.id}"
    return f"nobody {canonical(IdentifierType.LOGIN, login)}"


def _password_limits(
    account: Account | None, login: str, visitor: Visitor
) -> tuple[tuple[limits.Limit, str], ...]:
    return (
        (limits.PASSWORD_ACCOUNT, counted_as(account, login)),
        (limits.PASSWORD_ADDRESS, visitor.address),
    )


def _code_limits(account: Account, visitor: Visitor) -> tuple[tuple[limits.Limit, str], ...]:
    # A wrong code counts as a wrong password too: guesses over both ways meet one limit.
    counted = f"account {account.id}"
    return (
        (limits.SECOND_FACTOR_ACCOUNT, counted),
        (limits.PASSWORD_ACCOUNT, counted),
        (limits.PASSWORD_ADDRESS, visitor.address),
    )


def _with_password(current: BrowserSession | None) -> str:
    if current is None or AuthenticationMethod.PASSWORD not in current.methods:
        raise SignInExpiredError
    return current.account_id
