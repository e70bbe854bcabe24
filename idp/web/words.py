"""Plain words for what happens to accounts, and for values; several audiences read them."""

import re
from datetime import date

from accounts.account import (
    AccountKind,
    AccountState,
    ActorKind,
    CloseReason,
    EventKind,
    LockReason,
)
from accounts.attributes import Source
from accounts.recoveries import Way
from idp.web.language import N_, show_country, show_date, translate

SOURCES = {
    Source.POPULATION: N_("National population database"),
    Source.IMMIGRATION: N_("Immigration database"),
    Source.ENTERPRISES: N_("Business registration database"),
    Source.IDENTITY_CARDS: N_("Identity-card database"),
    Source.SOCIAL_INSURANCE: N_("Social-insurance database"),
    Source.OFFICIALS: N_("Database of officials"),
    Source.SELF: N_("The person's own word"),
    Source.PROVIDER: "Sen ID",
}
ACCOUNT_KINDS = {
    AccountKind.CITIZEN: N_("Citizen"),
    AccountKind.FOREIGNER: N_("Foreigner"),
    AccountKind.ORGANISATION: N_("Organisation"),
}
ACCOUNT_STATES = {
    AccountState.ISSUED: N_("Issued, not yet activated"),
    AccountState.ACTIVE: N_("Active"),
    AccountState.CLOSED: N_("Closed"),
}
LOCK_REASONS = {
    LockReason.HOLDER_REQUEST: N_("The holder asked for it"),
    LockReason.TERMS_BREACH: N_("Breach of the terms of use"),
    LockReason.CARD_REVOKED: N_("The identity card was revoked or withheld"),
    LockReason.CARD_EXPIRED: N_("The identity card has expired"),
    LockReason.PASSPORT_EXPIRED: N_("The passport has expired"),
    LockReason.RESIDENCE_ENDED: N_("The permitted residence has ended"),
    LockReason.AUTHORITY_ORDER: N_("Order of a competent authority"),
    LockReason.DISSOLVED: N_("The organisation has stopped operating"),
    LockReason.RISK: N_("Suspicion of fraud, for three days at most"),
}
RECOVERY_WAYS = {
    Way.TWO_WAYS: N_("by two remaining ways"),
    Way.CHIP: N_("by the identity card's chip"),
    Way.OFFICE: N_("by an office"),
}
CLOSE_REASONS = {
    CloseReason.DEATH: N_("Death"),
    CloseReason.DISSOLUTION: N_("Dissolution"),
    CloseReason.CITIZENSHIP_LOST: N_("Loss of citizenship"),
    CloseReason.SUCCEEDED: N_("Succeeded by another account"),
}
EVENTS = {
    EventKind.ISSUED: N_("Issued"),
    EventKind.ACTIVATED: N_("Activated"),
    EventKind.LEVEL_CHANGED: N_("Level changed"),
    EventKind.LOCKED: N_("Locked"),
    EventKind.UNLOCKED: N_("Unlocked"),
    EventKind.CLOSED: N_("Closed"),
    EventKind.RECOVERY_BEGUN: N_("Recovery begun"),
    EventKind.RECOVERED: N_("Recovered"),
    EventKind.CARD_GIVEN: N_("Code card given"),
    EventKind.PHONE_CODE_GIVEN: N_("Code to set a phone up given"),
}
ACTORS = {
    ActorKind.HOLDER: N_("The holder"),
    ActorKind.OFFICER: N_("An officer"),
    ActorKind.OPERATOR: N_("The operator"),
    ActorKind.REGISTER: N_("A register"),
    ActorKind.PROVIDER: "Sen ID",
}
_SEXES = {"male": N_("Male"), "female": N_("Female")}
_YES, _NO = N_("Yes"), N_("No")
_CODES: dict[str, dict[str, str]] = {
    "gender": _SEXES,
    "marital_status": {
        "single": N_("Single"),
        "married": N_("Married"),
        "divorced": N_("Divorced"),
        "widowed": N_("Widowed"),
    },
    "relation": {
        "father": N_("Father"),
        "mother": N_("Mother"),
        "spouse": N_("Husband or wife"),
        "child": N_("Child"),
        "guardian": N_("Guardian"),
        "head": N_("Head of the household"),
        "member": N_("Member of the household"),
    },
    "state": {
        "valid": N_("Valid"),
        "expired": N_("Expired"),
        "withdrawn": N_("Withdrawn"),
    },
    "kind": {
        "permanent": N_("Permanent"),
        "temporary": N_("Temporary"),
    },
    "si_status": {
        "contributing": N_("Paying contributions"),
        "paused": N_("Contributions paused"),
        "pension": N_("Receiving a pension"),
        "health-only": N_("Health insurance only"),
    },
}
"""Codes in words, by the claim or member in which they stand."""
_ISSUED_ON = N_("issued on %(date)s")
_VALID_UNTIL = N_("valid until %(date)s")


_ENDS = frozenset({"expiry", "valid_to"})
_DAYS = _ENDS | {"birthdate", "issue", "since", "organization_founded", "date", "from", "to"}


def in_words(claim: str, value: object) -> str:
    """Return a claim's value as a person reads it."""
    if isinstance(value, dict):
        if value.get("formatted"):
            return str(value["formatted"])
        return ", ".join(in_words(part, inner) for part, inner in value.items() if inner)
    if isinstance(value, list):
        return ", ".join(in_words(claim, inner) for inner in value)
    if isinstance(value, bool):
        return translate(_YES if value else _NO)
    text = str(value)
    if claim in {"nationalities", "country"}:
        return show_country(text)
    if claim in _DAYS and re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
        day = show_date(date.fromisoformat(text))
        if claim == "issue":
            return translate(_ISSUED_ON, date=day)
        return translate(_VALID_UNTIL, date=day) if claim in _ENDS else day
    # A parent's relation is said in the household's words.
    codes = _CODES.get("relation" if claim == "household_relation" else claim, {})
    return translate(codes[text]) if text in codes else text
