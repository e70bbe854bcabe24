"""Back-channel logout (OpenID Connect Back-Channel Logout 1.0): telling relying parties who left.

What is said is decided here, in the transaction that ends a session or a grant; the token is made
when it is sent, so that it is young however long the relying party could not be reached.
"""

from dataclasses import dataclass
from typing import Any

from accounts.vault import Vault
from idp.oidc.relying_parties import RelyingParties, RelyingParty
from idp.oidc.subject import pairwise_sub, session_sid
from idp.outbox import MessageKind, Outbox, OutboxMessage

LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
TOKEN_TYPE = "logout+jwt"  # noqa: S105 - a media type
TOKEN_SECONDS = 120
"""§2.4: a short life, so that a captured token is soon worth nothing."""


@dataclass(frozen=True, slots=True)
class BackChannelLogout:
    """Orders logout tokens."""

    outbox: Outbox
    relying_parties: RelyingParties
    vault: Vault

    def tell(self, client_id: str, account_id: str, session_id: str) -> None:
        """Tell the relying party, if it wants to know, that this session of the person's is over.

        Both ``sub`` and ``sid`` are told, as in her ID token (§2.4): its other sessions go on.
        """
        found = self.relying_parties.find(client_id, self.outbox.connection)
        if found is None or found.backchannel_logout_uri is None:
            return
        claims = {
            "sub": pairwise_sub(self.vault, found.sector, account_id),
            "sid": session_sid(self.vault, client_id, session_id),
        }
        self.outbox.put(client_id, MessageKind.LOGOUT, claims)


def logout_claims(
    message: OutboxMessage, relying_party: RelyingParty, *, issuer: str, now: int
) -> dict[str, Any]:
    """Return the logout token's claims (§2.4). ``jti`` stays the same at every attempt, so that a
    token that was taken but not answered for is known when it comes again; a nonce never is in it.
    """
    return {
        "iss": issuer,
        "aud": relying_party.client_id,
        "iat": now,
        "exp": now + TOKEN_SECONDS,
        "jti": message.id,
        "events": {LOGOUT_EVENT: {}},
        **message.claims,
    }
