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
from idp.web.language import N_, show_country, show_date, translate

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
}
ACTORS = {
    ActorKind.HOLDER: N_("The holder"),
    ActorKind.OFFICER: N_("An officer"),
    ActorKind.OPERATOR: N_("The operator"),
    ActorKind.REGISTER: N_("A register"),
    ActorKind.PROVIDER: "Sen ID",
}
_SEXES = {"male": N_("Male"), "female": N_("Female")}
_VALID_UNTIL = N_("valid until %(date)s")


def in_words(claim: str, value: object) -> str:
    """Return a claim's value as a person reads it."""
    if isinstance(value, dict):
        if value.get("formatted"):
            return str(value["formatted"])
        return ", ".join(in_words(part, inner) for part, inner in value.items() if inner)
    if isinstance(value, list):
        return ", ".join(in_words(claim, inner) for inner in value)
    text = str(value)
    if claim in {"nationalities", "country"}:
        return show_country(text)
    if claim in {"birthdate", "expiry"} and re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
        day = show_date(date.fromisoformat(text))
        return day if claim == "birthdate" else translate(_VALID_UNTIL, date=day)
    return translate(_SEXES[text]) if text in _SEXES else text
