"""Contact data: what may stand there, and changing it, always with a notice to the old address."""

import re
from dataclasses import dataclass
from typing import Any

from accounts.account import Accounts
from accounts.attributes import HeldAttributes, Source
from accounts.errors import AccountsError, BadPhoneError
from accounts.notices import By, NoticeKind, Notices
from accounts.phone import e164
from idp import audit

CONTACTS = {"email": By.EMAIL, "phone_number": By.TEXT_MESSAGE}
"""The claims by which a person is reached, and how."""
_LONGEST = 200
_EMAIL = re.compile(r"[^@\s<>\"]{1,64}@[^@\s.<>\"]+(\.[^@\s.<>\"]+)+")


class BadContactError(AccountsError):
    """No e-mail address, or no phone number with its country code."""

    code = "bad-contact"


def fits(claim: str, text: str) -> bool:
    """True when the text can be the claim's value; an empty one always can."""
    try:
        as_stored(claim, text)
    except BadContactError:
        return False
    return True


def as_stored(claim: str, text: str) -> str:
    """Return the text as it is kept: phone numbers in E.164.

    Raises:
        BadContactError: the text cannot be such a contact.
    """
    if len(text) > _LONGEST or not text.isprintable():
        raise BadContactError
    if not text:
        return ""
    if claim == "phone_number":
        try:
            return e164(text)
        except BadPhoneError as error:
            raise BadContactError from error
    if not _EMAIL.fullmatch(text):
        raise BadContactError
    return text


@dataclass(frozen=True)
class ContactBook:
    """The contact data of everybody, within one transaction."""

    held: HeldAttributes
    notices: Notices
    accounts: Accounts

    def language_of(self, subject_id: str) -> str | None:
        """Return the language in which the person reads: that of the pages she chose last, else the
        one she stated; None when neither is known.
        """
        found = self.accounts.find_of_subject(subject_id)
        if found is not None and found.language:
            return found.language
        own = self.held.of_subject(subject_id).get(Source.SELF)
        stated = str(own.values.get("locale") or "") if own else ""
        return stated.replace("_", "-").partition("-")[0].lower() or None

    def of_subject(self, subject_id: str) -> dict[str, str]:
        """Return the contacts that are held."""
        own = self.held.of_subject(subject_id).get(Source.SELF)
        values = own.values if own else {}
        return {claim: str(values[claim]) for claim in CONTACTS if values.get(claim)}

    def tell(self, subject_id: str, kind: NoticeKind, facts: dict[str, str]) -> None:
        """Tell the person, on her pages and at the first address she gave."""
        contacts = self.of_subject(subject_id)
        claim = next(iter(contacts), "")
        self.notices.tell(
            subject_id, kind, facts, by=CONTACTS.get(claim), address=contacts.get(claim, "")
        )

    def tell_everywhere(self, subject_id: str, kind: NoticeKind, facts: dict[str, str]) -> None:
        """Tell the person, on her pages and at every address she gave."""
        contacts = self.of_subject(subject_id) or {"": ""}
        for number, (claim, address) in enumerate(contacts.items()):
            self.notices.tell(
                subject_id,
                kind,
                facts,
                by=CONTACTS.get(claim),
                address=address,
                is_copy=number > 0,
            )

    def change(self, subject_id: str, claim: str, text: str, *, officer_id: str = "") -> bool:
        """Replace one contact, an empty text removes it; False when it stood there already.

        Nobody has proved the new one yet. The notice goes to the old address, because that is where a
        person learns of a change that was not hers.

        Raises:
            BadContactError: the text cannot be such a contact.
        """
        text = as_stored(claim, text)
        own = self.held.of_subject(subject_id).get(Source.SELF)
        values: dict[str, Any] = dict(own.values) if own else {}
        before = str(values.get(claim) or "")
        if before == text:
            return False
        for name in (claim, f"{claim}_verified"):
            values.pop(name, None)
        if text:
            values |= {claim: text, f"{claim}_verified": False}
        self.held.hold(subject_id, Source.SELF, values)
        self.notices.tell(
            subject_id,
            NoticeKind.CONTACT_CHANGED,
            {"claim": claim, "before": before, "after": text, "officer": officer_id},
            by=CONTACTS[claim],
            address=before,
        )
        audit.security_event("contact.changed", claim=claim, by_officer=bool(officer_id))
        return True
