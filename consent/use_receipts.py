"""Use receipts: signed word that a use entry is in the log, for whoever got the data to keep.

A register gets one with each question and answers none without; relying parties get theirs a batch an
epoch, when the sequencer has taken the entries (docs/decisions/0022). Both are compact JWS (RFC 7515)
by a key that signs nothing else. They name an entry by its id, its commitment and the hash of its
attributes' names; nothing in them tells of whom it is.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import (
    Column,
    Connection,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    delete,
    select,
    tuple_,
)

from accounts.base64url import base64url
from accounts.schema import UTCDateTime, metadata
from consent.data_use import Recorded

ALGORITHM = "EdDSA"
SINGLE = "use-receipt+jwt"
"""The ``typ`` of a receipt for one entry, made for a register's question."""
BATCH = "use-receipts+jwt"
"""The ``typ`` of the receipts for what one relying party got within one epoch."""
MOST_IN_BATCH = 500
_PAGE = 100

use_receipt = Table(
    "use_receipt",
    metadata,
    Column("client_id", String(255), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("part", Integer, nullable=False),
    Column("made_at", UTCDateTime, nullable=False, index=True),
    # How many of its entries are of personal data, for what is said of a relying party as a whole.
    Column("personal", Integer, nullable=False),
    Column("jws", Text, nullable=False),
    PrimaryKeyConstraint("client_id", "epoch", "part"),
)
Place = tuple[int, int]
"""An epoch, and the part of it."""


class Integrated(NamedTuple):
    """An entry as the sequencer took it: ``leaf`` is its number in the published log."""

    id: str
    at: datetime
    channel: str
    commitment: bytes
    attributes: bytes
    log: str
    leaf: int
    personal: bool


@dataclass(frozen=True)
class UseReceipts:
    """Signs receipts in the issuer's name."""

    issuer: str
    key: Ed25519PrivateKey

    @cached_property
    def jwk(self) -> dict[str, str]:
        """The public key as relying parties and registers check by it (RFC 8037)."""
        members = {
            "crv": "Ed25519",
            "kty": "OKP",
            "x": base64url(self.key.public_key().public_bytes_raw()),
        }
        # RFC 7638 §3: over exactly these members, in this order.
        digest = hashlib.sha256(json.dumps(members, separators=(",", ":")).encode()).digest()
        return {**members, "kid": base64url(digest), "alg": ALGORITHM, "use": "sig"}

    def single(self, entry: Recorded, register: str, request: bytes) -> str:
        """Return the receipt for the entry under which a register is asked this very request."""
        return self._signed(
            SINGLE,
            {
                "iss": self.issuer,
                "aud": register,
                "jti": entry.id,
                "iat": int(entry.at.timestamp()),
                "commitment": base64url(entry.commitment),
                "attributes": base64url(entry.attributes),
                "request": base64url(hashlib.sha256(request).digest()),
            },
        )

    def batch(self, client_id: str, place: Place, at: datetime, taken: Sequence[Integrated]) -> str:
        """Return the receipts for what a relying party got, taken within one epoch."""
        # There are few.
        names = {digest: base64url(digest) for digest in {one.attributes for one in taken}}
        return self._signed(
            BATCH,
            {
                "iss": self.issuer,
                "aud": client_id,
                "jti": f"{client_id}/{place[0]}.{place[1]}",
                "iat": int(at.timestamp()),
                "epoch": place[0],
                "receipts": [
                    {
                        "id": one.id,
                        "at": one.at,
                        "channel": one.channel,
                        "commitment": base64url(one.commitment),
                        "attributes": names[one.attributes],
                        "log": one.log,
                        "leaf": one.leaf,
                    }
                    for one in taken
                ],
            },
        )

    def rows(
        self, taken: dict[str, list[Integrated]], epoch: int, at: datetime
    ) -> list[dict[str, Any]]:
        """Return the rows of an epoch's receipts, by relying party and part."""
        return [
            {
                "client_id": client_id,
                "epoch": epoch,
                "part": part,
                "made_at": at,
                "personal": sum(one.personal for one in some),
                "jws": self.batch(client_id, (epoch, part), at, some),
            }
            for client_id, entries in sorted(taken.items())
            for part, some in enumerate(
                entries[begin : begin + MOST_IN_BATCH]
                for begin in range(0, len(entries), MOST_IN_BATCH)
            )
        ]

    def _signed(self, kind: str, claims: dict[str, Any]) -> str:
        header = {"alg": ALGORITHM, "kid": self.jwk["kid"], "typ": kind}
        message = ".".join(base64url(orjson.dumps(part)) for part in (header, claims))
        return f"{message}.{base64url(self.key.sign(message.encode()))}"


@dataclass(frozen=True)
class Evidence:
    """What a question to a register rests on: a committed entry, and who signs the receipt for it."""

    of: Recorded
    receipts: UseReceipts

    @property
    def entry(self) -> str:
        """The entry's id."""
        return self.of.id

    def receipt(self, register: str, request: bytes) -> str:
        """Return the receipt that goes with the request."""
        return self.receipts.single(self.of, register, request)


class KeptReceipts:
    """The batches that wait to be fetched; the sequencer alone writes them."""

    def __init__(self, db: Connection) -> None:
        self._db = db

    def after(self, client_id: str, place: Place) -> list[tuple[Place, str]]:
        """Return a page of a relying party's batches after a place, oldest first."""
        columns = use_receipt.c
        rows = self._db.execute(
            select(columns.epoch, columns.part, columns.jws)
            .where(columns.client_id == client_id, tuple_(columns.epoch, columns.part) > place)
            .order_by(columns.epoch, columns.part)
            .limit(_PAGE)
        )
        return [((row.epoch, row.part), row.jws) for row in rows]

    def purge(self, before: datetime) -> int:
        """Remove the batches made before the moment; return how many."""
        return self._db.execute(delete(use_receipt).where(use_receipt.c.made_at < before)).rowcount
