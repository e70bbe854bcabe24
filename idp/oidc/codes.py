"""Authorization codes: sealed, so that issuing one writes nothing; spent by the row of their grant.

The code's id becomes the grant's primary key, so redeeming twice, on however many workers and after
whatever restart, is one successful insert (RFC 6749 §4.1.2; security.md, case TK02).
"""

import base64
import binascii
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any, ClassVar

import orjson

from accounts.base64url import base64url
from accounts.errors import SealBrokenError
from accounts.vault import Vault

_PREFIX = "sen_ac_"


# Not frozen: two dozen fields, twice in a sign-in, and frozen ones take three times as long to make.
@dataclass(slots=True)
class AuthorizationCode:
    """Everything the token endpoint needs to turn a code into a grant.

    Also satisfies what Authlib asks of a code: the ``get_*`` methods and the challenge attributes.
    """

    grant_id: str
    client_id: str
    redirect_uri: str
    account_id: str
    subject_id: str
    session_id: str
    consent_id: str
    acting_for: str | None
    mandate_id: str | None
    scope: str
    nonce: str | None
    code_challenge: str | None
    userinfo_claims: tuple[str, ...]
    id_token_claims: tuple[str, ...]
    level: int
    acr: str
    amr: tuple[str, ...]
    auth_time: int
    offline: bool
    expires_at: int
    details: dict[str, Any] | None = None

    code_challenge_method: ClassVar[str] = "S256"

    def get_redirect_uri(self) -> str:
        """Return the redirect URI the code was issued to."""
        return self.redirect_uri

    def get_scope(self) -> str:
        """Return the granted scope."""
        return self.scope


_FIELDS = [field.name for field in fields(AuthorizationCode)]
_LISTS = [_FIELDS.index(name) for name in ("userinfo_claims", "id_token_claims", "amr")]
_values_of = attrgetter(*_FIELDS)


class Codes:
    """Seals and opens codes with a key that changes every day."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def seal(self, code: AuthorizationCode) -> str:
        """Return the code as it goes into the redirect."""
        plain = orjson.dumps(_values_of(code))
        day = _day(datetime.fromtimestamp(code.expires_at, UTC))
        sealed = self._vault.seal(f"code/{day}", plain)
        return _PREFIX + base64url(sealed)

    def open(self, text: str, now: datetime) -> AuthorizationCode | None:
        """Return the code if it is ours and has not expired."""
        body = text.removeprefix(_PREFIX)
        if body == text or not body.isascii():
            return None
        try:
            sealed = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        if base64url(sealed) != body:
            # A second spelling of the same bytes must not pass for another code.
            return None
        # A code issued just before midnight expires on the day after.
        for moment in (now, now + timedelta(minutes=10)):
            try:
                plain = self._vault.open(f"code/{_day(moment)}", sealed)
            except SealBrokenError:
                continue
            values: list[Any] = orjson.loads(plain)
            for place in _LISTS:
                values[place] = tuple(values[place])
            code = AuthorizationCode(*values)
            return code if now.timestamp() < code.expires_at else None
        return None


def _day(moment: datetime) -> int:
    return int(moment.timestamp()) // 86_400
