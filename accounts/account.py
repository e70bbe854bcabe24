"""Accounts: the record the provider keeps of a subject, its level, state, locks and their history.

What happens around a change of state (sessions, grants and mandates that end with it) is decided in
one place above this one, ``idp.standing``; everything but tests changes states there.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    ForeignKey,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Table,
    delete,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from accounts.errors import AccountClosedError, UnknownAccountError
from accounts.levels import AccountLevel
from accounts.schema import Chance, Clock, UTCDateTime, metadata, new_id
from accounts.vault import Vault, sealed_as

ACTIVATION_CODE_LIFETIME = timedelta(days=7)


class AccountKind(StrEnum):
    """The kinds of Decree 69/2024 Art. 7."""

    CITIZEN = "citizen"
    FOREIGNER = "foreigner"
    ORGANISATION = "organisation"


class AccountState(StrEnum):
    """Where an account stands; a locked account is one with at least one lock reason."""

    ISSUED = "issued"
    ACTIVE = "active"
    CLOSED = "closed"


class LockReason(StrEnum):
    """Why an account is locked (Decree 69/2024 Art. 15 and 29, and our own fraud hold).

    Reasons are a set: each is added and removed by an event of its own, and the account is open
    only while none stands.
    """

    HOLDER_REQUEST = "holder-request"
    TERMS_BREACH = "terms-breach"
    CARD_REVOKED = "card-revoked"
    CARD_EXPIRED = "card-expired"
    PASSPORT_EXPIRED = "passport-expired"
    RESIDENCE_ENDED = "residence-ended"
    AUTHORITY_ORDER = "authority-order"
    DISSOLVED = "dissolved"
    RISK = "risk"


class CloseReason(StrEnum):
    """Why an account is closed for good. Nothing opens it again; its record is kept."""

    DEATH = "death"
    DISSOLUTION = "dissolution"
    CITIZENSHIP_LOST = "citizenship-lost"
    SUCCEEDED = "succeeded"


class EventKind(StrEnum):
    """What can happen to an account."""

    ISSUED = "issued"
    ACTIVATED = "activated"
    LEVEL_CHANGED = "level-changed"
    LOCKED = "locked"
    UNLOCKED = "unlocked"
    CLOSED = "closed"
    RECOVERY_BEGUN = "recovery-begun"
    RECOVERED = "recovered"
    CARD_GIVEN = "card-given"
    PHONE_CODE_GIVEN = "phone-code-given"


class ActorKind(StrEnum):
    """Who brought a change about."""

    HOLDER = "holder"
    OFFICER = "officer"
    OPERATOR = "operator"
    REGISTER = "register"
    PROVIDER = "provider"


@dataclass(frozen=True)
class Actor:
    """Who brings a change about; ``id`` is an officer's, or names the register."""

    kind: ActorKind
    id: str | None = None


PROVIDER_ITSELF = Actor(ActorKind.PROVIDER)
HOLDER = Actor(ActorKind.HOLDER)
OPERATOR = Actor(ActorKind.OPERATOR)

