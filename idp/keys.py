"""Signing keys: made, rotated and published; private parts are sealed at rest.

A new key is published before it signs and an old one stays published after its last signature, so
no relying party ever meets an ID token it cannot verify.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any

import jwt
import orjson
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import get_default_algorithms
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    LargeBinary,
    String,
    Table,
    delete,
    insert,
    select,
    update,
)

from accounts.base64url import base64url
from accounts.schema import Clock, UTCDateTime, metadata
from accounts.vault import Vault, sealed_as
from idp.database import for_reading

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

ALGORITHMS = ("ES256", "RS256", "PS256")
KEPT_AFTER_RETIRING = timedelta(days=2)
"""Longer than any ID token lives and any relying party caches our key set."""
_RSA_BITS = 2048


class KeyState(StrEnum):
    """``active`` keys sign; ``retired`` ones are still published for verifying."""

    ACTIVE = "active"
    RETIRED = "retired"


signing_key = Table(
    "signing_key",
    metadata,
    Column("kid", String(64), primary_key=True),
    Column("algorithm", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("sealed", LargeBinary, nullable=False, info=sealed_as("signing-key", "kid")),
    Column("created_at", UTCDateTime, nullable=False),
    Column("retired_at", UTCDateTime),
)


@dataclass(frozen=True)
class SigningKey:
    """A key as it stands; ``private`` never leaves the process."""

    kid: str
    algorithm: str
    state: KeyState
    private: PrivateKey
    created_at: datetime
    retired_at: datetime | None

    def public_jwk(self) -> dict[str, str]:
        """Return the public part as a JWK (RFC 7517), private members left out."""
        return {
            **_public_members(self.private),
            "kid": self.kid,
            "alg": self.algorithm,
            "use": "sig",
        }


class SigningKeys:
    """The stored keys."""

    def __init__(self, db: Connection, clock: Clock, vault: Vault) -> None:
        self._db = db
        self._clock = clock
        self._vault = vault

    def all(self) -> list[SigningKey]:
        """Return every key that is still published, newest first."""
        rows = self._db.execute(select(signing_key).order_by(signing_key.c.created_at.desc()))
        return [
            SigningKey(
                row.kid,
                row.algorithm,
                KeyState(row.state),
                self._opened(row.kid, row.sealed),
                row.created_at,
                row.retired_at,
            )
            for row in rows
        ]

    def exist(self) -> bool:
        """True when any key was ever made and is still published."""
        return self._db.execute(select(signing_key.c.kid).limit(1)).first() is not None

    def ensure(self) -> None:
        """Make the first key of each algorithm, where there is none."""
        present = set(
            self._db.execute(
                select(signing_key.c.algorithm).where(signing_key.c.state == KeyState.ACTIVE.value)
            ).scalars()
        )
        for algorithm in ALGORITHMS:
            if algorithm not in present:
                self._add(algorithm)

    def rotate(self, algorithm: str) -> str:
        """Put a new key in place of the active one and return the new ``kid``."""
        self._db.execute(
            update(signing_key)
            .where(
                signing_key.c.algorithm == algorithm,
                signing_key.c.state == KeyState.ACTIVE.value,
            )
            .values(state=KeyState.RETIRED.value, retired_at=self._clock())
        )
        return self._add(algorithm)

    def purge(self, now: datetime) -> int:
        """Stop publishing keys that retired long enough ago; return how many."""
        return self._db.execute(
            delete(signing_key).where(signing_key.c.retired_at <= now - KEPT_AFTER_RETIRING)
        ).rowcount

    def _add(self, algorithm: str) -> str:
        private = _generate(algorithm)
        kid = _thumbprint(private)
        pem = private.private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        self._db.execute(
            insert(signing_key).values(
                kid=kid,
                algorithm=algorithm,
                state=KeyState.ACTIVE.value,
                sealed=self._vault.seal("signing-key", pem, context=kid),
                created_at=self._clock(),
            )
        )
        return kid

    def _opened(self, kid: str, sealed: bytes) -> PrivateKey:
        plain = self._vault.open("signing-key", sealed, context=kid)
        private = serialization.load_der_private_key(plain, None)
        assert isinstance(private, PrivateKey)  # noqa: S101 - we only ever store these two kinds
        return private


class KeyRing:
    """The keys in memory: parsed once, read again every few seconds so that a rotation is seen."""

    _FRESH = timedelta(seconds=5)

    def __init__(self, engine: Engine, clock: Clock, vault: Vault) -> None:
        self._engine = for_reading(engine)
        self._clock = clock
        self._vault = vault
        self._keys: list[SigningKey] = []
        self._published = b'{"keys":[]}'
        self._read_at: datetime | None = None

    def sign(self, claims: dict[str, Any], algorithm: str, *, typ: str = "JWT") -> str:
        """Return the claims as a compact JWS signed with the algorithm's active key."""
        return self.sign_bytes(orjson.dumps(claims), algorithm, typ=typ)

    def sign_bytes(self, payload: bytes, algorithm: str, *, typ: str) -> str:
        """Return the payload, as it is, as a compact JWS signed with the algorithm's active key."""
        key = next(
            k for k in self._current() if k.algorithm == algorithm and k.state is KeyState.ACTIVE
        )
        signed = _header(key.kid, algorithm, typ) + b"." + _spelled(payload)
        signature = _SIGNERS[algorithm].sign(signed, key.private)
        return (signed + b"." + _spelled(signature)).decode()

    def verify_own(self, token: str, *, issuer: str) -> dict[str, Any] | None:
        """Return the claims of an ID token that we signed, expired or not; None for any other."""
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError, ArithmeticError, RecursionError):
            return None
        key = next((k for k in self._current() if k.kid == header.get("kid")), None)
        if key is None:
            return None
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key.private.public_key(),
                algorithms=[key.algorithm],
                issuer=issuer,
                options={
                    "verify_exp": False,
                    "verify_aud": False,
                    # Another server of ours may have made it with a clock a little ahead.
                    "verify_iat": False,
                    "require": ["iss", "sub", "aud"],
                },
            )
        except (jwt.PyJWTError, ValueError, ArithmeticError, RecursionError):
            return None
        return claims

    def public_set(self) -> bytes:
        """Return the JWK Set to publish, as JSON."""
        self._current()
        return self._published

    def has_keys(self) -> bool:
        """True when there is something to sign with."""
        return bool(self._current())

    def _current(self) -> list[SigningKey]:
        now = self._clock()
        if self._read_at is None or not timedelta(0) <= now - self._read_at < self._FRESH:
            with self._engine.connect() as db:
                rows = [
                    (row.kid, row.state)
                    for row in db.execute(select(signing_key.c.kid, signing_key.c.state))
                ]
                if sorted(rows) != sorted((k.kid, k.state.value) for k in self._keys):
                    self._keys = SigningKeys(db, self._clock, self._vault).all()
                    published = {"keys": [key.public_jwk() for key in self._keys]}
                    self._published = json.dumps(published, separators=(",", ":")).encode()
            self._read_at = now
        return self._keys


