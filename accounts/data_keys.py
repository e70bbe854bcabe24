"""Data keys: what personal data is sealed with, themselves sealed under the installation's secret.

Because the secret only wraps keys, it can be changed without touching data, and a data key can be
replaced without touching the secret. Key 0 is the root (``accounts.vault``): it is never replaced,
and in an installation older than data keys it is the first secret and has sealed data too.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Integer,
    LargeBinary,
    Table,
    delete,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from accounts.errors import SealBrokenError
from accounts.schema import Chance, Clock, UTCDateTime, metadata
from accounts.vault import ROOT, Vault

KEPT_AFTER_RETIRING = timedelta(hours=1)
"""Longer than a transaction, and than anything sealed lives that is in no table: codes on their way."""
ROOT_OPENS_AFTER_RETIRING = timedelta(days=1)
"""The root is never destroyed, so after a day it is refused instead."""
FRESH = timedelta(seconds=5)
"""A process knows of a new key after so long at most."""
_KEY_BYTES = 48
_PURPOSE = "data-key"

data_key = Table(
    "data_key",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    # Sealed under the installation's secret, never under a data key: no ``sealed_as``.
    Column("sealed", LargeBinary, nullable=False),
    Column("made_at", UTCDateTime, nullable=False),
    Column("retired_at", UTCDateTime),
)


@dataclass(frozen=True)
class DataKey:
    """A data key, without its bytes. A retired one seals nothing, and soon opens nothing."""

    id: int
    made_at: datetime
    retired_at: datetime | None


class DataKeys:
    """The stored data keys."""

    def __init__(self, db: Connection, clock: Clock, chance: Chance, secret: bytes) -> None:
        self._db = db
        self._clock = clock
        self._chance = chance
        self._secret = secret
        self._wrapping = Vault(secret, chance=chance)

    def all(self) -> list[DataKey]:
        """Return them, oldest first; the root only where it is kept."""
        rows = self._db.execute(select(data_key).order_by(data_key.c.id))
        return [DataKey(row.id, row.made_at, row.retired_at) for row in rows]

    def begin(self) -> None:
        """Make the root and the first data key of a new installation, before anything is sealed."""
        self._keep(ROOT, self._chance(_KEY_BYTES))
        self._db.execute(
            update(data_key).where(data_key.c.id == ROOT).values(retired_at=self._clock())
        )
        self._keep(ROOT + 1, self._chance(_KEY_BYTES))

    def add(self) -> int:
        """Make a data key that seals from now on, and return its id.

        While an earlier change to a new key is unfinished that key is returned: it is gone on with.
        """
        known = self.all()
        if not known:
            # Older than data keys: the secret has sealed everything and is the root.
            self._keep(ROOT, self._secret)
            known = self.all()
        sealing = [key for key in known if key.id != ROOT and key.retired_at is None]
        unfinished = len([key for key in known if key.retired_at is None]) > 1
        if sealing and unfinished:
            return sealing[-1].id
        key_id = known[-1].id + 1
        # Of two at once, one makes the key and both go on with it.
        self._keep(key_id, self._chance(_KEY_BYTES))
        return key_id

    def retire_before(self, key_id: int) -> list[int]:
        """Let only this key and newer ones seal; return the ids of those that retired."""
        retired = [key.id for key in self.all() if key.id < key_id and key.retired_at is None]
        self._db.execute(
            update(data_key)
            .where(data_key.c.id < key_id, data_key.c.retired_at.is_(None))
            .values(retired_at=self._clock())
        )
        return retired

    def outlived(self, now: datetime) -> list[int]:
        """Return the ids of keys that retired long enough ago to be destroyed; the root never is."""
        return [
            key.id
            for key in self.all()
            if key.id != ROOT
            and key.retired_at is not None
            and key.retired_at <= now - KEPT_AFTER_RETIRING
        ]

    def destroy(self, key_id: int) -> None:
        """Destroy a retired key: whatever it sealed opens never again."""
        self._db.execute(
            delete(data_key).where(
                data_key.c.id == key_id, data_key.c.id != ROOT, data_key.c.retired_at.is_not(None)
            )
        )

    def wrap_under(self, secret: bytes) -> bool:
        """Seal every key under another secret; False when they are sealed under it already.

        Raises:
            SealBrokenError: the keys fit neither secret.
        """
        rows = self._db.execute(select(data_key).order_by(data_key.c.id).with_for_update()).all()
        if not rows:
            self._keep(ROOT, self._secret)
            rows = self._db.execute(select(data_key)).all()
        new = Vault(secret, chance=self._chance)
        try:
            opened = [(row.id, unwrapped(self._wrapping, row.id, row.sealed)) for row in rows]
        except SealBrokenError:
            for row in rows:
                unwrapped(new, row.id, row.sealed)
            return False
        for key_id, key in opened:
            sealed = new.seal(_PURPOSE, key, context=str(key_id))
            self._db.execute(update(data_key).where(data_key.c.id == key_id).values(sealed=sealed))
        return True

    def _keep(self, key_id: int, key: bytes) -> None:
        dialect = postgresql if self._db.dialect.name == "postgresql" else sqlite
        self._db.execute(
            dialect.insert(data_key)
            .values(
                id=key_id,
                sealed=self._wrapping.seal(_PURPOSE, key, context=str(key_id)),
                made_at=self._clock(),
            )
            .on_conflict_do_nothing()
        )


def unwrapped(wrapping: Vault, key_id: int, sealed: bytes) -> bytes:
    """Return a stored key's bytes.

    Raises:
        SealBrokenError: it is sealed under another secret.
    """
    return wrapping.open(_PURPOSE, sealed, context=str(key_id))


class DataKeyRing:
    """The data keys in memory, read again every few seconds so that a new one is seen."""

    def __init__(self, engine: Engine, clock: Clock, secret: bytes) -> None:
        self._engine = engine
        self._clock = clock
        self._secret = secret
        self._wrapping = Vault(secret)
        self._opened: dict[int, bytes] = {}
        self._root_until: datetime | None = None
        self._newest = ROOT
        self._read_at: datetime | None = None

    def root(self) -> bytes:
        """Return the root key."""
        if self._read_at is None:
            self._read()
        return self._opened[ROOT]

    def newest(self) -> int:
        """Return the id of the key that seals."""
        if self._read_at is None or not timedelta(0) <= self._clock() - self._read_at < FRESH:
            self._read()
        return self._newest

    def find(self, key_id: int) -> bytes | None:
        """Return the key with this id if it still opens anything; a new one is read at once."""
        if self._read_at is None or key_id not in self._opened:
            self._read()
        root_until = self._root_until
        if key_id == ROOT and root_until is not None and self._clock() >= root_until:
            return None
        return self._opened.get(key_id)

    def forget(self) -> None:
        """Read the keys again when they are next asked for."""
        self._read_at = None

    def _read(self) -> None:
        with self._engine.connect() as db:
            rows = db.execute(select(data_key)).all()
        opened = {row.id: self._known_or(row.id, row.sealed) for row in rows}
        opened.setdefault(ROOT, self._secret)
        sealing = [row.id for row in rows if row.retired_at is None]
        retired = {row.id: row.retired_at for row in rows if row.retired_at is not None}
        self._root_until = retired[ROOT] + ROOT_OPENS_AFTER_RETIRING if ROOT in retired else None
        self._opened, self._newest = opened, max(sealing, default=ROOT)
        self._read_at = self._clock()

    def _known_or(self, key_id: int, sealed: bytes) -> bytes:
        """Return the key; one that is known stays so while the secret is changed around us."""
        known = self._opened.get(key_id)
        return known if known is not None else unwrapped(self._wrapping, key_id, sealed)
