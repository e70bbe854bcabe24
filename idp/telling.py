"""Telling people about uses of their data: whoever may read the record is told, as each of them chose."""

from dataclasses import dataclass

from accounts.account import AccountKind, Accounts
from accounts.attributes import HeldAttributes, best_value
from accounts.legal_clock import age, born_between, today
from accounts.mandates import Mandate, Mandates, MandateType
from accounts.notice_choices import NoticeChoices, Topic, Where
from accounts.notices import By, NoticeKind, Notices
from accounts.schema import Clock
from idp.contact import CONTACTS, ContactBook
from idp.oidc.disclosure import may_tell_secrets

OWN_RECORD_FROM = 14
"""From this age a child has her own account, and her record is hers alone (Decree 69/2024 Art. 7)."""
_LOOKS = frozenset(
    {
        MandateType.LEGAL_REP,
        MandateType.ORG_HEAD,
        MandateType.ORG_ADMIN,
        MandateType.PARENT,
        MandateType.GUARDIAN,
    }
)
"""Whose mandate lets them see every use of the other's data; members and proxies see their own."""
_CLAIMS = {Where.EMAIL: "email", Where.TEXT_MESSAGE: "phone_number"}


def may_look(mandate: Mandate, held: HeldAttributes, clock: Clock) -> bool:
    """True when who holds the mandate reads the whole record of its principal."""
    if mandate.type is not MandateType.PARENT:
        return mandate.type in _LOOKS
    stated = best_value(held.of_subject(mandate.principal_id), "birthdate")
    try:
        _first, last = born_between(str(stated))
    except ValueError:
        return False
    return age(last, today(clock())) < OWN_RECORD_FROM


@dataclass(frozen=True)
class Telling:
    """Tells people, within one transaction."""

    notices: Notices
    contact_book: ContactBook
    choices: NoticeChoices
    mandates: Mandates
    accounts: Accounts
    held: HeldAttributes
    clock: Clock

    def tell(
        self,
        subject_id: str,
        topic: Topic,
        kind: NoticeKind,
        facts: dict[str, str],
        *,
        is_secret: bool = False,
    ) -> int:
        """Tell those whose business the subject's record is; return how many were told. What
        ``is_secret`` is told to nobody from whom the law keeps what is sensitive.

        Of a child or ward these are parents or guardian; of an organisation nobody, whose record its
        representatives read when they act.
        """
        told = 0
        for reader in self._readers(subject_id, is_secret=is_secret):
            about = {"of": subject_id} if reader != subject_id else {}
            told += self.tell_one(reader, topic, kind, {**facts, **about})
        return told

    def tell_one(self, reader: str, topic: Topic, kind: NoticeKind, facts: dict[str, str]) -> bool:
        """Tell this person where she chose to be told of the topic; False when nowhere."""
        where = self.choices.of(reader).topics[topic]
        if where is Where.NOWHERE:
            return False
        claim = _CLAIMS.get(where, "")
        address = self.contact_book.of_subject(reader).get(claim, "") if claim else ""
        by: By | None = CONTACTS.get(claim)
        self.notices.tell(reader, kind, facts, by=by, address=address)
        return True

    def _readers(self, subject_id: str, *, is_secret: bool) -> list[str]:
        account = self.accounts.find_of_subject(subject_id)
        if account is not None and account.kind is AccountKind.ORGANISATION:
            return []
        guardians = [
            one.agent_id
            for one in self.mandates.standing_for(
                subject_id, MandateType.PARENT, MandateType.GUARDIAN
            )
            if one.agent_id
            and may_look(one, self.held, self.clock)
            and (not is_secret or may_tell_secrets(one, self.held, self.clock))
        ]
        if guardians:
            return sorted(set(guardians))
        return [] if account is None or account.closed_at is not None else [subject_id]
