"""What the law asks of each kind of application, and what is wrong with one that cannot be."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from accounts import legal_clock
from accounts.account import AccountKind
from accounts.applications import ApplicationKind
from accounts.attributes import Source
from accounts.errors import AccountsError, BadIdentifierError
from accounts.legal_clock import TimeLimit
from accounts.levels import AccountLevel
from accounts.phone import is_phone
from accounts.subject import IdentifierType, check_tax_code

OWN_AGE = 14
"""From this age a citizen applies herself (Decree 69/2024 Art. 7)."""
LEVEL_02_AGE = 6
FOREIGNERS = frozenset({ApplicationKind.FOREIGNER_01, ApplicationKind.FOREIGNER_02})
_LEAST_REASON = 10
EMAIL = r"[^@\s<>\"]{1,64}@[^@\s.<>\"]+(\.[^@\s.<>\"]+)+"
"""What an address for e-mail looks like."""


class Awaited(StrEnum):
    """What an application still waits for."""

    REGISTER = "register"
    VISIT = "visit"
    DOCUMENT = "document"
    AGREEMENT = "agreement"


class Obstacle(StrEnum):
    """What stands against issuing; with one, an officer can only refuse."""

    UNKNOWN_TO_REGISTER = "unknown-to-register"
    NOT_REPRESENTATIVE = "not-representative"
    DECLINED = "declined"
    PASSPORT_EXPIRED = "passport-expired"
    RESIDENCE_ENDED = "residence-ended"
    HAS_ACCOUNT = "has-account"
    GUARDIAN_FIRST = "guardian-first"
    APPLICANT_BARRED = "applicant-barred"
    CARD_NOT_VALID = "card-not-valid"


class BadApplicationError(AccountsError):
    """What was stated cannot be; ``faults`` maps fields to codes of what is wrong with them."""

    code = "bad-application"

    def __init__(self, **faults: str) -> None:
        super().__init__(", ".join(f"{field}: {fault}" for field, fault in faults.items()))
        self.faults = faults


class NotEntitledError(AccountsError):
    """The applicant may not apply for this: it needs her own open account of level 02."""

    code = "not-entitled"


class NotReadyError(AccountsError):
    """The application cannot be decided so: it waits for something, or was decided already."""

    code = "application-not-ready"


class OwnCaseError(AccountsError):
    """An officer decides nothing that concerns herself."""

    code = "own-case"


class ReasonMissingError(AccountsError):
    """The law wants the reason in writing (Decree 69/2024 Art. 13)."""

    code = "reason-missing"


@dataclass(frozen=True)
class Rules:
    """What a kind of application needs."""

    source: Source
    identifier: IdentifierType
    number: str
    limit: TimeLimit | None
    account: AccountKind
    level: AccountLevel
    least_age: int
    by_holder: bool
    visit: bool = False
    asked_besides: tuple[str, ...] = ()


RULES = {
    ApplicationKind.CITIZEN_01: Rules(
        Source.POPULATION,
        IdentifierType.PERSONAL_NUMBER,
        "personal_number",
        legal_clock.CITIZEN_LEVEL_01,
        AccountKind.CITIZEN,
        AccountLevel.LEVEL_01,
        OWN_AGE,
        by_holder=False,
    ),
    # The clock of level 02 begins with the visit, which makes the file complete.
    ApplicationKind.CITIZEN_02: Rules(
        Source.POPULATION,
        IdentifierType.PERSONAL_NUMBER,
        "personal_number",
        None,
        AccountKind.CITIZEN,
        AccountLevel.LEVEL_02,
        LEVEL_02_AGE,
        by_holder=False,
        visit=True,
    ),
    ApplicationKind.FOREIGNER_01: Rules(
        Source.IMMIGRATION,
        IdentifierType.PASSPORT,
        "passport",
        legal_clock.FOREIGNER_LEVEL_01,
        AccountKind.FOREIGNER,
        AccountLevel.LEVEL_01,
        OWN_AGE,
        by_holder=False,
        asked_besides=("passport_mrz",),
    ),
    ApplicationKind.FOREIGNER_02: Rules(
        Source.IMMIGRATION,
        IdentifierType.PASSPORT,
        "passport",
        None,
        AccountKind.FOREIGNER,
        AccountLevel.LEVEL_02,
        LEVEL_02_AGE,
        by_holder=False,
        visit=True,
        asked_besides=("passport_mrz",),
    ),
    ApplicationKind.MINOR: Rules(
        Source.POPULATION,
        IdentifierType.PERSONAL_NUMBER,
        "personal_number",
        legal_clock.CITIZEN_LEVEL_01,
        AccountKind.CITIZEN,
        AccountLevel.LEVEL_01,
        0,
        by_holder=True,
        asked_besides=("parents", "legal_representative"),
    ),
    ApplicationKind.ORGANISATION: Rules(
        Source.ENTERPRISES,
        IdentifierType.TAX_CODE,
        "tax_code",
        legal_clock.ORGANISATION_IN_REGISTER,
        AccountKind.ORGANISATION,
        AccountLevel.NONE,
        0,
        by_holder=True,
        asked_besides=("organization_legal_reps", "legal_representatives", "organization_joint"),
    ),
}


def number_of(kind: ApplicationKind, stated: dict[str, str]) -> str:
    """Return the identifier by which the register is asked."""
    if kind in FOREIGNERS:
        return stated["country"].upper() + stated["passport"]
    return stated[RULES[kind].number]


def faults_in(kind: ApplicationKind, stated: dict[str, str], today: date) -> dict[str, str]:
    """Return what is wrong with what was stated: fields and codes."""
    faults = {}
    name = stated.get("name", "")
    if not name or len(name) > 200 or not name.isprintable():
        faults["name"] = "missing"
    if kind is ApplicationKind.ORGANISATION:
        return faults | _tax_code_fault(stated)
    for field, pattern in _PATTERNS[kind].items():
        if not re.fullmatch(pattern, stated.get(field, ""), re.ASCII):
            faults[field] = "impossible"
    if kind is ApplicationKind.FOREIGNER_01:
        faults |= _contact_faults(stated)
    if kind is ApplicationKind.MINOR and stated.get("tie") not in {"parent", "guardian"}:
        faults["tie"] = "missing"
    return faults | _birthdate_fault(kind, stated, today)


_OF_CITIZENS = {"personal_number": r"[0-9]{12}"}
_PATTERNS = {
    ApplicationKind.CITIZEN_01: _OF_CITIZENS,
    ApplicationKind.CITIZEN_02: _OF_CITIZENS,
    ApplicationKind.MINOR: _OF_CITIZENS,
    ApplicationKind.FOREIGNER_01: {
        "country": r"[A-Za-z]{3}",
        "passport": r"[A-Za-z0-9]{5,20}",
    },
    ApplicationKind.FOREIGNER_02: {
        "country": r"[A-Za-z]{3}",
        "passport": r"[A-Za-z0-9]{5,20}",
        "residence_card": r"[A-Za-z0-9\-]{4,20}",
    },
}


def _contact_faults(stated: dict[str, str]) -> dict[str, str]:
    """Return what is wrong with the contact; one of both is needed (Decree 69/2024 Art. 11)."""
    email, phone = stated.get("email", ""), stated.get("phone_number", "")
    faults = {}
    if email and not re.fullmatch(EMAIL, email):
        faults["email"] = "impossible-contact"
    if phone and not is_phone(phone):
        faults["phone_number"] = "impossible-contact"
    if not email and not phone:
        faults["email"] = "no-contact"
    return faults


def _tax_code_fault(stated: dict[str, str]) -> dict[str, str]:
    try:
        check_tax_code(stated.get("tax_code", ""))
    except BadIdentifierError:
        return {"tax_code": "impossible"}
    return {}


def _birthdate_fault(kind: ApplicationKind, stated: dict[str, str], today: date) -> dict[str, str]:
    try:
        born = date.fromisoformat(stated.get("birthdate", ""))
        if not date(1880, 1, 1) <= born <= today:
            raise ValueError
    except ValueError:
        return {"birthdate": "impossible"}
    age = legal_clock.age(born, today)
    if age < RULES[kind].least_age:
        return {"birthdate": "too-young"}
    if kind is ApplicationKind.MINOR and stated.get("tie") == "parent" and age >= OWN_AGE:
        return {"birthdate": "old-enough"}
    return {}


def written(reason: str) -> str:
    """Return a reason or a document's name, tidied.

    Raises:
        ReasonMissingError: it is too short to be one, or longer than 2000 characters.
    """
    text = " ".join(reason.split())
    if len(text) < _LEAST_REASON or len(text) > 2000:
        raise ReasonMissingError
    return text


def is_over(document: Any, today: date) -> bool:
    """True when the document states an expiry that has passed, or none at all."""
    try:
        return date.fromisoformat(document["expiry"]) < today
    except (TypeError, KeyError, ValueError):
        return True


def representatives_in(values: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the legal representatives that the register states: personal number (or none), name.

    It may give their numbers in a list beside the names, one for each and in the same order.
    """
    told = values.get("organization_legal_reps")
    people = [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []
    beside = list(numbers_in(values.get("legal_representatives")))
    if len(beside) != len(people):
        beside = [""] * len(people)
    return [
        (next(numbers_in(one), number), str(one.get("name", "")))
        for one, number in zip(people, beside, strict=True)
    ]


def numbers_in(value: Any) -> Iterator[str]:
    """Find the personal numbers in what a register states, however it is laid out."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from numbers_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from numbers_in(inner)
    elif isinstance(value, str) and re.fullmatch(r"[0-9]{12}", value, re.ASCII):
        yield value
