"""The shapes of opaque tokens: self-contained handles under a MAC, meaningless to everyone else.

A token names its grant and nothing of the person. Whether it is alive is read from the grant's row
at each use, so revocation counts at once and no row is written per token.
"""

import base64
import binascii
import hmac
from datetime import UTC, datetime
from typing import NamedTuple

from accounts.base64url import base64url
from accounts.schema import Chance
from accounts.vault import Vault

_ACCESS = "sen_at_"
_REFRESH = "sen_rt_"
_MACHINE = "sen_mt_"
_MAC_BYTES = 24
_ID_BYTES = 16
_SALT_BYTES = 8


class AccessToken(NamedTuple):
    """What an access token says. ``scope`` is set only where a refresh narrowed it."""

    grant_id: str
    expires_at: datetime
    scope: str | None


class RefreshToken(NamedTuple):
    """What a refresh token says: the grant, and how often it had been refreshed before."""

    grant_id: str
    counter: int


class MachineToken(NamedTuple):
    """What the token of a key that acts for an organisation says: under which mandate, and at which
    service (its client id).
    """

    mandate_id: str
    expires_at: datetime
    audience: str


class Tokens:
    """Makes and reads tokens."""

    def __init__(self, vault: Vault, chance: Chance) -> None:
        self._vault = vault
        self._chance = chance

    def access(self, grant_id: str, expires_at: datetime, scope: str | None = None) -> str:
        """Return a new access token."""
        payload = (
            bytes.fromhex(grant_id)
            + int(expires_at.timestamp()).to_bytes(5, "big")
            + self._chance(_SALT_BYTES)
            + (scope or "").encode()
        )
        return self._sealed(_ACCESS, payload)

    def read_access(self, token: str) -> AccessToken | None:
        """Return what the token says, or None when it is not one of ours."""
        payload = self._opened(_ACCESS, token)
        if payload is None or len(payload) < _ID_BYTES + 5 + _SALT_BYTES:
            return None
        expires = int.from_bytes(payload[_ID_BYTES : _ID_BYTES + 5], "big")
        scope = payload[_ID_BYTES + 5 + _SALT_BYTES :].decode()
        return AccessToken(
            payload[:_ID_BYTES].hex(), datetime.fromtimestamp(expires, UTC), scope or None
        )

    def refresh(self, grant_id: str, counter: int) -> str:
        """Return the refresh token that is good while the grant's counter stands at this number."""
        return self._sealed(_REFRESH, bytes.fromhex(grant_id) + counter.to_bytes(4, "big"))

    def read_refresh(self, token: str) -> RefreshToken | None:
        """Return what the token says, or None when it is not one of ours."""
        payload = self._opened(_REFRESH, token)
        if payload is None or len(payload) != _ID_BYTES + 4:
            return None
        return RefreshToken(payload[:_ID_BYTES].hex(), int.from_bytes(payload[_ID_BYTES:], "big"))

    def machine(self, mandate_id: str, expires_at: datetime, audience: str) -> str:
        """Return a new access token for a key that acts for an organisation."""
        payload = (
            bytes.fromhex(mandate_id)
            + int(expires_at.timestamp()).to_bytes(5, "big")
            + self._chance(_SALT_BYTES)
            + audience.encode()
        )
        return self._sealed(_MACHINE, payload)

    def read_machine(self, token: str) -> MachineToken | None:
        """Return what the token says, or None when it is not one of ours."""
        payload = self._opened(_MACHINE, token)
        if payload is None:
            return None
        expires = int.from_bytes(payload[_ID_BYTES : _ID_BYTES + 5], "big")
        audience = payload[_ID_BYTES + 5 + _SALT_BYTES :].decode()
        return MachineToken(
            payload[:_ID_BYTES].hex(), datetime.fromtimestamp(expires, UTC), audience
        )

    def _sealed(self, kind: str, payload: bytes) -> str:
        mac = self._vault.mac(f"token/{kind}", payload)[:_MAC_BYTES]
        return kind + base64url(payload + mac)

    def _opened(self, kind: str, token: str) -> bytes | None:
        text = token.removeprefix(kind)
        if text == token or len(text) > 2048 or not text.isascii() or "=" in text:
            return None
        try:
            data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except (binascii.Error, ValueError):
            return None
        payload, mac = data[:-_MAC_BYTES], data[-_MAC_BYTES:]
        expected = self._vault.mac(f"token/{kind}", payload)[:_MAC_BYTES]
        # What is no base64url, or another spelling of the same bytes, is no token.
        canonical = base64url(data) == text
        return payload if canonical and hmac.compare_digest(mac, expected) else None
