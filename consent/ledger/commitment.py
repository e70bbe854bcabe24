"""Commitments: a hash that binds an entry's content and reveals nothing of it without the salt."""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

import orjson

_TAG = b"sen-id/use-entry/v1\x00"


def canonical(entry: Mapping[str, Any]) -> bytes:
    """Return the entry's one spelling: compact JSON, sorted ASCII keys (RFC 8785's result for
    entries of strings, integers, lists and null).
    """
    return orjson.dumps(entry, option=orjson.OPT_SORT_KEYS)


def salt(key: bytes, entry_id: str) -> bytes:
    """Return the entry's salt. ``key`` belongs to one subject and one year; deleting it makes the
    commitments of that year say nothing for ever, while every chain stays verifiable.
    """
    return hmac.digest(key, entry_id.encode(), "sha256")


def commit(entry: Mapping[str, Any], entry_salt: bytes) -> bytes:
    """Return SHA-256 over tag, salt and canonical entry."""
    return hashlib.sha256(_TAG + entry_salt + canonical(entry)).digest()
