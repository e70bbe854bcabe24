"""Passwords: argon2id over a peppered digest, hashed under a cap so that they never starve tokens."""

import threading
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError
from sqlalchemy import Column, Connection, ForeignKey, String, Table, delete, insert, select, update

from accounts.errors import PasswordUnsuitableError
from accounts.schema import Clock, UTCDateTime, metadata
from accounts.vault import Vault

LEAST_LENGTH: Final = 12
GREATEST_BYTES: Final = 1024

password = Table(
    "password",
    metadata,
    Column("account_id", String(32), ForeignKey("account.id"), primary_key=True),
    Column("hash", String(255), nullable=False),
    Column("changed_at", UTCDateTime, nullable=False),
)

LEAST_MIB: Final = 19
"""OWASP's least memory for argon2id with two passes over one lane."""

# Fewer at once than a worker has threads, so that sign-ins leave room for everything else.
_slots = threading.BoundedSemaphore(2)


class PasswordHashing:
    """Hashes and verifies; holds no database connection, because it takes tens of milliseconds."""

    def __init__(self, vault: Vault, *, mib: int = LEAST_MIB) -> None:
        self._vault = vault
        self._hasher = PasswordHasher(time_cost=2, memory_cost=mib * 1024, parallelism=1)
        self._decoy = ""

    def hash(self, plain: str) -> str:
        """Return the argon2id hash of a new password.

        Raises:
            PasswordUnsuitableError: shorter than 12 characters, over 1 KiB, or one repeated sign.
        """
        if len(plain) < LEAST_LENGTH:
            raise PasswordUnsuitableError("too-short")
        if len(plain.encode()) > GREATEST_BYTES:
            raise PasswordUnsuitableError("too-long")
        if len(set(plain)) < LEAST_LENGTH // 3:
            raise PasswordUnsuitableError("too-simple")
        return self.hash_unchecked(plain)

    def hash_unchecked(self, plain: str) -> str:
        """Return the hash of a password that an operator chose (seed data)."""
        with _slots:
            return self._hasher.hash(self._peppered(plain))

    def verify(self, hashed: str | None, plain: str) -> bool:
        """Compare in the same time whether or not there is anything to compare with."""
        if len(plain.encode()) > GREATEST_BYTES:
            return False
        if hashed is None:
            if not self._decoy:
                self._decoy = self.hash_unchecked("no account has this password")
            self._matches(self._decoy, plain)
            return False
        return self._matches(hashed, plain)

    def is_outdated(self, hashed: str) -> bool:
        """True when the hash was made with weaker parameters than today's."""
        return self._hasher.check_needs_rehash(hashed)

    def _matches(self, hashed: str, plain: str) -> bool:
        with _slots:
            try:
                return self._hasher.verify(hashed, self._peppered(plain))
            except (VerifyMismatchError, VerificationError, InvalidHashError):
                return False

    def _peppered(self, plain: str) -> bytes:
        return self._vault.mac("password-pepper", plain)


class Passwords:
    """The stored password hashes."""

    def __init__(self, db: Connection, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    def find(self, account_id: str) -> str | None:
        """Return the account's password hash, if it has a password."""
        found: str | None = self._db.execute(
            select(password.c.hash).where(password.c.account_id == account_id)
        ).scalar()
        return found

    def set(self, account_id: str, hashed: str) -> None:
        """Store or replace the account's password hash."""
        values = {"hash": hashed, "changed_at": self._clock()}
        changed = self._db.execute(
            update(password).where(password.c.account_id == account_id).values(**values)
        ).rowcount
        if not changed:
            self._db.execute(insert(password).values(account_id=account_id, **values))

    def remove(self, account_id: str) -> None:
        """Forget the password."""
        self._db.execute(delete(password).where(password.c.account_id == account_id))
