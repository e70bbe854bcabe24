"""What a relying party does with what the provider sends it: logout tokens (OpenID Connect Back-Channel
Logout 1.0 §2.6) and security event tokens (RFC 8417 §2).
"""

import threading
import time
from collections.abc import Callable
from typing import Any, cast

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

WITHDRAWN = "urn:vn:eid:event:consent-withdrawn"
EVENT = "http://schemas.openid.net/event/backchannel-logout"
_LEEWAY_SECONDS = 30
_LONGEST_LIFE_SECONDS = 600


class LogoutTokenError(Exception):
    """Not a logout token of this provider for this party, or one that was taken before."""


class LogoutTokens:
    """Checks logout tokens, and remembers for as long as they live which were taken."""

    def __init__(self, issuer: str, client_id: str, clock: Callable[[], float] = time.time) -> None:
        self._issuer = issuer
        self._client_id = client_id
        self._clock = clock
        self._taken: dict[str, float] = {}
        self._lock = threading.Lock()

    def read(self, token: str, keys: KeySet, algorithms: list[str]) -> dict[str, Any]:
        """Return the claims: whose session (``sub``, ``sid``) is over.

        Raises:
            LogoutTokenError: one of the checks of §2.6 fails.
        """
        typ, claims = _verified(token, keys, algorithms)
        events, now = claims.get("events"), self._clock()
        self._check(
            claims,
            now,
            {
                "typ": typ == "logout+jwt",
                "iat": _is_between(claims.get("iat"), now - _LONGEST_LIFE_SECONDS, now),
                "exp": _is_between(claims.get("exp"), now, now + _LONGEST_LIFE_SECONDS),
                "events": isinstance(events, dict) and events.get(EVENT) == {},
                "who": bool(claims.get("sub") or claims.get("sid")),
                # An ID token has one; so neither is ever taken for the other.
                "nonce": "nonce" not in claims,
            },
        )
        return claims

    def read_event(self, token: str, keys: KeySet, algorithms: list[str]) -> dict[str, Any]:
        """Return the events of a security event token, each with what it says.

        It may come late, after days in which this party could not be reached.

        Raises:
            LogoutTokenError: it is none of this provider for this party, or was taken before.
        """
        typ, claims = _verified(token, keys, algorithms)
        events, now = claims.get("events"), self._clock()
        self._check(
            claims,
            now,
            {
                "typ": typ == "secevent+jwt",
                "iat": _is_between(claims.get("iat"), 0, now),
                "events": isinstance(events, dict) and bool(events),
            },
        )
        return cast("dict[str, Any]", events)

    def _check(self, claims: dict[str, Any], now: float, checks: dict[str, bool]) -> None:
        every = {
            **checks,
            "iss": claims.get("iss") == self._issuer,
            "aud": claims.get("aud") in (self._client_id, [self._client_id]),
            "jti": self._is_new(str(claims.get("jti") or ""), now),
        }
        failed = [name for name, holds in every.items() if not holds]
        if failed:
            raise LogoutTokenError(failed[0])

    def _is_new(self, jti: str, now: float) -> bool:
        with self._lock:
            self._taken = {one: until for one, until in self._taken.items() if until > now}
            if not jti or jti in self._taken:
                return False
            self._taken[jti] = now + _LONGEST_LIFE_SECONDS
            return True


def _verified(token: str, keys: KeySet, algorithms: list[str]) -> tuple[object, dict[str, Any]]:
    """Return the token's type and claims, once its signature is verified."""
    try:
        read = jwt.decode(token, keys, algorithms=algorithms)
    except (JoseError, ValueError) as error:
        raise LogoutTokenError("signature") from error
    return read.header.get("typ"), dict(read.claims)


def _is_between(moment: object, first: float, last: float) -> bool:
    return isinstance(moment, int) and first - _LEEWAY_SECONDS <= moment <= last + _LEEWAY_SECONDS
