"""What an officer does with other people's accounts: look, lock, unlock; every look is a use entry.

An entry names the office and a stable sign of the officer, never her name; the person reads it in her
own timeline. It is written in the transaction that shows her data, so nobody looks unseen.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from accounts.account import Account, AccountKind, Accounts, Actor, ActorKind, LockReason
from accounts.contact_requests import ContactRequest, ContactRequests
from accounts.errors import AccountClosedError, AccountsError
from accounts.notices import NoticeKind, Notices
from accounts.officers import Officer
from accounts.subject import Subjects
from accounts.unlocking import UnlockRequests
from consent.data_use import PROVIDER, Channel, SubjectRole, Use
from consent.use_log import UseLog
from idp import audit, limits
from idp.applying.rules import NotReadyError, OwnCaseError, written
from idp.contact import CONTACTS, ContactBook, as_stored
from idp.limits import Limits
from idp.standing import Standing

FOUR_EYES = frozenset({LockReason.AUTHORITY_ORDER})
"""The lock reasons that one officer alone does not remove."""
BY_OFFICERS = (
    LockReason.HOLDER_REQUEST,
    LockReason.TERMS_BREACH,
    LockReason.CARD_REVOKED,
    LockReason.AUTHORITY_ORDER,
    LockReason.RISK,
)
"""The lock reasons an officer may set; the others are events of the registers."""


class SearchesUsedUpError(AccountsError):
    """An officer searched for too many people who do not exist: that is guessing."""

    code = "too-many-failures"


class ContactTakenUpError(AccountsError):
    """Another change of this very contact waits for its second officer."""

    code = "contact-taken-up"


@dataclass(frozen=True)
class Desk:
    """One officer's work within one transaction."""

    officer: Officer
    accounts: Accounts
    subjects: Subjects
    standing: Standing
    unlock_requests: UnlockRequests
    contact_requests: ContactRequests
    contact_book: ContactBook
    notices: Notices
    use_log: UseLog
    limits: Limits
    correlation: str

    def look(
        self, subject_id: str, attributes: tuple[str, ...], purpose: str, *, organisation: bool
    ) -> None:
        """Record that the officer is being shown these attributes of the subject."""
        self.use_log.record(
            Use(
                subject_id=subject_id,
                client_id=PROVIDER,
                channel=Channel.STAFF_VIEW,
                attributes=attributes,
                purpose=purpose,
                purpose_version=1,
                legal_basis="statutory-function",
                correlation=self.correlation,
                subject_role=SubjectRole.ORGANISATION if organisation else SubjectRole.PRIMARY,
                other_party=self.officer.id,
            )
        )

    def search(self, identifier: str) -> Account | None:
        """Find an account by one exact identifier; nothing else can be searched for.

        Raises:
            SearchesUsedUpError: too many searches of this officer found nobody.
        """
        counted = (limits.DESK_SEARCH, self.officer.id)
        if self.limits.is_exhausted(counted):
            raise SearchesUsedUpError
        subject_id = self.subjects.find_for_sign_in(identifier) or self.subjects.find_organisation(
            identifier
        )
        found = self.accounts.find_of_subject(subject_id) if subject_id else None
        if found is None:
            self.limits.count_failure(counted)
        audit.security_event(
            "desk.search", officer=self.officer.id, account=found.id if found else None
        )
        return found

    def lock(self, account_id: str, reason: LockReason, ground: str) -> None:
        """Lock on a legal ground, in writing.

        Raises:
            NotReadyError: officers do not set this reason.
            ReasonMissingError: the ground is not named.
            OwnCaseError: it is the officer's own account.
            UnfittingReasonError: the law knows no such lock for this kind of account.
        """
        self._of_another(account_id)
        if reason not in BY_OFFICERS:
            raise NotReadyError
        self.standing.lock(account_id, reason, self._actor(), ground=written(ground))

    def unlock(self, account_id: str, reason: LockReason, ground: str) -> bool:
        """Unlock on a legal ground; False when a second officer has to confirm it first.

        Raises:
            ReasonMissingError: the ground is not named.
            OwnCaseError: it is the officer's own account.
            NotReadyError: this lock does not stand.
        """
        found = self._of_another(account_id)
        text = written(ground)
        if reason not in found.locks:
            raise NotReadyError
        if reason in FOUR_EYES:
            # While one request is open, another changes nothing.
            if self.unlock_requests.ask(account_id, reason, text, self.officer.id):
                audit.security_event("unlock.asked", account=account_id, officer=self.officer.id)
            return False
        self.standing.unlock(account_id, reason, self._actor(), ground=text)
        return True

    def confirm_unlock(self, request_id: str, *, confirms: bool) -> str:
        """Answer another officer's request; return the account's id.

        Raises:
            NotReadyError: it is the officer's own request, or was answered before.
            OwnCaseError: it is the officer's own account.
        """
        request = self.unlock_requests.find(request_id)
        if request is None:
            raise NotReadyError
        self._of_another(request.account_id)
        if not self.unlock_requests.answer(request_id, self.officer.id, confirms=confirms):
            raise NotReadyError
        if confirms:
            self.standing.unlock(
                request.account_id, request.reason, self._actor(), ground=request.ground
            )
        return request.account_id

    def evidence_of(self, account_id: str, evidence: str) -> tuple[Actor, str]:
        """Return who acts and on what, before new ways to sign in are handed to whoever is present;
        it is a use entry of hers.

        Raises:
            ReasonMissingError: what the person showed is not written down.
            OwnCaseError: it is the officer's own account.
        """
        found = self._of_another(account_id)
        ground = written(evidence)
        self.look(
            found.subject_id,
            self.claims_of(found),
            "account-care",
            organisation=found.kind is AccountKind.ORGANISATION,
        )
        return self._actor(), ground

    def look_at_contact(self, found: Account, contacts: Iterable[str] = CONTACTS) -> None:
        """Record that the officer is being shown name and contacts of the account's holder."""
        is_organisation = found.kind is AccountKind.ORGANISATION
        name = "organization_name" if is_organisation else "name"
        claims = (name, *contacts)
        self.look(found.subject_id, claims, "account-care", organisation=is_organisation)

    def ask_contact_change(self, account_id: str, claim: str, value: str, ground: str) -> None:
        """Ask a second officer to change a contact; the holder is told at once.

        Raises:
            BadContactError: the value cannot be such a contact.
            ReasonMissingError: the ground is not named.
            OwnCaseError: it is the officer's own account.
            AccountClosedError: there is nothing to change any more.
            ContactTakenUpError: another request for this contact is open.
        """
        found = self._of_another(account_id)
        if found.closed_at is not None:
            raise AccountClosedError
        value = as_stored(claim, value)
        text = written(ground)
        if not self.contact_requests.ask(account_id, claim, value, text, self.officer.id):
            raise ContactTakenUpError
        self._tell(found, NoticeKind.CONTACT_CHANGE_ASKED, claim)
        audit.security_event("contact.asked", account=account_id, officer=self.officer.id)

    def contact_request(self, request_id: str) -> ContactRequest:
        """Return a request that waits for a second officer.

        Raises:
            NotReadyError: there is none, or it was answered.
        """
        found = self.contact_requests.find(request_id)
        if found is None:
            raise NotReadyError
        return found

    def answer_contact_change(self, request_id: str, *, confirms: bool) -> None:
        """Answer another officer's request; what is confirmed is changed at once.

        Raises:
            NotReadyError: it is the officer's own request, or was answered before.
            OwnCaseError: it is the officer's own account.
            AccountClosedError: there is nothing to change any more.
        """
        request = self.contact_request(request_id)
        found = self._of_another(request.account_id)
        if found.closed_at is not None and confirms:
            raise AccountClosedError
        if not self.contact_requests.answer(request_id, self.officer.id, confirms=confirms):
            raise NotReadyError
        if confirms:
            self.contact_book.change(
                found.subject_id, request.claim, request.value, officer_id=self.officer.id
            )
        else:
            self._tell(found, NoticeKind.CONTACT_CHANGE_REFUSED, request.claim)

    def claims_of(self, found: Account) -> tuple[str, ...]:
        """Return the claims that an account's page shows."""
        own = ("vn_account_kind", "vn_account_level")
        match found.kind:
            case AccountKind.CITIZEN:
                return ("name", "birthdate", "vn_pid", *own)
            case AccountKind.FOREIGNER:
                return ("name", "birthdate", "passport", "residence_card", *own)
            case AccountKind.ORGANISATION:
                return ("organization_name", "tax_code", "vn_account_kind")

    def _tell(self, found: Account, kind: NoticeKind, claim: str) -> None:
        held = self.contact_book.of_subject(found.subject_id)
        self.notices.tell(
            found.subject_id,
            kind,
            {"claim": claim, "officer": self.officer.id},
            by=CONTACTS[claim],
            address=held.get(claim, ""),
        )

    def _of_another(self, account_id: str) -> Account:
        found = self.accounts.account(account_id)
        if found.subject_id == self.officer.subject_id:
            raise OwnCaseError
        return found

    def _actor(self) -> Actor:
        return Actor(ActorKind.OFFICER, self.officer.id)
