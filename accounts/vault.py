"""Keys of an installation: sealing, blind indexes and message authentication.

Every purpose has its own key (HKDF, RFC 5869), so a value sealed for one place cannot be opened in
another, and leaking one key reveals nothing of the rest. What is sealed names the key it was sealed
with: the newest seals, and those before it open until nothing needs them (``accounts.data_keys``).
"""

import secrets
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from accounts.errors import SealBrokenError
from accounts.schema import Chance

LEAST_SECRET_BYTES = 32
ROOT = 0
"""The id of the key that seals where no data key was ever made."""
_BY_ROOT = b"\x01"
_BY_DATA_KEY = b"\x02"
_ID_BYTES = 4
_NONCE_BYTES = 12
_TAG_BYTES = 16
_SEALED_AS = "sealed_as"


class Keys(Protocol):
    """The keys there are. The root is never replaced, so what cannot be made anew stands on it:
    pairwise subjects, password hashes, blind indexes, and MACs of what nobody has in clear.
    """

    def root(self) -> bytes:
        """Return the root key."""
        ...

    def newest(self) -> int:
        """Return the id of the key that seals."""
        ...

    def find(self, key_id: int) -> bytes | None:
        """Return the key with this id if it still opens anything."""
        ...


class _SecretAlone:
    """An installation that never made a data key: its secret is the root, and seals."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def root(self) -> bytes:
        return self._secret

    def newest(self) -> int:
        return ROOT

    def find(self, key_id: int) -> bytes | None:
        return self._secret if key_id == ROOT else None


class Vault:
    """Seals and indexes. ``secret`` (at least 32 unpredictable bytes) is what the installation was
    given; without ``keys`` it is the only key.
    """

    def __init__(
        self, secret: bytes, *, keys: Keys | None = None, chance: Chance = secrets.token_bytes
    ) -> None:
        if len(secret) < LEAST_SECRET_BYTES:
            raise ValueError(f"the secret needs at least {LEAST_SECRET_BYTES} bytes")
        self._secret = secret
        self._keys = keys or _SecretAlone(secret)
        self._chance = chance
        # OpenSSL takes longer to begin a MAC than to finish a copy of one that was begun.
        self._begun = lru_cache(maxsize=256)(
            lambda key, purpose: HMAC(_derived(key, purpose), SHA256())
        )
        self._cipher = lru_cache(maxsize=512)(lambda key, purpose: AESGCM(_derived(key, purpose)))

    def seal(self, purpose: str, plaintext: bytes, *, context: str = "") -> bytes:
        """Encrypt and authenticate (AES-256-GCM); ``context`` binds the bytes to their place."""
        key_id = self._keys.newest()
        key = self._keys.find(key_id)
        if key is None:
            raise SealBrokenError
        nonce = self._chance(_NONCE_BYTES)
        sealed = self._cipher(key, purpose).encrypt(nonce, plaintext, context.encode())
        return sealed_with(key_id) + nonce + sealed

    def open(self, purpose: str, sealed: bytes, *, context: str = "") -> bytes:
        """Return what was sealed.

        Raises:
            SealBrokenError: altered bytes, another purpose or context, or a key that is no more.
        """
        key_id = key_id_of(sealed)
        start = len(sealed_with(key_id))
        nonce, body = sealed[start : start + _NONCE_BYTES], sealed[start + _NONCE_BYTES :]
        key = self._keys.find(key_id)
        if key is None or len(body) < _TAG_BYTES:
            raise SealBrokenError
        try:
            return self._cipher(key, purpose).decrypt(nonce, body, context.encode())
        except InvalidTag as error:
            raise SealBrokenError from error

    def mac(self, purpose: str, *parts: str | bytes) -> bytes:
        """Return HMAC-SHA256 over the parts, each preceded by its length so none can slide."""
        return _mac(self._begun(self._keys.root(), purpose), parts)

    def passing_mac(self, purpose: str, *parts: str | bytes) -> bytes:
        """Return a MAC that need not outlive the secret: it asks no database."""
        return _mac(self._begun(self._secret, purpose), parts)

    def blind_index(self, kind: str, value: str) -> bytes:
        """Return the keyed fingerprint by which an encrypted identifier is found."""
        return self.mac(f"blind-index/{kind}", value)


def sealed_with(key_id: int) -> bytes:
    """Return how everything begins that was sealed with this key."""
    if key_id == ROOT:
        return _BY_ROOT
    return _BY_DATA_KEY + key_id.to_bytes(_ID_BYTES, "big")


def key_id_of(sealed: bytes) -> int:
    """Return the id of the key that sealed it.

    Raises:
        SealBrokenError: nothing of ours begins like this.
    """
    if sealed[:1] == _BY_ROOT:
        return ROOT
    if sealed[:1] == _BY_DATA_KEY and len(sealed) > _ID_BYTES:
        return int.from_bytes(sealed[1 : 1 + _ID_BYTES], "big")
    raise SealBrokenError


def sealed_as(purpose: str, *context: str) -> dict[str, Any]:
    """Return the ``info`` of a column of sealed values: their purpose, and the columns of the row
    that are their context. By it they are found when they are sealed anew.
    """
    return {_SEALED_AS: (purpose, context)}


def purpose_and_context(info: Mapping[str, Any]) -> tuple[str, tuple[str, ...]] | None:
    """Return what ``sealed_as`` noted of a column, or None of any other column."""
    found: tuple[str, tuple[str, ...]] | None = info.get(_SEALED_AS)
    return found


def context_of(values: tuple[Any, ...]) -> str:
    """Return a row's context as it was given when its value was sealed: bytes as hexadecimals,
    several values parted by a slash.
    """
    return "/".join(v.hex() if isinstance(v, bytes) else str(v) for v in values)


def _derived(key: bytes, purpose: str) -> bytes:
    info = b"sen-id/" + purpose.encode()
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(key)


def _mac(begun: HMAC, parts: tuple[str | bytes, ...]) -> bytes:
    message = bytearray()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        message += len(data).to_bytes(4, "big") + data
    mac = begun.copy()
    mac.update(message)
    return mac.finalize()
