"""A subject's chain of commitments: gap-free positions, each head hashing the one before it."""

import hashlib
from collections.abc import Iterable

_TAG = b"sen-id/chain/v1\x00"

EMPTY = bytes(32)
"""The head of a chain without entries."""


def advance(head: bytes, commitment: bytes) -> bytes:
    """Return the head after appending one commitment."""
    return hashlib.sha256(_TAG + head + commitment).digest()


def fold(commitments: Iterable[bytes], head: bytes = EMPTY) -> bytes:
    """Return the head after appending all commitments in order."""
    for commitment in commitments:
        head = advance(head, commitment)
    return head
