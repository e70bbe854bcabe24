"""How a map auditor asks for what only auditors are given: whose each entry is, by pseudonym."""

import base64
import binascii
import re

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

from consent.ledger.note import Kind, Signer
from consent.ledger.policy import Policy

VALID_FOR = 300
"""Seconds for which a request may be used."""
_HEADER = re.compile(r"Sen-Auditor (\S{1,255}) ([0-9]{1,12}) ([A-Za-z0-9+/=]{1,4096})", re.ASCII)


def authorization(signer: Signer, path: str, seconds: int) -> str:
    """Return the ``Authorization`` header for a path at a time."""
    signature = signer.private.sign(_message(path, seconds))
    return f"Sen-Auditor {signer.name} {seconds} {base64.b64encode(signature).decode()}"


def is_authorized(policy: Policy, header: str, path: str, now: int) -> bool:
    """True when one of the policy's auditors signed the header for this path, just now."""
    found = _HEADER.fullmatch(header)
    if found is None or abs(now - int(found[2])) > VALID_FOR:
        return False
    keys = [
        one.key
        for name, one in policy.cosigners.items()
        if name in policy.auditors and one.key.name == found[1]
    ]
    message = _message(path, int(found[2]))
    for key in keys:
        algorithm = MLDSA44PublicKey if key.kind is Kind.ML_DSA_44 else Ed25519PublicKey
        try:
            algorithm.from_public_bytes(key.public).verify(base64.b64decode(found[3]), message)
        except (InvalidSignature, ValueError, binascii.Error):
            continue
        return True
    return False


def _message(path: str, seconds: int) -> bytes:
    return f"sen-id/auditor-request/v1\n{path}\n{seconds}\n".encode()
