"""Commitments: a hash that binds an entry's content and reveals nothing of it without the salt."""

import hashlib
import hmac

_TAG = b"sen-id/use-entry/v1\x00"


def salt(key: bytes, entry_id: str) -> bytes:
    """Return the entry's salt. ``key`` belongs to one subject and one year; deleting it makes the
    commitments of that year say nothing for ever, while every chain stays verifiable.
    """
    return hmac.new(key, entry_id.encode(), "sha256").digest()


def commit(entry: bytes, entry_salt: bytes) -> bytes:
    """Return SHA-256 over tag, salt and the entry in its canonical spelling."""
    return hashlib.sha256(_TAG + entry_salt + entry).digest()