account = Table(
    "account",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("subject_id", String(32), ForeignKey("subject.id"), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("level", String(8), nullable=False),
    Column("state", String(16), nullable=False),
    Column("user_handle", LargeBinary, nullable=False, unique=True),
    Column("issued_at", UTCDateTime, nullable=False),
    Column("activated_at", UTCDateTime),
    Column("closed_at", UTCDateTime),
    Column("closed_reason", String(24)),
    Column("successor_of", String(32)),
    # That of the pages the holder chose last; empty until she did.
    Column("language", String(8)),
)
# One live account a subject; a foreigner who naturalises has a closed one beside it.
Index(
    "uq_account_live",
    account.c.subject_id,
    unique=True,
    sqlite_where=account.c.state != AccountState.CLOSED.value,
    postgresql_where=account.c.state != AccountState.CLOSED.value,
)
Index("ix_account_subject_id", account.c.subject_id)

account_lock = Table(
    "account_lock",
    metadata,
    Column("account_id", String(32), ForeignKey("account.id"), nullable=False),
    Column("reason", String(24), nullable=False),
    Column("since", UTCDateTime, nullable=False),
    # Only our own fraud hold ends by itself.
    Column("until", UTCDateTime),
    PrimaryKeyConstraint("account_id", "reason"),
)

account_event = Table(
    "account_event",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("account_id", String(32), ForeignKey("account.id"), nullable=False, index=True),
    Column("kind", String(16), nullable=False),
    Column("reason", String(24)),
    Column("actor", String(16), nullable=False),
    Column("actor_id", String(32)),
    # The document it rests on, in an officer's words: it may name people, so it is sealed.
    Column("ground", LargeBinary, info=sealed_as("account-event", "id")),
    Column("at", UTCDateTime, nullable=False),
)

activation = Table(
    "activation",
    metadata,
    Column("account_id", String(32), ForeignKey("account.id"), primary_key=True),
    Column("code_mac", LargeBinary, nullable=False),
    Column("expires_at", UTCDateTime, nullable=False),
)


@dataclass(frozen=True)
class AccountEvent:
    """One change of an account: what, why, by whom, on what written ground, and when."""

    kind: EventKind
    reason: str | None
    actor: Actor
    ground: str
    at: datetime


@dataclass(frozen=True)
class Account:
    """An account as it stands now."""

    id: str
    subject_id: str
    kind: AccountKind
    level: AccountLevel
    state: AccountState
    user_handle: bytes
    issued_at: datetime
    activated_at: datetime | None
    locks: frozenset[LockReason]
    closed_at: datetime | None = None
    closed_reason: CloseReason | None = None
    successor_of: str | None = None
    language: str | None = None

    @property
    def is_open(self) -> bool:
        """True while the holder may use the account: active, and no lock reason stands."""
        return self.state is AccountState.ACTIVE and not self.locks

    @property
    def awaits_activation(self) -> bool:
        """True when issued but never yet used."""
        return self.state is AccountState.ISSUED and not self.locks


class Accounts:
    """All accounts."""

    def __init__(self, db: Connection, clock: Clock, chance: Chance, vault: Vault) -> None:
        self._db = db
        self._clock = clock
        self._chance = chance
        self._vault = vault

    def issue(
        self,
        subject_id: str,
        kind: AccountKind,
        level: AccountLevel,
        *,
        actor: Actor = PROVIDER_ITSELF,
        ground: str = "",
        successor_of: str | None = None,
    ) -> Account:
        """Issue the subject's account; the holder still has to activate it."""
        now = self._clock()
        account_id = new_id(now, self._chance)
        self._db.execute(
            insert(account).values(
                id=account_id,
                subject_id=subject_id,
                kind=kind.value,
                level=level.value,
                state=AccountState.ISSUED.value,
                # WebAuthn L3 §4: opaque, random, no personal data.
                user_handle=self._chance(32),
                issued_at=now,
                successor_of=successor_of,
            )
        )
        self._note(account_id, EventKind.ISSUED, level.value, actor, ground)
        return self.account(account_id)

    def account(self, account_id: str) -> Account:
        """Return the account.

        Raises:
            UnknownAccountError: there is none with this id.
        """
        found = self._one(account.c.id == account_id)
        if found is None:
            raise UnknownAccountError
        return found

    def find_of_subject(self, subject_id: str) -> Account | None:
        """Return the subject's account, if one was issued; a live one before closed ones."""
        return self._one(account.c.subject_id == subject_id)

    def remember_language(self, account_id: str, language: str) -> None:
        """Remember in which language the holder reads: letters to her are written in it."""
        is_other = or_(account.c.language.is_(None), account.c.language != language)
        self._db.execute(
            update(account).where(account.c.id == account_id, is_other).values(language=language)
        )

    def set_level(
        self,
        account_id: str,
        level: AccountLevel,
        *,
        actor: Actor = PROVIDER_ITSELF,
        ground: str = "",
    ) -> bool:
        """Record a newly proved account level; False when the account has it already."""
        changed = self._db.execute(
            update(account)
            .where(account.c.id == account_id, account.c.level != level.value)
            .values(level=level.value)
        ).rowcount
        if changed:
            self._note(account_id, EventKind.LEVEL_CHANGED, level.value, actor, ground)
        return changed == 1

    def give_activation_code(self, account_id: str, code: str) -> None:
        """Set the code that the holder activates with; an earlier code stops working."""
        self._db.execute(delete(activation).where(activation.c.account_id == account_id))
        self._db.execute(
            insert(activation).values(
                account_id=account_id,
                code_mac=code_mac(self._vault, account_id, code),
                expires_at=self._clock() + ACTIVATION_CODE_LIFETIME,
            )
        )

    def new_activation_code(self, account_id: str) -> str:
        """Make and set a code of twelve digits, easy to read out at a desk, and return it once."""
        code = new_code(self._chance)
        self.give_activation_code(account_id, code)
        return code

    def activation_code_fits(self, account_id: str, code: str) -> bool:
        """True when the code is the account's own and has not expired; it is not spent by asking."""
        found = self._db.execute(
            select(activation.c.account_id).where(
                activation.c.account_id == account_id,
                activation.c.code_mac == code_mac(self._vault, account_id, code),
                activation.c.expires_at > self._clock(),
            )
        ).first()
        return found is not None

    def spend_activation_code(self, account_id: str) -> bool:
        """Spend the code with the first authenticator made by it; False when somebody else did.

        Until then it stays good, so that nobody is locked out by closing the page too early.
        """
        return (
            self._db.execute(
                delete(activation).where(activation.c.account_id == account_id)
            ).rowcount
            == 1
        )

    def activate(self, account_id: str, *, actor: Actor = HOLDER) -> None:
        """Open an issued account for use."""
        activated = self._db.execute(
            update(account)
            .where(account.c.id == account_id, account.c.state == AccountState.ISSUED.value)
            .values(state=AccountState.ACTIVE.value, activated_at=self._clock())
        ).rowcount
        if activated:
            self._note(account_id, EventKind.ACTIVATED, None, actor, "")

    def lock(
        self,
        account_id: str,
        reason: LockReason,
        *,
        actor: Actor = PROVIDER_ITSELF,
        ground: str = "",
        until: datetime | None = None,
    ) -> bool:
        """Add a lock reason; the same one twice is one reason, and False the second time.

        Raises:
            AccountClosedError: the account is closed; there is nothing left to lock.
        """
        if self._held_state(account_id) is AccountState.CLOSED:
            raise AccountClosedError
        dialect = postgresql if self._db.dialect.name == "postgresql" else sqlite
        added = self._db.execute(
            dialect.insert(account_lock)
            .values(account_id=account_id, reason=reason.value, since=self._clock(), until=until)
            .on_conflict_do_nothing()
            .returning(account_lock.c.reason)
        ).first()
        if added is not None:
            self._note(account_id, EventKind.LOCKED, reason.value, actor, ground)
        return added is not None

    def unlock(
        self,
        account_id: str,
        reason: LockReason,
        *,
        actor: Actor = PROVIDER_ITSELF,
        ground: str = "",
    ) -> bool:
        """Remove one lock reason; the account opens when none remains. False if it did not stand."""
        removed = self._db.execute(
            delete(account_lock).where(
                account_lock.c.account_id == account_id, account_lock.c.reason == reason.value
            )
        ).rowcount
        if removed:
            self._note(account_id, EventKind.UNLOCKED, reason.value, actor, ground)
        return bool(removed)

    def close(
        self,
        account_id: str,
        reason: CloseReason,
        *,
        actor: Actor = PROVIDER_ITSELF,
        ground: str = "",
    ) -> bool:
        """Close the account for good; its record stays. False when it was closed before."""
        closed = self._db.execute(
            update(account)
            .where(account.c.id == account_id, account.c.state != AccountState.CLOSED.value)
            .values(
                state=AccountState.CLOSED.value,
                closed_at=self._clock(),
                closed_reason=reason.value,
            )
        ).rowcount
        if closed:
            self._db.execute(delete(activation).where(activation.c.account_id == account_id))
            self._note(account_id, EventKind.CLOSED, reason.value, actor, ground)
        return bool(closed)

    def lapsed_holds(self, now: datetime) -> list[tuple[str, LockReason]]:
        """Return the locks whose time is over: account id and reason."""
        rows = self._db.execute(
            select(account_lock.c.account_id, account_lock.c.reason).where(
                account_lock.c.until <= now
            )
        )
        return [(row.account_id, LockReason(row.reason)) for row in rows]

    def history(self, account_id: str) -> list[AccountEvent]:
        """Return everything that happened to the account, oldest first."""
        rows = self._db.execute(
            select(account_event)
            .where(account_event.c.account_id == account_id)
            .order_by(account_event.c.at, account_event.c.id)
        )
        return [
            AccountEvent(
                kind=EventKind(row.kind),
                reason=row.reason,
                actor=Actor(ActorKind(row.actor), row.actor_id),
                ground=self._vault.open("account-event", row.ground, context=row.id).decode()
                if row.ground
                else "",
                at=row.at,
            )
            for row in rows
        ]

    def purge(self, now: datetime) -> int:
        """Remove expired activation codes; return how many."""
        return self._db.execute(delete(activation).where(activation.c.expires_at <= now)).rowcount

    def _held_state(self, account_id: str) -> AccountState:
        """Return the state, its row held until the transaction ends: nobody closes it meanwhile."""
        found = self._db.execute(
            select(account.c.state).where(account.c.id == account_id).with_for_update()
        ).scalar()
        if found is None:
            raise UnknownAccountError
        return AccountState(found)

    def note(
        self, account_id: str, kind: EventKind, reason: str | None, actor: Actor, ground: str = ""
    ) -> None:
        """Note what happened to the account beside changes of its state."""
        self._note(account_id, kind, reason, actor, ground)

    def _note(
        self, account_id: str, kind: EventKind, reason: str | None, actor: Actor, ground: str
    ) -> None:
        now = self._clock()
        event_id = new_id(now, self._chance)
        sealed = (
            self._vault.seal("account-event", ground.encode(), context=event_id) if ground else None
        )
        self._db.execute(
            insert(account_event).values(
                id=event_id,
                account_id=account_id,
                kind=kind.value,
                reason=reason,
                actor=actor.kind.value,
                actor_id=actor.id,
                ground=sealed,
                at=now,
            )
        )

    def _one(self, condition: ColumnElement[bool]) -> Account | None:
        live_first = account.c.state == AccountState.CLOSED.value
        row = self._db.execute(
            select(account).where(condition).order_by(live_first, account.c.issued_at.desc())
        ).first()
        if row is None:
            return None
        reasons = self._db.execute(
            select(account_lock.c.reason).where(account_lock.c.account_id == row.id)
        ).scalars()
        return Account(
            id=row.id,
            subject_id=row.subject_id,
            kind=AccountKind(row.kind),
            level=AccountLevel(row.level),
            state=AccountState(row.state),
            user_handle=row.user_handle,
            issued_at=row.issued_at,
            activated_at=row.activated_at,
            locks=frozenset(LockReason(reason) for reason in reasons),
            closed_at=row.closed_at,
            closed_reason=CloseReason(row.closed_reason) if row.closed_reason else None,
            successor_of=row.successor_of,
            language=row.language,
        )


def new_code(chance: Chance) -> str:
    """Return an activation code: twelve digits in three groups, easy to read out at a desk."""
    digits = f"{int.from_bytes(chance(16)) % 10**12:012}"
    return "-".join((digits[:4], digits[4:8], digits[8:]))


def code_mac(vault: Vault, account_id: str, code: str) -> bytes:
    """Return what is kept of an activation code, however it is typed."""
    typed = "".join(code.split()).replace("-", "").upper()
    return vault.mac("activation-code", account_id, typed)
