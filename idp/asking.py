"""What people ask of agencies about uses of their data, and what agencies make of it.

Asking writes a use entry, because the agency learns who asks. Each step of the agency is told to the
person.
"""

from dataclasses import dataclass

from accounts.errors import AccountsError
from accounts.notices import NoticeKind
from consent.cases import LONGEST, Case, Cases, Finding
from consent.data_use import PROVIDER, Channel, SubjectRole, Use
from consent.deadlines import Right
from consent.purposes import purpose
from consent.use_log import UseLog
from idp import audit, limits
from idp.contact import ContactBook
from idp.limits import Limits

_PURPOSE = "own-question"


class CaseGoneError(AccountsError):
    """The case is not there, not one's own, or past this step."""

    code = "case-gone"


class TooManyCasesError(AccountsError):
    """The person has asked very often today."""

    code = "too-many-cases"


class BadWordsError(AccountsError):
    """What was written is too long, or missing where it has to be said."""

    code = "bad-words"


@dataclass(frozen=True)
class Asking:
    """Opens cases and takes agencies' steps, within one transaction."""

    cases: Cases
    use_log: UseLog
    contact_book: ContactBook
    limits: Limits
    correlation: str

    def ask(
        self,
        right: Right,
        *,
        subject_id: str,
        opened_by: str,
        client_id: str,
        position: int,
        words: str,
        organisation: bool,
    ) -> Case:
        """Open the case, or return the one that asks the same and still waits.

        Raises:
            BadWordsError: the words are too long, or none explain an objection or complaint.
            TooManyCasesError: she opened too many today.
        """
        text = tidied(words, needed=right is not Right.EXPLAIN)
        counted = (limits.CASES, opened_by)
        if self.limits.is_exhausted(counted):
            raise TooManyCasesError
        self.limits.count_failure(counted)
        found, is_new = self.cases.open(
            right,
            subject_id=subject_id,
            opened_by=opened_by,
            client_id=client_id,
            position=position,
            words=text,
        )
        if is_new:
            audit.security_event("case.opened", case=found.id, party=client_id, right=right.value)
            if client_id != PROVIDER:
                self._note(found, organisation=organisation)
        return found

    def acknowledge(self, reference: str, client_id: str) -> None:
        """Take the agency's word that it has the case.

        Raises:
            CaseGoneError: not its case, or it said so before.
        """
        self._taken(self.cases.acknowledge(reference, client_id), reference, "acknowledged")

    def extend(self, reference: str, client_id: str, reason: str, *, through_others: bool) -> None:
        """Take the agency's one extension (Decree 356/2025/ND-CP Art. 5).

        Raises:
            BadWordsError: without a reason there is none.
            CaseGoneError: not its case, or late, extended or answered before.
        """
        text = tidied(reason, needed=True)
        done = self.cases.extend(reference, client_id, text, through_others=through_others)
        self._taken(done, reference, "extended")

    def answer(self, reference: str, client_id: str, finding: Finding, text: str) -> None:
        """Take the agency's answer.

        Raises:
            BadWordsError: an answer is in words.
            CaseGoneError: not its case, or it was answered or closed before.
        """
        words = tidied(text, needed=True)
        self._taken(self.cases.answer(reference, client_id, finding, words), reference, "answered")

    def rule(self, case_id: str, officer_id: str, text: str) -> None:
        """Close a case that was brought to the authority, with what it found.

        Raises:
            BadWordsError: a finding is in words.
            CaseGoneError: it was not brought to the authority, or is closed.
        """
        words = tidied(text, needed=True)
        done = self.cases.rule(case_id, officer_id, words)
        self._taken(done, self.cases.case(case_id).reference, "ruled")

    def _taken(self, done: bool, reference: str, what: str) -> None:
        found = self.cases.find(reference)
        if not done or found is None:
            raise CaseGoneError
        audit.security_event(f"case.{what}", case=found.id, party=found.client_id)
        facts = {"case": found.id, "reference": found.reference, "what": what}
        self.contact_book.tell(found.opened_by, NoticeKind.CASE_MOVED, facts)

    def _note(self, found: Case, *, organisation: bool) -> None:
        """Write down that the agency learns who asks."""
        reason = purpose(_PURPOSE)
        acted = found.opened_by != found.subject_id
        self.use_log.record(
            Use(
                subject_id=found.subject_id,
                client_id=found.client_id,
                channel=Channel.CASE,
                attributes=("sub",),
                purpose=reason.code,
                purpose_version=reason.version,
                legal_basis="right-of-access",
                correlation=self.correlation,
                subject_role=SubjectRole.ORGANISATION if organisation else SubjectRole.PRIMARY,
                other_party=found.opened_by if acted else None,
            )
        )


def tidied(words: str, *, needed: bool) -> str:
    """Return what was written, without control characters and blanks around it.

    Raises:
        BadWordsError: it is too long, or needed and not there.
    """
    lines = ("".join(s for s in line if s.isprintable()) for line in words.splitlines())
    text = "\n".join(lines).strip()
    if len(text) > LONGEST or (needed and len(text) < 5):
        raise BadWordsError
    return text
