"""Keys derived from the one installation secret: sealing, blind indexes and message authentication.

Every purpose has its own key (HKDF, RFC 5869), so a value sealed for one place cannot be opened in
another, and leaking one key reveals nothing of the rest.
"""

import hmac
import secrets
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from accounts.errors import SealBrokenError
from accounts.schema import Chance

LEAST_SECRET_BYTES = 32
_VERSION = b"\x01"
_NONCE_BYTES = 12


class Vault:
    """Seals and indexes with keys derived from ``secret`` (at least 32 unpredictable bytes)."""

    def __init__(self, secret: bytes, *, chance: Chance = secrets.token_bytes) -> None:
        if len(secret) < LEAST_SECRET_BYTES:
            raise ValueError(f"the secret needs at least {LEAST_SECRET_BYTES} bytes")
        self._secret = secret
        self._chance = chance
        self._key = lru_cache(maxsize=256)(self._derive)
        self._cipher = lru_cache(maxsize=256)(lambda purpose: AESGCM(self._key(purpose)))

    def _derive(self, purpose: str) -> bytes:
        info = b"sen-id/" + purpose.encode()
        return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(self._secret)

    def seal(self, purpose: str, plaintext: bytes, *, context: str = "") -> bytes:
        """Encrypt and authenticate (AES-256-GCM); ``context`` binds the bytes to their place."""
        nonce = self._chance(_NONCE_BYTES)
        sealed = self._cipher(purpose).encrypt(nonce, plaintext, context.encode())
        return _VERSION + nonce + sealed

    def open(self, purpose: str, sealed: bytes, *, context: str = "") -> bytes:
        """Return what was sealed.

        Raises:
            SealBrokenError: altered bytes, another purpose or another context.
        """
        nonce, body = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        if sealed[:1] != _VERSION or len(body) < 16:
            raise SealBrokenError
        try:
            return self._cipher(purpose).decrypt(nonce, body, context.encode())
        except InvalidTag as error:
            raise SealBrokenError from error

    def mac(self, purpose: str, *parts: str | bytes) -> bytes:
        """Return HMAC-SHA256 over the parts, each preceded by its length so none can slide."""
        message = bytearray()
        for part in parts:
            data = part.encode() if isinstance(part, str) else part
            message += len(data).to_bytes(4, "big") + data
        return hmac.digest(self._key(purpose), message, "sha256")

    def blind_index(self, kind: str, value: str) -> bytes:
        """Return the keyed fingerprint by which an encrypted identifier is found."""
        return self.mac(f"blind-index/{kind}", value)
