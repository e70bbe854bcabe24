"""Thumbprints of the keys that relying parties registered (RFC 7638)."""

import hashlib
import json
from typing import Any

from accounts.base64url import base64url

# RFC 7638 §3.2: the members that make the key, and nothing else.
_MEMBERS = {"EC": ("crv", "kty", "x", "y"), "RSA": ("e", "kty", "n"), "OKP": ("crv", "kty", "x")}


def thumbprint(jwk: dict[str, Any]) -> str | None:
    """Return a public key's SHA-256 thumbprint, or None when it is of no kind we know."""
    members = _MEMBERS.get(str(jwk.get("kty")))
    if members is None or not all(isinstance(jwk.get(name), str) for name in members):
        return None
    text = json.dumps({name: jwk[name] for name in members}, separators=(",", ":"), sort_keys=True)
    return base64url(hashlib.sha256(text.encode()).digest())


def is_registered(jwks: dict[str, Any] | None, wanted: str) -> bool:
    """True when the key set that was registered by value holds a key with the thumbprint."""
    keys = (jwks or {}).get("keys") or []
    return any(thumbprint(key) == wanted for key in keys)
