"""Signed notes (C2SP signed-note): a text, and lines of signatures by named keys.

Three kinds of signatures: the log's own (Ed25519), and the two of C2SP tlog-cosignature, which tell
the time at which they were made: Ed25519, and ML-DSA-44, which withstands quantum computers.
"""

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

MOST_SIGNATURES = 64
GREATEST = 256 * 1024
_ID_BYTES = 4
_TIME_BYTES = 8
_DASH = "\u2014 "
PrivateKey = Ed25519PrivateKey | MLDSA44PrivateKey


class NoteError(Exception):
    """No note, no key, or a signature that is none; the message says which in a word."""


class Kind(IntEnum):
    """What a signature is, and how it is made."""

    ED25519 = 1
    COSIGNATURE = 4
    ML_DSA_44 = 6


@dataclass(frozen=True)
class VerifierKey:
    """A public key with the name it signs under."""

    name: str
    kind: Kind
    public: bytes

    @property
    def key_id(self) -> bytes:
        """The four bytes that, with the name, tell this key from others."""
        body = self.name.encode() + b"\n" + bytes([self.kind]) + self.public
        return hashlib.sha256(body).digest()[:_ID_BYTES]

    def __str__(self) -> str:
        """Return the key as it is written down: name, id and key, joined by plus signs."""
        return f"{self.name}+{self.key_id.hex()}+{_spelled(bytes([self.kind]) + self.public)}"

    @classmethod
    def parse(cls, text: str) -> "VerifierKey":
        """Return the key that is written so.

        Raises:
            NoteError: it is not written as a key is, or its id is another key's.
        """
        name, _, rest = text.partition("+")
        key_id, _, spelled = rest.partition("+")
        material = _read(spelled)
        try:
            key = cls(name, Kind(material[0]), material[1:])
        except (IndexError, ValueError) as error:
            raise NoteError("unknown-key") from error
        if not is_key_name(name) or key.key_id.hex() != key_id:
            raise NoteError("unknown-key")
        return key

    def named(self, name: str) -> "VerifierKey":
        """Return the same key under another name."""
        return VerifierKey(name, self.kind, self.public)

    def verify(self, text: str, signature: bytes) -> int | None:
        """Return when the text was signed, in seconds of POSIX; None where the signature tells none.

        Raises:
            NoteError: this key did not make the signature.
        """
        try:
            if self.kind is Kind.ED25519:
                Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text.encode())
                return None
            seconds = int.from_bytes(signature[:_TIME_BYTES], "big")
            rest = signature[_TIME_BYTES:]
            if self.kind is Kind.COSIGNATURE:
                message = _cosigned(text, seconds)
                Ed25519PublicKey.from_public_bytes(self.public).verify(rest, message)
            else:
                message = _cosigned_ml_dsa(self.name, text, seconds)
                MLDSA44PublicKey.from_public_bytes(self.public).verify(rest, message)
        except (InvalidSignature, ValueError) as error:
            raise NoteError("signature-differs") from error
        return seconds


@dataclass(frozen=True)
class Signer:
    """A private key with the name it signs under."""

    name: str
    kind: Kind
    private: PrivateKey

    @property
    def verifier(self) -> VerifierKey:
        """The public side of it."""
        return VerifierKey(self.name, self.kind, self.private.public_key().public_bytes_raw())

    def named(self, name: str) -> "Signer":
        """Return the same key under another name."""
        return Signer(name, self.kind, self.private)

    def sign(self, text: str, seconds: int = 0) -> str:
        """Return the signature's line; ``seconds`` of POSIX go into a cosignature."""
        time = seconds.to_bytes(_TIME_BYTES, "big")
        if self.kind is Kind.ED25519:
            signature = self.private.sign(text.encode())
        elif self.kind is Kind.COSIGNATURE:
            signature = time + self.private.sign(_cosigned(text, seconds))
        else:
            signature = time + self.private.sign(_cosigned_ml_dsa(self.name, text, seconds))
        return f"{_DASH}{self.name} {_spelled(self.verifier.key_id + signature)}\n"


@dataclass(frozen=True)
class Signature:
    """One line of a note; nothing of it is believed before a key verified it."""

    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True)
class Note:
    """A text, ending in a newline, and the signatures below it."""

    text: str
    signatures: tuple[Signature, ...]

    @classmethod
    def parse(cls, note: str) -> "Note":
        """Take a note apart.

        Raises:
            NoteError: it has not the form of one.
        """
        text, parted, lines = note.rpartition("\n\n")
        if not parted or not lines.endswith("\n") or len(note) > GREATEST or not text:
            raise NoteError("no-note")
        if any(ord(letter) < 0x20 and letter != "\n" for letter in note):
            raise NoteError("no-note")
        return cls(text + "\n", signatures(lines))

    def verify(self, key: VerifierKey) -> tuple[bool, int | None]:
        """Say whether the key signed, and when the latest of its signatures says it did.

        Raises:
            NoteError: a line that claims to be this key's is not.
        """
        own = [s for s in self.signatures if (s.name, s.key_id) == (key.name, key.key_id)]
        times = [key.verify(self.text, one.signature) for one in own]
        return bool(own), max((time for time in times if time is not None), default=None)


def signatures(lines: str) -> tuple[Signature, ...]:
    """Return the signatures that the lines spell.

    Raises:
        NoteError: a line is none.
    """
    found = []
    for line in lines.splitlines():
        name, _, spelled = line.removeprefix(_DASH).partition(" ")
        blob = _read(spelled)
        if not line.startswith(_DASH) or not is_key_name(name) or len(blob) <= _ID_BYTES:
            raise NoteError("no-note")
        found.append(Signature(name, blob[:_ID_BYTES], blob[_ID_BYTES:]))
    if not 0 < len(found) <= MOST_SIGNATURES:
        raise NoteError("no-note")
    return tuple(found)


def is_key_name(name: str) -> bool:
    """True when a key may be called so."""
    return bool(name) and "+" not in name and not any(letter.isspace() for letter in name)


def signed(text: str, signers: Sequence[Signer], seconds: int) -> str:
    """Return the text with the signatures below it."""
    return f"{text}\n" + "".join(signer.sign(text, seconds) for signer in signers)


def _cosigned(text: str, seconds: int) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{text}".encode()


def _cosigned_ml_dsa(name: str, text: str, seconds: int) -> bytes:
    """Return the ``cosigned_message`` of C2SP tlog-cosignature for a checkpoint."""
    lines = text.split("\n")
    if len(lines) < 4 or not lines[1].isdecimal():
        raise ValueError("only checkpoints are cosigned")
    parts = [part.encode() for part in (name, lines[0])]
    cosigner, origin = (bytes([len(part)]) + part for part in parts)
    return (
        b"subtree/v1\n\x00" + cosigner + seconds.to_bytes(8, "big") + origin
        + bytes(8) + int(lines[1]).to_bytes(8, "big") + _read(lines[2])
    )  # fmt: skip


def _spelled(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _read(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NoteError("no-base64") from error
