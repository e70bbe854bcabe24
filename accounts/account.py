"""Accounts: the record the provider keeps of a subject, its level, state and locks."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Table,
    delete,
    insert,
    select,
    update,
)

from accounts.errors import UnknownAccountError
from accounts.levels import AccountLevel
from accounts.schema import Chance, Clock, UTCDateTime, metadata, new_id
from accounts.vault import Vault

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
    """Why an account is locked (Decree 69/2024 Art. 15 and 29, and our own fraud hold)."""

    HOLDER_REQUEST = "holder-request"
    TERMS_BREACH = "terms-breach"
    CARD_REVOKED = "card-revoked"
    CARD_EXPIRED = "card-expired"
    PASSPORT_EXPIRED = "passport-expired"
    RESIDENCE_ENDED = "residence-ended"
    AUTHORITY_ORDER = "authority-order"
    DISSOLVED = "dissolved"
    DECEASED = "deceased"
    RISK = "risk"


account = Table(
    "account",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("subject_id", String(32), ForeignKey("subject.id"), nullable=False, unique=True),
    Column("kind", String(16), nullable=False),
    Column("level", String(8), nullable=False),
    Column("state", String(16), nullable=False),
    Column("user_handle", LargeBinary, nullable=False, unique=True),
    Column("issued_at", UTCDateTime, nullable=False),
    Column("activated_at", UTCDateTime),
)

account_lock = Table(
    "account_lock",
    metadata,
    Column("account_id", String(32), ForeignKey("account.id"), nullable=False),
    Column("reason", String(24), nullable=False),
    Column("since", UTCDateTime, nullable=False),
    PrimaryKeyConstraint("account_id", "reason"),
)

activation = Table(
    "activation",
    metadata,
    Column("account_id", String(32), ForeignKey("account.id"), primary_key=True),
    Column("code_mac", LargeBinary, nullable=False),
    Column("expires_at", UTCDateTime, nullable=False),
)


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

    def issue(self, subject_id: str, kind: AccountKind, level: AccountLevel) -> Account:
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
            )
        )
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
        """Return the subject's account, if one was issued."""
        return self._one(account.c.subject_id == subject_id)

    def set_level(self, account_id: str, level: AccountLevel) -> None:
        """Record a newly proved account level."""
        self._db.execute(
            update(account).where(account.c.id == account_id).values(level=level.value)
        )

    def give_activation_code(self, account_id: str, code: str) -> None:
        """Set the code that the holder activates with; an earlier code stops working."""
        self._db.execute(delete(activation).where(activation.c.account_id == account_id))
        self._db.execute(
            insert(activation).values(
                account_id=account_id,
                code_mac=self._code_mac(account_id, code),
                expires_at=self._clock() + ACTIVATION_CODE_LIFETIME,
            )
        )

    def activation_code_fits(self, account_id: str, code: str) -> bool:
        """True when the code is the account's own and has not expired; it is not spent by asking."""
        found = self._db.execute(
            select(activation.c.account_id).where(
                activation.c.account_id == account_id,
                activation.c.code_mac == self._code_mac(account_id, code),
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

    def activate(self, account_id: str) -> None:
        """Open an issued account for use."""
        self._db.execute(
            update(account)
            .where(account.c.id == account_id, account.c.state == AccountState.ISSUED.value)
            .values(state=AccountState.ACTIVE.value, activated_at=self._clock())
        )

    def lock(self, account_id: str, reason: LockReason) -> None:
        """Add a lock reason; the same one twice is one reason."""
        # Whoever is being given tokens for the account right now comes first, or sees the lock.
        self._db.execute(select(account.c.id).where(account.c.id == account_id).with_for_update())
        locks = account_lock.c
        present = self._db.execute(
            select(locks.reason).where(locks.account_id == account_id, locks.reason == reason.value)
        ).first()
        if present is None:
            self._db.execute(
                insert(account_lock).values(
                    account_id=account_id, reason=reason.value, since=self._clock()
                )
            )

    def unlock(self, account_id: str, reason: LockReason) -> None:
        """Remove one lock reason; the account opens when none remains."""
        self._db.execute(
            delete(account_lock).where(
                account_lock.c.account_id == account_id, account_lock.c.reason == reason.value
            )
        )

    def purge(self, now: datetime) -> int:
        """Remove expired activation codes; return how many."""
        return self._db.execute(delete(activation).where(activation.c.expires_at <= now)).rowcount

    def _code_mac(self, account_id: str, code: str) -> bytes:
        typed = "".join(code.split()).replace("-", "").upper()
        return self._vault.mac("activation-code", account_id, typed)

    def _one(self, condition: object) -> Account | None:
        row = self._db.execute(select(account).where(condition)).first()  # type: ignore[arg-type]
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
        )
