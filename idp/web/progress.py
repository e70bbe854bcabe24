"""An application in plain words: what is awaited, by when the law wants it decided, what was stated."""

import re
from datetime import timedelta
from typing import Any

import flask

from accounts.applications import Answer, Application, ApplicationKind, ApplicationState
from accounts.attributes import DICTIONARY
from accounts.legal_clock import working_days_between
from accounts.personal_number import Doubt
from idp import limits
from idp.applying.card import may_be_read_for
from idp.applying.office import Assessment
from idp.applying.rules import Awaited, Obstacle
from idp.web import context, errors, words
from idp.web.language import N_, translate

KINDS = {
    ApplicationKind.CITIZEN_01: N_("Citizen's account, level 01"),
    ApplicationKind.CITIZEN_02: N_("Citizen's account, level 02"),
    ApplicationKind.FOREIGNER_01: N_("Foreigner's account, level 01"),
    ApplicationKind.FOREIGNER_02: N_("Foreigner's account, level 02"),
    ApplicationKind.MINOR: N_("Account of a child or ward, level 01"),
    ApplicationKind.ORGANISATION: N_("Organisation's account"),
}
STATES = {
    ApplicationState.SUBMITTED: ("blue", N_("Received")),
    ApplicationState.CHECKING: ("blue", N_("Being checked")),
    ApplicationState.READY: ("yellow", N_("Waiting for the decision")),
    ApplicationState.REFUSED: ("red", N_("Refused")),
    ApplicationState.ISSUED: ("green", N_("Issued")),
}
AWAITED = {
    Awaited.REGISTER: N_("The register has not answered yet. We go on asking by ourselves."),
    Awaited.VISIT: N_("A visit in person to a desk, with the identity paper."),
    Awaited.DOCUMENT: N_("A document that shows the tie to the child or ward, at a desk."),
    Awaited.AGREEMENT: N_("The agreement of every other legal representative."),
}
OBSTACLES = {
    Obstacle.UNKNOWN_TO_REGISTER: N_(
        "The register knows nobody with this name, date of birth and number together."
    ),
    Obstacle.NOT_REPRESENTATIVE: N_("The register does not name the applicant as representative."),
    Obstacle.DECLINED: N_("A legal representative has declined."),
    Obstacle.PASSPORT_EXPIRED: N_("The passport has expired."),
    Obstacle.RESIDENCE_ENDED: N_("The residence card has expired."),
    Obstacle.HAS_ACCOUNT: N_("There is an account of this level already."),
    Obstacle.GUARDIAN_FIRST: N_("Below 14 years of age: a parent or guardian applies first."),
    Obstacle.APPLICANT_BARRED: N_("The applicant's own account of level 02 is not open any more."),
    Obstacle.CARD_NOT_VALID: N_(
        "The identity-card database does not know the card that was read as a valid one."
    ),
}
DOUBTS = {
    Doubt.YEAR: N_("The number's digits tell another year of birth."),
    Doubt.SEX: N_("The number's digits tell another sex."),
}
ANSWERS = {
    Answer.ASKED: ("blue", N_("Asked")),
    Answer.AGREED: ("green", N_("Agreed")),
    Answer.DECLINED: ("red", N_("Declined")),
}
_FIELDS = {
    "name": N_("Full name"),
    "birthdate": N_("Date of birth"),
    "personal_number": N_("Personal identification number"),
    "country": N_("Country of the passport"),
    "passport": N_("Passport number"),
    "residence_card": N_("Residence card number"),
    "email": N_("E-mail address"),
    "phone_number": N_("Phone number"),
    "tax_code": N_("Tax code"),
    "tie": N_("Tie to the applicant"),
}
_ORGANISATION_NAME = N_("Name of the organisation")
_CLAIMS = {"personal_number": "vn_pid", "name": "name", "tax_code": "tax_code"}
OF_OTHERS = {
    "organization_legal_reps": N_("Legal representatives"),
    "legal_representatives": N_("Legal representatives"),
    "organization_joint": N_("Whether they represent only together"),
    "parents": N_("Parents"),
    "legal_representative": N_("Representative or guardian"),
}
_MRZ = N_("Machine-readable zone of the passport")
_FAULTS = {
    "missing": N_("Fill this in"),
    "impossible": N_("This cannot be right; compare it with the paper"),
    "too-young": N_("Too young to apply by herself; a parent or guardian applies"),
    "old-enough": N_("From 14 years of age she applies by herself"),
    "no-contact": N_("Enter an e-mail address or a phone number"),
    "impossible-contact": N_("This cannot be right; look at it again"),
}
_YES, _NO = N_("Yes"), N_("No")
CHIP_REFUSALS = {
    "file-missing": N_("The reader app did not send every file of the card."),
    "too-large": N_("A file is larger than any card's."),
    "signature-wrong": N_("The signature on the card's files is not right."),
    "issuer-unknown": N_("The card was signed by an authority that we do not know."),
    "certificate-expired": N_("The certificate of whoever signed the card is not valid today."),
    "certificate-revoked": N_("The certificate of whoever signed the card was revoked."),
    "revocation-unknown": N_(
        "Whether the certificate was revoked cannot be told today. Try again tomorrow."
    ),
    "hash-wrong": N_("A file was changed after the card was signed."),
    "zone-wrong": N_("The card's machine-readable zone has a wrong check digit."),
    "files-contradict": N_("The card's files contradict each other."),
    "card-expired": N_("The card has expired."),
    "copy": N_("The chip did not sign our number: this may be a copy, or an old reading."),
    "card-not-valid": N_("The identity-card database does not call this card valid."),
    "register-away": N_("The identity-card database does not answer just now. Try again later."),
    "other-person": N_(
        "The card is not the one of whoever applies: number, name or date of birth differ."
    ),
    "too-young": N_("Below 14 years of age, level 02 is given at a desk."),
}
_OTHER_REFUSAL = N_("The card's files cannot be read, or use signatures that we do not accept.")
_TIES = {"parent": N_("Parent"), "guardian": N_("Guardian")}


