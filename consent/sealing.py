"""Sealed uses: an investigation's read is in the logs at once, and told to the person on a fixed day.

A sealed use stands in a chain of its own, which belongs to nobody, so that a person's record gives no
hint of it. The entry names authority, class, the day until which it is sealed, and hashes of the case's
reference and of the use itself; the use is in it for the oversight body alone, encrypted to its key
(HPKE, RFC 9180). On the day, the person's chain gets an entry that leads to the sealed one.
"""

import base64
import hashlib
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from sqlalchemy import (
    Column,
    Connection,
    Date,
    ForeignKey,
    Integer,
    LargeBinary,
    String,
    Table,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from accounts.base64url import base64url
from accounts.schema import Chance, Clock, UTCDateTime, metadata
from accounts.subject import SubjectKind, Subjects
from accounts.vault import Vault, sealed_as
from consent.data_use import Channel, Outcome, Recorded, SubjectRole, Use
from consent.purposes import purpose
from consent.use_log import UseLog

LONGEST = timedelta(days=2 * 365)
"""Nothing is sealed for longer; a longer secret needs a new order, and a new entry."""
_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_INFO = b"sen-id/sealed-use/v1"
_TAG = b"sen-id/sealed-content/v1\x00"
_PURPOSE = "sealed-read"
_ONLY = 1


class SealClass(StrEnum):
    """For what a use is sealed."""

    INVESTIGATION = "investigation"
    COURT = "court"


sealed_chain = Table(
    "sealed_chain",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("subject_id", String(32), ForeignKey("subject.id"), nullable=False),
)

sealed_use = Table(
    "sealed_use",
    metadata,
    Column("entry_id", String(32), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("at", UTCDateTime, nullable=False),
    Column("client_id", String(255), nullable=False),
    Column("seal_class", String(16), nullable=False),
    Column("until", Date, nullable=False),
    Column("commitment", String(43), nullable=False),
    # Empty once it stands in the person's own chain.
    Column("content", LargeBinary, info=sealed_as("sealed-use", "entry_id")),
    Column("unsealed_at", UTCDateTime),
)


@dataclass(frozen=True)
class Seal:
    """What a client that may seal says with a read. ``case`` is a reference, kept as a hash."""

    seal_class: SealClass
    case: str
    until: date


@dataclass(frozen=True)
class Sealed:
    """A sealed use as everybody may see it."""

    position: int
    day: date
    client_id: str
    seal_class: str
    until: date
    commitment: str
    is_unsealed: bool


class Sealing:
    """All sealed uses, within one transaction."""

    def __init__(
        self, db: Connection, clock: Clock, chance: Chance, vault: Vault, use_log: UseLog
    ) -> None:
        self._db = db
        self._clock = clock
        self._chance = chance
        self._vault = vault
        self._use_log = use_log

    def record(self, use: Use, seal: Seal, oversight: bytes, subjects: Subjects) -> Recorded:
        """Write the use into the sealed chain instead of the person's."""
        salt, now = self._chance(32), self._clock()
        content = orjson.dumps(asdict(use), option=orjson.OPT_SORT_KEYS)
        encrypted = _SUITE.encrypt(
            salt + content, X25519PublicKey.from_public_bytes(oversight), _INFO
        )
        recorded = self._use_log.record(
            Use(
                subject_id=self._chain(subjects),
                client_id=use.client_id,
                channel=Channel.SEALED,
                attributes=(),
                purpose=_PURPOSE,
                purpose_version=purpose(_PURPOSE).version,
                legal_basis="statutory-function",
                correlation=use.correlation,
                subject_role=SubjectRole.PRIMARY,
                detail={
                    "class": seal.seal_class.value,
                    "until": seal.until.isoformat(),
                    "case": hashlib.sha256(seal.case.encode()).hexdigest(),
                    "content": content_hash(salt, content),
                    "to_oversight": base64url(encrypted),
                },
            )
        )
        kept = self._vault.seal("sealed-use", salt + content, context=recorded.id)
        self._db.execute(
            insert(sealed_use).values(
                entry_id=recorded.id,
                position=recorded.position,
                at=now,
                client_id=use.client_id,
                seal_class=seal.seal_class.value,
                until=seal.until,
                commitment=base64url(recorded.commitment),
                content=kept,
            )
        )
        return recorded

    def due(self) -> list[str]:
        """Return the entries whose day has come."""
        columns = sealed_use.c
        today = self._clock().astimezone(UTC).date()
        found = self._db.execute(
            select(columns.entry_id).where(columns.unsealed_at.is_(None), columns.until <= today)
        )
        return list(found.scalars())

    def unseal(self, entry_id: str) -> Recorded | None:
        """Tell the person: write the use into her chain, leading to the sealed entry. None when
        another process has done so.
        """
        columns, now = sealed_use.c, self._clock()
        row = self._db.execute(select(sealed_use).where(columns.entry_id == entry_id)).one()
        taken = self._db.execute(
            update(sealed_use)
            .where(columns.entry_id == entry_id, columns.unsealed_at.is_(None))
            .values(unsealed_at=now, content=None)
        )
        if taken.rowcount != 1:
            return None
        opened = self._vault.open("sealed-use", row.content, context=entry_id)
        salt, content = opened[:32], orjson.loads(opened[32:])
        detail = {
            "sealed_as": row.seal_class,
            "sealed_at": row.at.isoformat(),
            "sealed_position": str(row.position),
            "sealed_commitment": row.commitment,
            "opening": salt.hex(),
        }
        return self._use_log.record(replace(_use(content), detail=detail))

    def all(self) -> list[Sealed]:
        """Return every sealed use, in the order of their chain."""
        rows = self._db.execute(select(sealed_use).order_by(sealed_use.c.position))
        return [
            Sealed(
                row.position, row.at.astimezone(UTC).date(), row.client_id, row.seal_class,
                row.until, row.commitment, row.unsealed_at is not None,
            )
            for row in rows
        ]  # fmt: skip

    def chain(self) -> str | None:
        """Return the subject that the sealed chain is kept under; None while nothing was sealed."""
        found: str | None = self._db.execute(select(sealed_chain.c.subject_id)).scalar()
        return found

    def _chain(self, subjects: Subjects) -> str:
        known = self.chain()
        if known is not None:
            return known
        dialect = postgresql if self._db.dialect.name == "postgresql" else sqlite
        made = subjects.add(SubjectKind.PERSON)
        statement = dialect.insert(sealed_chain).values(id=_ONLY, subject_id=made)
        self._db.execute(statement.on_conflict_do_nothing())
        return self.chain() or made


def content_hash(salt: bytes, content: bytes) -> str:
    """Return the hash by which a sealed entry is bound to the use it stands for."""
    return hashlib.sha256(_TAG + salt + content).hexdigest()


def open_for_oversight(key: X25519PrivateKey, entry: dict[str, Any]) -> dict[str, Any]:
    """Return the use in a sealed entry (as it is spelled in the chain), by the oversight's key.

    Raises:
        ValueError: it is not encrypted to this key, or is another use than the entry is bound to.
    """
    text = entry["detail"]["to_oversight"]
    encrypted = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    try:
        opened = _SUITE.decrypt(encrypted, key, _INFO)
    except Exception as error:
        raise ValueError("it is not encrypted to this key") from error
    if content_hash(opened[:32], opened[32:]) != entry["detail"]["content"]:
        raise ValueError("the entry is bound to another use")
    found: dict[str, Any] = orjson.loads(opened[32:])
    return found


def _use(content: dict[str, Any]) -> Use:
    return Use(
        **{
            **content,
            "channel": Channel(content["channel"]),
            "outcome": Outcome(content["outcome"]),
            "subject_role": SubjectRole(content["subject_role"]),
            "attributes": tuple(content["attributes"]),
        }
    )


def is_day(until: date, now: datetime) -> bool:
    """True when something may be sealed until then: a day to come, and not too far."""
    today = now.astimezone(UTC).date()
    return today < until <= today + LONGEST
