"""FIDO metadata (FIDO Metadata Service 3.0): which authenticator models exist, and what is proved of
them. A signed file is believed only under a root that the operator configured; nothing is fetched.
"""

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

import jwt
from cryptography import x509
from cryptography.exceptions import InvalidSignature

_ALGORITHMS = ("ES256", "ES384", "RS256", "PS256")
_HARDWARE = frozenset({"hardware", "secure_element"})
_REVOKED = frozenset(
    {
        "REVOKED",
        "USER_VERIFICATION_BYPASS",
        "ATTESTATION_KEY_COMPROMISE",
        "USER_KEY_REMOTE_COMPROMISE",
        "USER_KEY_PHYSICAL_COMPROMISE",
    }
)
"""Statuses (§3.1.4) after which a model's keys count as any other passkey."""
_BIOMETRICS = frozenset(
    {
        "fingerprint_internal",
        "faceprint_internal",
        "eyeprint_internal",
        "handprint_internal",
        "voiceprint_internal",
    }
)
"""User verification methods (FIDO Registry of Predefined Values §3.1) of the key's own sensor."""
_GREATEST_BLOB = 64 * 1024 * 1024


class MetadataRefusedError(Exception):
    """The file is not what the configured root signed; the message says where it fails."""


class Biometric(StrEnum):
    """Whether nothing but a biometric unlocks a model's keys, and which."""

    NONE = ""
    FINGERPRINT = "fingerprint"
    OTHER = "other"
    """Another one, or one of several."""


@dataclass(frozen=True)
class Model:
    """One model of authenticator. ``roots`` are its attestation certificates, DER in base64."""

    aaguid: str
    name: str
    is_hardware: bool
    is_revoked: bool
    biometric: Biometric
    roots: tuple[str, ...]


@dataclass(frozen=True)
class Metadata:
    """A file's content: its serial number, when the next is due, and the models."""

    number: int
    next_update: date
    models: tuple[Model, ...]


def read_metadata(text: str, roots: Iterable[x509.Certificate], now: datetime) -> Metadata:
    """Verify the file's signature chain and return what it says (§3.2 steps 3 to 6).

    Raises:
        MetadataRefusedError: a signature, a certificate or the shape is wrong.
    """
    if len(text) > _GREATEST_BLOB:
        raise MetadataRefusedError("the file is too large")
    token = text.strip()
    try:
        header = jwt.get_unverified_header(token)
        chain = [
            x509.load_der_x509_certificate(base64.b64decode(one, validate=True))
            for one in header.get("x5c") or ()
        ]
    except (jwt.PyJWTError, ValueError, TypeError, binascii.Error) as error:
        raise MetadataRefusedError("it is no signed metadata file") from error
    if header.get("alg") not in _ALGORITHMS or not chain:
        raise MetadataRefusedError("it is not signed in a way that is known here")
    _check_chain(chain, list(roots), now)
    try:
        document: dict[str, Any] = jwt.decode(
            token,
            chain[0].public_key(),  # type: ignore[arg-type]
            algorithms=[header["alg"]],
            options={"verify_exp": False, "verify_aud": False, "verify_iat": False},
        )
    except (jwt.PyJWTError, TypeError, ValueError) as error:
        raise MetadataRefusedError("the signature does not hold") from error
    try:
        return Metadata(
            int(document["no"]),
            date.fromisoformat(document["nextUpdate"]),
            tuple(_models(document["entries"])),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise MetadataRefusedError("it has another shape than FIDO metadata") from error


def _check_chain(
    chain: list[x509.Certificate], roots: list[x509.Certificate], now: datetime
) -> None:
    """Let each certificate be issued by the next, and the last by a configured root."""
    for certificate in chain:
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            raise MetadataRefusedError("a certificate of the chain is not valid today")
    if chain[-1] in roots:
        chain = chain[:-1]
        if not chain:
            raise MetadataRefusedError("the root itself signs no metadata")
    issuers: list[list[x509.Certificate]] = [[one] for one in chain[1:]]
    for certificate, above in zip(chain, [*issuers, roots], strict=True):
        if not any(_is_issued_by(certificate, one) for one in above):
            raise MetadataRefusedError("the chain does not lead to the configured root")


def _is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
        constraints = issuer.extensions.get_extension_for_class(x509.BasicConstraints)
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    return constraints.value.ca


def _models(entries: list[dict[str, Any]]) -> Iterable[Model]:
    for entry in entries:
        # Older protocols (UAF, U2F) name their models otherwise, and make no passkeys.
        if not isinstance(entry.get("aaguid"), str):
            continue
        statement = entry["metadataStatement"]
        statuses = {report["status"] for report in entry.get("statusReports") or ()}
        yield Model(
            aaguid=entry["aaguid"].lower(),
            name=str(statement["description"])[:120],
            is_hardware=bool(_HARDWARE.intersection(statement.get("keyProtection") or ())),
            is_revoked=bool(_REVOKED & statuses),
            biometric=_biometric(statement.get("userVerificationDetails") or ()),
            roots=tuple(statement.get("attestationRootCertificates") or ()),
        )


def _biometric(alternatives: Iterable[Iterable[dict[str, Any]]]) -> Biometric:
    """Return the biometric without which no alternative (FIDO Metadata Statement §4) unlocks a key: one
    with a passcode, a pattern or mere presence alone makes the model like any other.
    """
    needed = [
        {str(one["userVerificationMethod"]) for one in together} & _BIOMETRICS
        for together in alternatives
    ]
    if not needed or not all(needed):
        return Biometric.NONE
    is_finger = all("fingerprint_internal" in one for one in needed)
    return Biometric.FINGERPRINT if is_finger else Biometric.OTHER
