"""No receipt, no data: a simulated register answers only under a use receipt that it can verify, and
keeps its own list of what it answered under which.

It checks as any register's owner can, by the provider's public keys and a JOSE library.
"""

import hashlib
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import jwt

from accounts.base64url import base64url

TYPE = "use-receipt+jwt"
_REQUIRED = ["iss", "aud", "jti", "iat"]
_TABLE = """
CREATE TABLE IF NOT EXISTS answered (sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  register TEXT NOT NULL, day TEXT NOT NULL, at TEXT NOT NULL, entry TEXT NOT NULL,
  commitment TEXT NOT NULL, request TEXT NOT NULL)
"""
_INDEXES = (
    "CREATE INDEX IF NOT EXISTS answered_day ON answered (register, day, sequence)",
    "CREATE INDEX IF NOT EXISTS answered_entry ON answered (entry)",
)


class BadReceiptError(Exception):
    """There is no receipt, or none under which this request may be answered; the message says why."""


@dataclass(frozen=True)
class Receipt:
    """What a register believes of a receipt."""

    entry: str
    commitment: str
    at: datetime


NONE = Receipt("", "", datetime.min.replace(tzinfo=UTC))
"""What stands in a register's list for an answer without a receipt."""


def prepare(db: sqlite3.Connection) -> None:
    """Make the list's table where it is missing."""
    for statement in (_TABLE, *_INDEXES):
        db.execute(statement)


def verified(keys: Iterable[Mapping[str, Any]], text: str, register: str, body: bytes) -> Receipt:
    """Return the receipt, if one of the keys signed it for this register and this very request.

    Raises:
        BadReceiptError: it is missing, forged, another register's, or of another request.
    """
    if not text:
        raise BadReceiptError("a receipt is needed")
    try:
        header = jwt.get_unverified_header(text)
        fitting = [key for key in keys if key.get("kid") == header.get("kid")]
        if header.get("typ") != TYPE or not fitting:
            raise BadReceiptError("the receipt is by no known key")
        # By the question's own day: a receipt is spent by its request, not by the time.
        claims = jwt.decode(
            text,
            jwt.PyJWK(dict(fitting[0])).key,
            algorithms=["EdDSA"],
            audience=register,
            options={"require": _REQUIRED, "verify_iat": False},
        )
        digest = base64url(hashlib.sha256(body).digest())
        if claims["request"] != digest:
            raise BadReceiptError("the receipt is for another request")
        at = datetime.fromtimestamp(claims["iat"], UTC)
        return Receipt(str(claims["jti"]), str(claims["commitment"]), at)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, OverflowError) as error:
        raise BadReceiptError("the receipt is not valid") from error


def keep(db: sqlite3.Connection, register: str, receipt: Receipt, body: bytes) -> None:
    """Write down that the request is answered under the receipt. The same request may come twice,
    since an answer can be lost on the way.

    Raises:
        BadReceiptError: another request was answered under it before.
    """
    request = hashlib.sha256(body).hexdigest()
    if receipt.entry:
        earlier = db.execute(
            "SELECT request FROM answered WHERE entry = ?", (receipt.entry,)
        ).fetchone()
        if earlier is not None:
            if earlier["request"] != request:
                raise BadReceiptError("the receipt was used for another request")
            return
    at = receipt.at if receipt.entry else datetime.now(UTC)
    db.execute(
        "INSERT INTO answered (register, day, at, entry, commitment, request) VALUES (?,?,?,?,?,?)",
        (
            register,
            at.date().isoformat(),
            at.isoformat(),
            receipt.entry,
            receipt.commitment,
            request,
        ),
    )


def listed(
    db: sqlite3.Connection, register: str, day: str, after: int, limit: int
) -> list[dict[str, Any]]:
    """Return what a register answered under receipts of a day, lowest sequence first."""
    rows = db.execute(
        "SELECT sequence, entry, commitment, at FROM answered "
        "WHERE register = ? AND day = ? AND sequence > ? ORDER BY sequence LIMIT ?",
        (register, day, after, limit),
    )
    return [dict(row) for row in rows]
