"""Passive and active authentication of one reading (Doc 9303 part 11 §5.1 and §6.1)."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from accounts import legal_clock
from accounts.chip import files, security_object
from accounts.chip.errors import ChipRefusedError
from accounts.chip.files import Holder
from accounts.chip.trust import Trust, fingerprints

NONCE_BYTES = 8
"""RND.IFD of active authentication has this length (Doc 9303 part 11 §6.1)."""
GREATEST_FILE = 64 * 1024
"""No file of a card is longer; the face is the longest."""
_PLAIN_ECDSA = {
    # ecdsa-plain-SHA256, 384 and 512 of BSI TR-03111, 0.4.0.127.0.7.1.1.4.1.3 to .5.
    bytes.fromhex("04007f00070101040103"): hashes.SHA256(),
    bytes.fromhex("04007f00070101040104"): hashes.SHA384(),
    bytes.fromhex("04007f00070101040105"): hashes.SHA512(),
}


@dataclass(frozen=True)
class Reading:
    """What a reader app sends: the security object, the data groups by number, and the signature that
    the chip made over our nonce.
    """

    security_object: bytes
    groups: Mapping[int, bytes]
    signature: bytes


@dataclass(frozen=True)
class Proof:
    """What a good reading proves. ``evidence`` is all that may be kept of the files: their hashes,
    and the serial numbers of the certificates that vouch for them.
    """

    holder: Holder
    evidence: dict[str, str]


def examine(reading: Reading, nonce: bytes, trust: Trust, now: datetime) -> Proof:
    """Check everything that the bytes can tell: who signed the files, that they are those files, that
    they do not contradict each other, and that the chip which signed our nonce is theirs.

    Raises:
        ChipRefusedError: any of it fails; ``detail`` says which.
    """
    _check_sizes(reading)
    try:
        return _examined(reading, nonce, trust, now)
    except ChipRefusedError:
        raise
    except Exception as error:
        # Hostile bytes: parsers raise whatever they like at them, and every one of it is a refusal.
        raise ChipRefusedError("unreadable") from error


def _examined(reading: Reading, nonce: bytes, trust: Trust, now: datetime) -> Proof:
    signed = security_object.read(reading.security_object)
    authority = trust.check(signed.signer, now)
    for group in files.NEEDED:
        signed.check(group, reading.groups[group])
    holder = files.holder(reading.groups[1], reading.groups[13])
    if holder.expiry is not None and holder.expiry < legal_clock.today(now):
        raise ChipRefusedError("card-expired")
    _check_possession(reading, nonce)
    ours, theirs = fingerprints([authority, signed.signer])
    hashed = {f"dg{group}": _sha256(reading.groups[group]) for group in files.NEEDED}
    return Proof(
        holder,
        {
            "sod": _sha256(reading.security_object),
            **hashed,
            "authority": ours,
            "signer": theirs,
        },
    )


def _check_sizes(reading: Reading) -> None:
    if not reading.security_object or not all(reading.groups.get(one) for one in files.NEEDED):
        raise ChipRefusedError("file-missing")
    if any(
        len(data) > GREATEST_FILE for data in (reading.security_object, *reading.groups.values())
    ):
        raise ChipRefusedError("too-large")


def _check_possession(reading: Reading, nonce: bytes) -> None:
    """Verify the chip's signature over our nonce with the key of DG15: a copy of the files has no
    private key, so it cannot make one.
    """
    algorithm = _PLAIN_ECDSA.get(files.active_authentication_algorithm(reading.groups[14]))
    try:
        key = serialization.load_der_public_key(files.public_key(reading.groups[15]))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ChipRefusedError("unreadable") from error
    if algorithm is None or not isinstance(key, ec.EllipticCurvePublicKey):
        raise ChipRefusedError("algorithm-unsuitable")
    half = (key.curve.key_size + 7) // 8
    if len(reading.signature) != 2 * half:
        raise ChipRefusedError("copy")
    r = int.from_bytes(reading.signature[:half], "big")
    s = int.from_bytes(reading.signature[half:], "big")
    try:
        key.verify(encode_dss_signature(r, s), nonce, ec.ECDSA(algorithm))
    except InvalidSignature as error:
        raise ChipRefusedError("copy") from error


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
