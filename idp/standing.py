"""Changes of an account's standing, all in one place, each with what the law ends along with it.

Whoever locks, unlocks or closes an account, an officer, the holder, an operator or a register's
event, does so here: the browser sessions and grants of the account, and those in which somebody acts
for it, end in the same transaction (Decree 69/2024 Art. 15 and 29). Mandates of a locked account do
not count until it opens; those of a closed one end.
"""

from dataclasses import dataclass
from datetime import timedelta

from accounts.account import (
    HOLDER,
    PROVIDER_ITSELF,
    Account,
    AccountKind,
    Accounts,
    Actor,
    ActorKind,
    CloseReason,
    EventKind,
    LockReason,
)
from accounts.attributes import HeldAttributes, Source
from accounts.errors import AccountsError, BadIdentifierError
from accounts.levels import AccountLevel
from accounts.mandates import Mandates
from accounts.schema import Clock
from accounts.sessions import BrowserSessions
from accounts.subject import IdentifierType, Subjects
from idp import audit
from idp.oidc.grants import Grants

HOLD = timedelta(days=3)
"""How long our own fraud hold stands before it ends by itself; whoever wants more needs a ground."""

FITTING = {
    AccountKind.CITIZEN: frozenset(LockReason)
    - {LockReason.PASSPORT_EXPIRED, LockReason.RESIDENCE_ENDED, LockReason.DISSOLVED},
    AccountKind.FOREIGNER: frozenset(LockReason)
    - {LockReason.CARD_REVOKED, LockReason.CARD_EXPIRED, LockReason.DISSOLVED},
    AccountKind.ORGANISATION: frozenset(
        {
            LockReason.HOLDER_REQUEST,
            LockReason.TERMS_BREACH,
            LockReason.AUTHORITY_ORDER,
            LockReason.DISSOLVED,
            LockReason.RISK,
        }
    ),
}
"""The lock reasons that Decree 69/2024 Art. 15 and 29 know for each kind of account."""


class UnfittingReasonError(AccountsError):
    """The law knows no such lock for this kind of account."""

    code = "unfitting-reason"


class NoSuccessionError(AccountsError):
    """Only a foreigner's live account can be succeeded by a citizen's."""

    code = "no-succession"


@dataclass(frozen=True)
class Standing:
    """Changes the standing of accounts within one transaction."""

    accounts: Accounts
    subjects: Subjects
    held: HeldAttributes
    mandates: Mandates
    sessions: BrowserSessions
    grants: Grants
    clock: Clock

    def lock(
        self, account_id: str, reason: LockReason, actor: Actor, *, ground: str = ""
    ) -> Account:
        """Add a lock reason; sessions and grants end at once.

        Raises:
            UnfittingReasonError: the law has no such lock for this kind of account.
            AccountClosedError: the account is closed.
        """
        found = self.accounts.account(account_id)
        if reason not in FITTING[found.kind]:
            raise UnfittingReasonError
        until = self.clock() + HOLD if reason is LockReason.RISK else None
        if self.accounts.lock(account_id, reason, actor=actor, ground=ground, until=until):
            self._end_everything(found)
            audit.security_event(
                "account.locked", account=account_id, reason=reason.value, actor=actor.kind.value
            )
        return self.accounts.account(account_id)

    def unlock(
        self, account_id: str, reason: LockReason, actor: Actor, *, ground: str = ""
    ) -> Account:
        """Remove one lock reason. What had ended stays ended: the holder signs in anew."""
        if self.accounts.unlock(account_id, reason, actor=actor, ground=ground):
            audit.security_event(
                "account.unlocked", account=account_id, reason=reason.value, actor=actor.kind.value
            )
        return self.accounts.account(account_id)

    def unlock_own(self, account_id: str) -> bool:
        """Remove the holder's own lock at her word; False when there is none, or when an office set
        it for her: she asked for that in person, so it is opened in person.
        """
        if LockReason.HOLDER_REQUEST not in self.accounts.account(account_id).locks:
            return False
        set_by = [
            event.actor.kind
            for event in self.accounts.history(account_id)
            if event.kind is EventKind.LOCKED and event.reason == LockReason.HOLDER_REQUEST.value
        ]
        if set_by[-1:] != [ActorKind.HOLDER]:
            return False
        self.unlock(account_id, LockReason.HOLDER_REQUEST, HOLDER)
        return True

    def close(
        self, account_id: str, reason: CloseReason, actor: Actor, *, ground: str = ""
    ) -> Account:
        """Close the account for good; its record, its history and its uses stay."""
        found = self.accounts.account(account_id)
        if self.accounts.close(account_id, reason, actor=actor, ground=ground):
            self._end_everything(found)
            self.mandates.end_of(found.subject_id)
            audit.security_event(
                "account.closed", account=account_id, reason=reason.value, actor=actor.kind.value
            )
        return self.accounts.account(account_id)

    def renumber(self, account_id: str, personal_number: str) -> None:
        """Follow a personal number that was established anew (Decree 70/2024 Art. 11).

        The account, its `sub` at every relying party, its consents and its history stay.

        Raises:
            BadIdentifierError: the account is no citizen's, or the number has not 12 digits.
            IdentifierTakenError: the number is another person's.
        """
        found = self.accounts.account(account_id)
        if found.kind is not AccountKind.CITIZEN:
            raise BadIdentifierError("only a citizen has a personal number")
        self._bear(found.subject_id, personal_number)
        audit.security_event("account.renumbered", account=account_id)

    def succeed(
        self, account_id: str, personal_number: str, actor: Actor, *, ground: str = ""
    ) -> Account:
        """Let a citizen's account succeed the account of a foreigner who naturalised.

        It is the same person, so her use history and consents stay hers; it is another account, so
        relying parties meet another `sub`, and she activates it anew.

        Raises:
            NoSuccessionError: the account is no foreigner's, or closed.
            BadIdentifierError: the number has not 12 digits.
            IdentifierTakenError: the number is another person's.
        """
        found = self.accounts.account(account_id)
        if found.kind is not AccountKind.FOREIGNER or found.closed_at is not None:
            raise NoSuccessionError
        self._bear(found.subject_id, personal_number)
        self.close(account_id, CloseReason.SUCCEEDED, actor, ground=ground)
        # The immigration register speaks of a foreigner who is none any more.
        self.held.forget(found.subject_id, Source.IMMIGRATION)
        level = found.level if found.level is not AccountLevel.NONE else AccountLevel.LEVEL_01
        return self.accounts.issue(
            found.subject_id,
            AccountKind.CITIZEN,
            level,
            actor=actor,
            ground=ground,
            successor_of=account_id,
        )

    def end_lapsed_holds(self) -> int:
        """Remove the holds whose time is over; return how many."""
        lapsed = self.accounts.lapsed_holds(self.clock())
        for account_id, reason in lapsed:
            self.unlock(account_id, reason, PROVIDER_ITSELF)
        return len(lapsed)

    def _bear(self, subject_id: str, personal_number: str) -> None:
        digits = "".join(personal_number.split())
        if len(digits) != 12 or not (digits.isascii() and digits.isdigit()):
            raise BadIdentifierError("a personal number has 12 digits")
        self.subjects.identify(
            subject_id, IdentifierType.PERSONAL_NUMBER, digits, Source.POPULATION.value
        )

    def _end_everything(self, found: Account) -> None:
        self.sessions.end_all(found.id)
        self.grants.revoke_of_account(found.id)
        self.grants.revoke_of_principal(found.subject_id)
