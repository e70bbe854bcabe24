"""Which browsers a person has signed in with before, told by a cookie of the browser's own.

The cookie holds, for up to four people, a moment and a MAC over it and the account; it names nobody,
opens nothing, and forged or copied it only spares its bearer a notice. After an incident nothing that
was remembered before counts.
"""

import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from accounts.schema import Clock
from accounts.vault import Vault

LIFETIME = timedelta(days=400)
MOST = 4
LONGEST_COOKIE = 300
_TOKEN = re.compile(r"([0-9]{1,12})-([0-9a-f]{48})", re.ASCII)


@dataclass(frozen=True)
class KnownBrowsers:
    """Reads and makes the cookie."""

    vault: Vault
    clock: Clock

    def knows(self, cookie: str, account_id: str, *, since: datetime | None) -> bool:
        """True when the account's holder signed in with this browser, not before the moment."""
        now = self.clock()
        earliest = max(now - LIFETIME, since or now - LIFETIME)
        return any(earliest < made <= now for made, _token in self._tokens_of(cookie, account_id))

    def remember(self, cookie: str, account_id: str) -> str:
        """Return the cookie with this account's sign-in of now in it, and the latest others'."""
        own = {token for _made, token in self._tokens_of(cookie, account_id)}
        others = [token for token in _tokens(cookie) if token not in own]
        made = int(self.clock().timestamp())
        return ".".join([*others[-(MOST - 1) :], f"{made}-{self._mac(account_id, made)}"])

    def _tokens_of(self, cookie: str, account_id: str) -> list[tuple[datetime, str]]:
        found = []
        for token in _tokens(cookie):
            made, mac = token.split("-")
            if hmac.compare_digest(mac, self._mac(account_id, int(made))):
                found.append((datetime.fromtimestamp(int(made), UTC), token))
        return found

    def _mac(self, account_id: str, made: int) -> str:
        return self.vault.mac("known-browser", account_id, str(made))[:24].hex()


def _tokens(cookie: str) -> list[str]:
    if len(cookie) > LONGEST_COOKIE:
        return []
    return [part for part in cookie.split(".") if _TOKEN.fullmatch(part)][:MOST]