def shown(found: Application) -> dict[str, Any]:
    """Return the application as pages show it to whoever applied."""
    services = context.services()
    assessed = services.application_office.assess(found)
    now = services.installation.clock()
    colour, state = STATES[found.state]
    code_is_due = (
        found.state is ApplicationState.ISSUED
        and found.account_id is not None
        and services.accounts.account(found.account_id).awaits_activation
    )
    return {
        "id": found.id,
        "kind": translate(KINDS[found.kind]),
        "name": found.stated["name"],
        "state": found.state.value,
        "tag": {"colour": colour, "text": translate(state)},
        "submitted_at": found.submitted_at,
        # The last moment in time, because "by 24:00 of Monday" reads as Monday, not Tuesday.
        "due_at": found.due_at - timedelta(seconds=1) if found.due_at else None,
        "is_late": found.is_late(now),
        "days_left": working_days_between(now, found.due_at) if found.due_at else None,
        "awaited": [translate(AWAITED[one]) for one in assessed.awaited]
        if found.state.is_open
        else [],
        "decided_at": found.decided_at,
        "decision": found.decision,
        "gives_code": code_is_due and (found.kind not in _AT_DESK or assessed.is_by_chip),
        "chip": _chip(found, assessed),
        "agreements": [_answer(one.name, one.answer) for one in assessed.agreements],
    }


def chip_code(found: Application) -> str | None:
    """Make a request to read the card and return its code; None when no reading is awaited, or too
    many were asked for.
    """
    services = context.services()
    counted = (limits.CHIP_APPLICATION, found.id)
    if not shown(found)["chip"]["is_offered"] or services.limits.is_exhausted(counted):
        return None
    services.limits.count_failure(counted)
    return services.chip_requests.begin(found.id)


