"""What a relying party does with a logout token (OpenID Connect Back-Channel Logout 1.0 §2.6)."""

import threading
import time
from collections.abc import Callable
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

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
        try:
            read = jwt.decode(token, keys, algorithms=algorithms)
        except (JoseError, ValueError) as error:
            raise LogoutTokenError("signature") from error
        claims, now = read.claims, self._clock()
        audience = claims.get("aud")
        events = claims.get("events")
        checks = {
            "typ": read.header.get("typ") == "logout+jwt",
            "iss": claims.get("iss") == self._issuer,
            "aud": audience in (self._client_id, [self._client_id]),
            "iat": _is_between(claims.get("iat"), now - _LONGEST_LIFE_SECONDS, now),
            "exp": _is_between(claims.get("exp"), now, now + _LONGEST_LIFE_SECONDS),
            "events": isinstance(events, dict) and events.get(EVENT) == {},
            "who": bool(claims.get("sub") or claims.get("sid")),
            # An ID token has one; so neither is ever taken for the other.
            "nonce": "nonce" not in claims,
            "jti": self._is_new(str(claims.get("jti") or ""), now),
        }
        failed = [name for name, holds in checks.items() if not holds]
        if failed:
            raise LogoutTokenError(failed[0])
        return dict(claims)

    def _is_new(self, jti: str, now: float) -> bool:
        with self._lock:
            self._taken = {one: until for one, until in self._taken.items() if until > now}
            if not jti or jti in self._taken:
                return False
            self._taken[jti] = now + _LONGEST_LIFE_SECONDS
            return True


def _is_between(moment: object, first: float, last: float) -> bool:
    return isinstance(moment, int) and first - _LEEWAY_SECONDS <= moment <= last + _LEEWAY_SECONDS
