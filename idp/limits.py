"""Limits on guessing: failures counted in the database, so every worker sees the same number.

Only failures count; a right answer is never slowed. When the database is away nothing is answered
at all, so the limits fail closed.
"""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import (
    Column,
    Connection,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    delete,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite

from accounts.schema import Clock, UTCDateTime, metadata
from accounts.vault import Vault

failure = Table(
    "failure",
    metadata,
    Column("key", LargeBinary, nullable=False),
    Column("window", Integer, nullable=False),
    Column("count", Integer, nullable=False),
    Column("expires_at", UTCDateTime, nullable=False, index=True),
    PrimaryKeyConstraint("key", "window"),
)


@dataclass(frozen=True)
class Limit:
    """At most ``failures`` within ``window``, counted by ``name`` and whatever the caller adds."""

    name: str
    failures: int
    window: timedelta


PASSWORD_ACCOUNT = Limit("password/account", 10, timedelta(minutes=15))
PASSWORD_ADDRESS = Limit("password/address", 100, timedelta(minutes=15))
MANY_FAILURES = Limit("password/account", 7, timedelta(minutes=15))
"""The same count as ``PASSWORD_ACCOUNT``, at which a risk rule begins to wonder."""
SECOND_FACTOR_ACCOUNT = Limit("second-factor/account", 10, timedelta(hours=1))
FACE_ACCOUNT = Limit("face/account", 5, timedelta(hours=1))
"""NIST SP 800-63B-4 §3.2.3 allows five biometric attempts before a delay, or ten that detect attacks."""
FACE_ADDRESS = Limit("face/address", 50, timedelta(hours=1))
PHONE_CODE_ADDRESS = Limit("phone-code/address", 20, timedelta(hours=1))
ACTIVATION_ACCOUNT = Limit("activation/account", 10, timedelta(hours=1))
ACTIVATION_ADDRESS = Limit("activation/address", 50, timedelta(hours=1))
DESK_SEARCH = Limit("desk/search", 20, timedelta(hours=1))
INSPECTION = Limit("inspection/find", 20, timedelta(hours=1))
CASES = Limit("cases/person", 20, timedelta(days=1))
REFUSAL = Limit("refusal/same", 1, timedelta(days=1))
"""Entries of one grant's refusals for one reason."""
REFUSALS = Limit("refusal/party", 20, timedelta(days=1))
"""Entries of refusals in one person's chain by one relying party."""
DOWNLOAD = Limit("download/account", 10, timedelta(hours=1))
APPLICATION_ADDRESS = Limit("application/address", 30, timedelta(hours=1))
REFERENCE_ADDRESS = Limit("application/reference", 20, timedelta(hours=1))
MANDATE_OFFERS = Limit("mandate/offers", 10, timedelta(hours=1))
CHIP_ADDRESS = Limit("chip/address", 20, timedelta(hours=1))
CHIP_APPLICATION = Limit("chip/application", 10, timedelta(hours=1))
QR_STARTS = Limit("qr/starts", 20, timedelta(minutes=1))
QR_SCANS = Limit("qr/scans", 5, timedelta(minutes=10))
QR_DECLINED_BROWSER = Limit("qr/declined/browser", 3, timedelta(minutes=10))
QR_DECLINED_ADDRESS = Limit("qr/declined/address", 20, timedelta(minutes=10))
CLIENT_AUTHENTICATION = Limit("client-authentication", 50, timedelta(minutes=5))


class Limits:
    """Counts failures in fixed windows."""

    def __init__(self, db: Connection, clock: Clock, vault: Vault) -> None:
        self._db = db
        self._clock = clock
        self._vault = vault

    def is_exhausted(self, *counted: tuple[Limit, str]) -> bool:
        """True when any of the limits has been used up for its key."""
        now = self._clock()
        return any(self._count(limit, key, now) >= limit.failures for limit, key in counted)

    def count_failure(self, *counted: tuple[Limit, str]) -> None:
        """Add one failure to each limit's count."""
        now = self._clock()
        dialect = postgresql if self._db.dialect.name == "postgresql" else sqlite
        for limit, key in counted:
            window = self._window(limit, now)
            statement = dialect.insert(failure).values(
                key=self._key(limit, key),
                window=window,
                count=1,
                expires_at=datetime.fromtimestamp(0, UTC) + limit.window * (window + 1),
            )
            self._db.execute(
                statement.on_conflict_do_update(
                    index_elements=[failure.c.key, failure.c.window],
                    set_={"count": failure.c["count"] + 1},
                )
            )

    def purge(self, now: datetime) -> int:
        """Forget windows that are over; return how many."""
        return self._db.execute(delete(failure).where(failure.c.expires_at <= now)).rowcount

    def _count(self, limit: Limit, key: str, now: datetime) -> int:
        count: int | None = self._db.execute(
            select(failure.c["count"]).where(
                failure.c.key == self._key(limit, key),
                failure.c.window == self._window(limit, now),
            )
        ).scalar()
        return count or 0

    def _key(self, limit: Limit, key: str) -> bytes:
        # Who failed where is nobody's business: only a keyed fingerprint is stored.
        return self._vault.mac("failure", limit.name, key)

    def _window(self, limit: Limit, now: datetime) -> int:
        return math.floor(now.timestamp() / limit.window.total_seconds())
