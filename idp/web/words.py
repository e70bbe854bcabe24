"""Plain words for what happens to accounts; several audiences read them."""

from accounts.account import (
    AccountKind,
    AccountState,
    ActorKind,
    CloseReason,
    EventKind,
    LockReason,
)
from idp.web.language import N_

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