def why_refused(refusal: str) -> str:
    """Return why a reading was refused, in words; nothing when it was not."""
    return translate(CHIP_REFUSALS.get(refusal, _OTHER_REFUSAL)) if refusal else ""


def _chip(found: Application, assessed: Assessment) -> dict[str, Any]:
    """Return whether the card's chip may be read for this application, and how the last try ended."""
    latest = context.services().chip_requests.latest_of(found.id)
    refusal = latest.refusal if latest is not None else ""
    is_offered = context.installation().card_trust is not None
    return {
        "is_offered": is_offered and may_be_read_for(found, assessed.awaited),
        "was_read": assessed.is_by_chip,
        "refusal": why_refused(refusal) or None,
    }


_AT_DESK = frozenset({ApplicationKind.CITIZEN_02, ApplicationKind.FOREIGNER_02})
"""What was proved in person is also handed over in person."""


def _answer(name: str, answer: Answer) -> dict[str, str]:
    colour, text = ANSWERS[answer]
    return {"name": name, "colour": colour, "text": translate(text)}


def stated(found: Application) -> list[dict[str, str]]:
    """Return what was stated, with plain names, in the form's order."""
    is_organisation = found.kind is ApplicationKind.ORGANISATION
    labels = _FIELDS | ({"name": _ORGANISATION_NAME} if is_organisation else {})
    return [
        {"field": field, "label": translate(label), "value": _value(field, found.stated[field])}
        for field, label in labels.items()
        if field in found.stated
    ]


def claim_of(field: str, kind: ApplicationKind) -> str:
    """Return the claim with which a register states the same as a field."""
    if field == "name" and kind is ApplicationKind.ORGANISATION:
        return "organization_name"
    return _CLAIMS.get(field, field)


def label_of(claim: str) -> str:
    """Return a claim's plain name."""
    row = DICTIONARY.get(claim)
    if row is not None:
        return row.label[flask.g.language]
    if claim == "passport_mrz":
        return translate(_MRZ)
    return translate(OF_OTHERS[claim]) if claim in OF_OTHERS else claim.replace("_", " ")


def fault(code: str) -> str:
    """Return what is wrong with a field, in words."""
    return translate(_FAULTS.get(code, _FAULTS["impossible"]))


def filled_in(*fields: str) -> dict[str, str]:
    """Read the fields of a form as they are stated: tidied, a date in figures as ISO 8601."""
    form = flask.request.form
    return {
        field: _iso(form.get(field, "")) if field == "birthdate" else _tidy(form.get(field, ""))
        for field in fields
    }


def too_many() -> str:
    """Return the sentence for somebody who tried too often."""
    return errors.message("too-many-failures")


def _tidy(text: str) -> str:
    return " ".join(text.split())[:300]


def _iso(text: str) -> str:
    """Return a date written 22/11/2003 as 2003-11-22; anything else stays as it is."""
    found = re.fullmatch(r"\s*(\d{1,2})[/.\-](\d{1,2})[/.\-](\d{4})\s*", text, re.ASCII)
    if found is None:
        return text.strip()[:40]
    day, month, year = found.groups()
    return f"{year}-{int(month):02}-{int(day):02}"


def _value(field: str, text: str) -> str:
    if field == "tie":
        return translate(_TIES[text])
    if field == "birthdate":
        return "/".join(reversed(text.split("-")))
    return text


def readable(claim: str, value: Any) -> str:
    """Return a register's value as an officer reads it: dates in figures, as on paper, and of other
    people nothing but their names.
    """
    if claim == "birthdate":
        return _value("birthdate", str(value))
    if isinstance(value, bool):
        return translate(_YES if value else _NO)
    if claim in OF_OTHERS:
        told = value if isinstance(value, list) else [value]
        names = (one.get("name", "") for one in told if isinstance(one, dict))
        return ", ".join(str(name) for name in names if name)
    return words.in_words(claim, value)
