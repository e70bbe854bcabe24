"""A software authenticator: makes real WebAuthn registrations and assertions, and bad ones on demand.

Each `Twist` is one thing that an honest authenticator or browser would not do.
"""

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field, replace
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

PRESENT, VERIFIED, BACKUP_ELIGIBLE, BACKED_UP, ATTESTED = 0x01, 0x04, 0x08, 0x10, 0x40
ES256 = -7

Key = ec.EllipticCurvePrivateKey


def encoded(data: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass(frozen=True)
class Twist:
    """Departures from what is right; None means none."""

    origin: str | None = None
    rp_id: str | None = None
    type: str | None = None
    challenge: bytes | None = None
    cross_origin: bool | None = None
    flags: int | None = None
    count: int | None = None
    key: Key | None = None
    user_handle: bytes | None = None
    credential_id: bytes | None = None
    algorithm: int | None = None
    trailing: bytes = b""
    attestation: bytes | None = None


HONEST = Twist()


@dataclass
class Phone:
    """One authenticator with one credential for the provider."""

    origin: str
    user_handle: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    key: Key = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    count: int = 0
    counts: bool = False

    @property
    def rp_id(self) -> str:
        return self.origin.split("://")[1].split(":")[0]

    def copy(self) -> "Phone":
        return replace(self)

    def seeded(self) -> dict[str, Any]:
        """Return the passkey as a seed file holds it."""
        numbers = self.key.public_key().public_numbers()
        return {
            "credential_id": encoded(self.credential_id),
            "user_handle": encoded(self.user_handle),
            "public_key_jwk": {
                "kty": "EC",
                "crv": "P-256",
                "x": encoded(numbers.x.to_bytes(32, "big")),
                "y": encoded(numbers.y.to_bytes(32, "big")),
            },
            "sign_count": self.count,
        }

    def register(self, options: dict[str, Any], twist: Twist = HONEST) -> dict[str, Any]:
        """Answer `PublicKeyCredentialCreationOptions`; the phone then belongs to that account."""
        self.user_handle = decoded(options["user"]["id"])
        client_data = self._client_data("webauthn.create", options, twist)
        flags = twist.flags if twist.flags is not None else PRESENT | VERIFIED
        public = (twist.key or self.key).public_key().public_numbers()
        cose = {
            1: 2,
            3: twist.algorithm or ES256,
            -1: 1,
            -2: public.x.to_bytes(32, "big"),
            -3: public.y.to_bytes(32, "big"),
        }
        credential_id = twist.credential_id or self.credential_id
        attested = (
            bytes(16)
            + len(credential_id).to_bytes(2, "big")
            + credential_id
            + cbor2.dumps(cose)
            + twist.trailing
        )
        auth_data = self._auth_data(flags | ATTESTED, twist) + attested
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": auth_data})
        return {
            "id": encoded(credential_id),
            "rawId": encoded(credential_id),
            "type": "public-key",
            "response": {
                "clientDataJSON": encoded(client_data),
                "attestationObject": encoded(twist.attestation or attestation),
                "transports": ["internal"],
            },
            "clientExtensionResults": {},
        }

    def sign(self, options: dict[str, Any], twist: Twist = HONEST) -> dict[str, Any]:
        """Answer `PublicKeyCredentialRequestOptions` with an assertion."""
        client_data = self._client_data("webauthn.get", options, twist)
        if self.counts:
            self.count += 1
        flags = twist.flags if twist.flags is not None else PRESENT | VERIFIED
        auth_data = self._auth_data(flags, twist) + twist.trailing
        signed = auth_data + hashlib.sha256(client_data).digest()
        signature = (twist.key or self.key).sign(signed, ec.ECDSA(hashes.SHA256()))
        credential_id = twist.credential_id or self.credential_id
        return {
            "id": encoded(credential_id),
            "rawId": encoded(credential_id),
            "type": "public-key",
            "response": {
                "clientDataJSON": encoded(client_data),
                "authenticatorData": encoded(auth_data),
                "signature": encoded(signature),
                "userHandle": encoded(
                    twist.user_handle if twist.user_handle is not None else self.user_handle
                ),
            },
            "clientExtensionResults": {},
        }

    def _client_data(self, type_: str, options: dict[str, Any], twist: Twist) -> bytes:
        challenge = decoded(options["challenge"]) if twist.challenge is None else twist.challenge
        return json.dumps(
            {
                "type": twist.type or type_,
                "challenge": encoded(challenge),
                "origin": twist.origin or self.origin,
                "crossOrigin": bool(twist.cross_origin),
            }
        ).encode()

    def _auth_data(self, flags: int, twist: Twist) -> bytes:
        count = self.count if twist.count is None else twist.count
        rp_id = twist.rp_id or self.rp_id
        return hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + count.to_bytes(4, "big")