_SIGNERS: dict[str, Any] = get_default_algorithms()


@lru_cache(maxsize=64)
def _header(kid: str, algorithm: str, typ: str) -> bytes:
    """Return the protected header (RFC 7515 §4), the same for all that a key signs."""
    return _spelled(orjson.dumps({"alg": algorithm, "kid": kid, "typ": typ}))


def _spelled(data: bytes) -> bytes:
    return base64url(data).encode()


def _generate(algorithm: str) -> PrivateKey:
    if algorithm == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS)


def _public_members(private: PrivateKey) -> dict[str, str]:
    public = private.public_key()
    if isinstance(public, ec.EllipticCurvePublicKey):
        point = public.public_numbers()
        return {
            "kty": "EC",
            "crv": "P-256",
            "x": _base64url(point.x, 32),
            "y": _base64url(point.y, 32),
        }
    numbers = public.public_numbers()
    return {"kty": "RSA", "n": _base64url(numbers.n), "e": _base64url(numbers.e)}


def _thumbprint(private: PrivateKey) -> str:
    """Return the JWK thumbprint (RFC 7638), which serves as ``kid``."""
    members = json.dumps(_public_members(private), sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(members.encode()).digest()
    return base64url(digest)


def _base64url(number: int, length: int | None = None) -> str:
    size = length or (number.bit_length() + 7) // 8
    return base64url(number.to_bytes(size, "big"))
