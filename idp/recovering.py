"""Coming back after ways to sign in were lost: as strong as issuing was, and never by support alone.

Either an office gives a code to the person who is present, on written evidence; or she signs in with
two ways that are left (password and a code) and waits three days, in which every address of hers is
told and any passkey, any sign-in and any notice's link stops it; or she signs in with her password
and reads her own identity card's chip, which proves as much as level 02 asks for. In the end
everything old is void.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from accounts.account import ACTIVATION_CODE_LIFETIME, HOLDER, Account, Accounts, Actor, EventKind
from accounts.attributes import HeldAttributes, best_value
from accounts.authenticators import Passkeys
from accounts.chip.errors import ChipRefusedError
from accounts.chip.files import Holder
from accounts.errors import AccountsError
from accounts.levels import SECOND_FACTORS, AuthenticationMethod
from accounts.notices import NoticeKind
from accounts.phone_invitations import PhoneInvitations
from accounts.phones import Phones
from accounts.recoveries import Recoveries, Way
from accounts.schema import Clock
from accounts.second_factors import SecondFactors
from accounts.secrets import Passwords
from accounts.sessions import BrowserSession, BrowserSessions
from accounts.subject import IdentifierType, Subjects
from idp import audit
from idp.oidc.grants import Grants

WAIT = timedelta(hours=72)
OPEN_FOR = timedelta(days=14)
"""For so long after the wait a new passkey can be made; then it has to be begun anew."""
CHIP_OPEN_FOR = timedelta(hours=1)
"""For so long after the card was read."""


class RecoveryRefusedError(AccountsError):
    """Not with this sign-in, or one is under way already."""

    code = "recovery-refused"


class NotOpenError(AccountsError):
    """The account is locked, closed or was never activated: there is nothing to come back to."""

    code = "application-not-ready"


@dataclass(frozen=True)
class Recovering:
    """Recoveries within one transaction."""

    accounts: Accounts
    subjects: Subjects
    held: HeldAttributes
    passkeys: Passkeys
    passwords: Passwords
    second_factors: SecondFactors
    phones: Phones
    phone_invitations: PhoneInvitations
    sessions: BrowserSessions
    grants: Grants
    recoveries: Recoveries
    tell: Callable[[str, NoticeKind, dict[str, str]], None]
    """Tells the person at every address she gave."""
    clock: Clock

    def begin_by_two_ways(self, session: BrowserSession) -> None:
        """Let the waiting time begin.

        Raises:
            RecoveryRefusedError: she did not sign in by two ways, or waits already.
        """
        if not has_two_ways(session):
            raise RecoveryRefusedError
        ready = self.clock() + WAIT
        if not self.recoveries.begin(session.account_id, Way.TWO_WAYS, ready, ready + OPEN_FOR):
            raise RecoveryRefusedError
        self._begun(self.accounts.account(session.account_id), Way.TWO_WAYS, HOLDER, "")

    def begin_by_office(self, account_id: str, actor: Actor, ground: str) -> str:
        """Return a code for the person who is present, good once; it replaces what was under way.

        Raises:
            NotOpenError: the account cannot be used at present.
        """
        found = self.accounts.account(account_id)
        if not found.is_open:
            raise NotOpenError
        now = self.clock()
        # Whoever has the lost phone is out before the code is read out.
        self.sessions.end_all(account_id)
        self.grants.revoke_of_account(account_id)
        self.recoveries.cancel(account_id)
        self.recoveries.begin(account_id, Way.OFFICE, now, now + ACTIVATION_CODE_LIFETIME)
        self._begun(found, Way.OFFICE, actor, ground)
        return self.accounts.new_activation_code(account_id)

    def check_card(self, account_id: str, holder: Holder) -> str:
        """Return the subject of the account if the card is its holder's own.

        Raises:
            ChipRefusedError: the card is somebody else's, or the account no citizen's.
        """
        found = self.accounts.account(account_id)
        numbers = {
            known.value
            for known in self.subjects.identifiers_of(found.subject_id)
            if known.type is IdentifierType.PERSONAL_NUMBER and known.valid_to is None
        }
        held = self.held.of_subject(found.subject_id)
        same = (
            holder.personal_number in numbers
            and holder.name.casefold() == str(best_value(held, "name")).casefold()
            and holder.birthdate.isoformat() == best_value(held, "birthdate")
        )
        if not same:
            raise ChipRefusedError("other-person")
        return found.subject_id

    def begin_by_chip(self, account_id: str, session_id: str, holder: Holder, card: object) -> None:
        """Let the browser session that asked for the reading make a new passkey within an hour.
        ``card`` is what the card register says: it has to be a valid one, and this very card.

        Raises:
            ChipRefusedError: it is not.
            RecoveryRefusedError: the account cannot be used, or an office's code is out.
        """
        check_valid(holder, card)
        found, now = self.accounts.account(account_id), self.clock()
        self.recoveries.cancel(account_id, Way.TWO_WAYS, Way.CHIP)
        if not found.is_open or not self.recoveries.begin(
            account_id, Way.CHIP, now, now + CHIP_OPEN_FOR, session_id=session_id
        ):
            raise RecoveryRefusedError
        self._begun(found, Way.CHIP, HOLDER, "")

    def cancel(self, account_id: str) -> bool:
        """Stop the wait; False when there is none. A code that an office gave is not stopped by who
        happens to be signed in, only by "this was not me" (``idp.alarm``).
        """
        if not self.recoveries.cancel(account_id, Way.TWO_WAYS, Way.CHIP):
            return False
        self.tell(self.accounts.account(account_id).subject_id, NoticeKind.RECOVERY_CANCELLED, {})
        audit.security_event("recovery.cancelled", account=account_id)
        return True

    def finish(self, account_id: str, way: Way, *, but: str | None = None) -> bool:
        """Void every way to sign in, every session (but one) and every grant of the account, right
        before its holder makes a new passkey; False when no recovery of this way is ready.
        """
        if not self.recoveries.finish(account_id, way):
            return False
        self.passkeys.remove_all(account_id)
        self.passwords.remove(account_id)
        self.second_factors.remove_totp(account_id)
        self.second_factors.remove_card(account_id)
        self.phones.remove_all(account_id)
        self.phone_invitations.end_all(account_id)
        self.accounts.spend_activation_code(account_id)
        self.sessions.end_all(account_id, but=but)
        self.grants.revoke_of_account(account_id)
        self.accounts.note(account_id, EventKind.RECOVERED, way.value, HOLDER)
        subject_id = self.accounts.account(account_id).subject_id
        self.tell(subject_id, NoticeKind.RECOVERED, {})
        audit.security_event("recovery.finished", account=account_id, way=way.value)
        return True

    def _begun(self, found: Account, way: Way, actor: Actor, ground: str) -> None:
        self.accounts.note(found.id, EventKind.RECOVERY_BEGUN, way.value, actor, ground)
        self.tell(found.subject_id, NoticeKind.RECOVERY_BEGUN, {"way": way.value})
        audit.security_event("recovery.begun", account=found.id, way=way.value)


def check_valid(holder: Holder, card: object) -> None:
    """Compare the card that was read with what the card register says: valid, and this very card.

    Raises:
        ChipRefusedError: it is not.
    """
    is_valid = (
        isinstance(card, dict)
        and card.get("state") == "valid"
        and card.get("issue") == holder.issued.isoformat()
        and (card.get("expiry") or "") == (holder.expiry.isoformat() if holder.expiry else "")
    )
    if not is_valid:
        raise ChipRefusedError("card-not-valid")


def has_two_ways(session: BrowserSession) -> bool:
    """True when the session began with the password and a code beside it."""
    return AuthenticationMethod.PASSWORD in session.methods and bool(
        SECOND_FACTORS.intersection(session.methods)
    )
