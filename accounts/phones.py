"""Phones enrolled with the app: each holds a P-256 key that never leaves it, and we its public half.

A phone's key approves sign-ins that began in another browser (``idp.login.qr``). It opens nothing by
itself: whoever uses it is signed in on the phone with a passkey.
"""

import hashlib
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    LargeBinary,
    Row,
    String,
    Table,
    insert,
    select,
    update,
)

from accounts.base64url import base64url
from accounts.errors import PhoneRefusedError
from accounts.schema import Chance, Clock, UTCDateTime, metadata, new_id

MOST_PHONES = 5
_HALF = 32

phone = Table(
    "phone",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("account_id", String(32), ForeignKey("account.id"), nullable=False, index=True),
    # The point, uncompressed (SEC 1 §2.3.3), as WebCrypto exports it.
    Column("public_key", LargeBinary, nullable=False, unique=True),
    Column("name", String(80), nullable=False),
    Column("enrolled_at", UTCDateTime, nullable=False),
    Column("last_used_at", UTCDateTime),
    Column("removed_at", UTCDateTime),
)


@dataclass(frozen=True)
class Phone:
    """A phone in use."""

    id: str
    account_id: str
    public_key: bytes
    name: str
    enrolled_at: datetime
    last_used_at: datetime | None

    @property
    def thumbprint(self) -> str:
        """By what the phone knows its own key: base64url of the point's SHA-256."""
        digest = hashlib.sha256(self.public_key).digest()
        return base64url(digest)

    def has_signed(self, statement: bytes, signature: bytes) -> bool:
        """True when the signature (r and s, 32 bytes each) is this phone's over the statement."""
        return _has_signed(self.public_key, statement, signature)


class Phones:
    """All phones."""

    def __init__(self, db: Connection, clock: Clock, chance: Chance) -> None:
        self._db = db
        self._clock = clock
        self._chance = chance

    def enrol(
        self,
        account_id: str,
        *,
        public_key: bytes,
        statement: bytes,
        signature: bytes,
        name: str,
    ) -> Phone:
        """Keep a phone's key; the signed statement proves that the phone holds the other half.

        Raises:
            PhoneRefusedError: no P-256 key, not proved, known already, or too many phones.
        """
        if not _has_signed(public_key, statement, signature):
            raise PhoneRefusedError("proof")
        if len(self.of_account(account_id)) >= MOST_PHONES:
            raise PhoneRefusedError("too-many")
        known = select(phone.c.id).where(phone.c.public_key == public_key)
        if self._db.execute(known).first() is not None:
            raise PhoneRefusedError("known")
        now = self._clock()
        made = Phone(new_id(now, self._chance), account_id, public_key, name[:80], now, None)
        self._db.execute(insert(phone).values(**asdict(made)))
        return made

    def of_account(self, account_id: str) -> list[Phone]:
        """Return the account's phones in use, oldest first."""
        rows = self._db.execute(
            select(phone)
            .where(phone.c.account_id == account_id, phone.c.removed_at.is_(None))
            .order_by(phone.c.enrolled_at, phone.c.id)
        )
        return [_phone(row) for row in rows]

    def find(self, account_id: str, thumbprint: str) -> Phone | None:
        """Return the account's phone that knows its key by this thumbprint."""
        held = self.of_account(account_id)
        return next((one for one in held if one.thumbprint == thumbprint), None)

    def note_use(self, phone_id: str) -> None:
        """Remember that the phone was used now."""
        self._db.execute(
            update(phone).where(phone.c.id == phone_id).values(last_used_at=self._clock())
        )

    def remove_all(self, account_id: str) -> int:
        """Take every phone of the account out of use; return how many."""
        return self._db.execute(
            update(phone)
            .where(phone.c.account_id == account_id, phone.c.removed_at.is_(None))
            .values(removed_at=self._clock())
        ).rowcount

    def remove(self, account_id: str, phone_id: str) -> bool:
        """Take the phone out of use; False when the account has no such phone in use."""
        return (
            self._db.execute(
                update(phone)
                .where(
                    phone.c.id == phone_id,
                    phone.c.account_id == account_id,
                    phone.c.removed_at.is_(None),
                )
                .values(removed_at=self._clock())
            ).rowcount
            == 1
        )


def _has_signed(public_key: bytes, statement: bytes, signature: bytes) -> bool:
    if len(signature) != 2 * _HALF:
        return False
    r, s = (int.from_bytes(half, "big") for half in (signature[:_HALF], signature[_HALF:]))
    try:
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public_key)
        key.verify(encode_dss_signature(r, s), statement, ec.ECDSA(hashes.SHA256()))
    except (ValueError, InvalidSignature):
        return False
    # The compressed spelling of the same point would be a second name for the same key.
    return len(public_key) == 1 + 2 * _HALF


def _phone(row: Row[Any]) -> Phone:
    return Phone(
        id=row.id,
        account_id=row.account_id,
        public_key=row.public_key,
        name=row.name,
        enrolled_at=row.enrolled_at,
        last_used_at=row.last_used_at,
    )
