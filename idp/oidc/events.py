"""Security event tokens (RFC 8417): telling relying parties what became of consents.

What is said is decided in the transaction of the act; the token is made when it is sent (RFC 8935) or
fetched (RFC 8936), as the relying party registered. One that registered neither asks for itself
(docs/integrating.md).
"""

from dataclasses import dataclass
from typing import Any

from accounts.vault import Vault
from consent.decisions import Consent
from idp.keys import KeyRing
from idp.oidc.relying_parties import RelyingParties, RelyingParty
from idp.oidc.subject import pairwise_sub
from idp.outbox import MessageKind, Outbox, OutboxMessage

TOKEN_TYPE = "secevent+jwt"  # noqa: S105 - a media type (RFC 8417 §2.3)
MEDIA_TYPE = f"application/{TOKEN_TYPE}"
_SCHEMA = "urn:vn:eid:event:"
WITHDRAWN = f"{_SCHEMA}consent-withdrawn"
NARROWED = f"{_SCHEMA}consent-narrowed"
PAUSED = f"{_SCHEMA}consent-paused"
RENEWED = f"{_SCHEMA}consent-renewed"


@dataclass(frozen=True, slots=True)
class ConsentEvents:
    """Orders security event tokens about consents."""

    outbox: Outbox
    relying_parties: RelyingParties
    vault: Vault
    issuer: str

    def tell(self, event: str, consent: Consent, account_id: str, **more: Any) -> None:
        """Tell the relying party, if it has an address for it, what became of a consent."""
        found = self.relying_parties.find(consent.client_id, self.outbox.connection)
        if found is None or not (found.events_uri or found.fetches_events):
            return
        sub = pairwise_sub(self.vault, found.sector, account_id)
        claims = {
            "sub_id": {"format": "iss_sub", "iss": self.issuer, "sub": sub},
            "events": {event: {"consent": consent.id, **more}},
        }
        self.outbox.put(
            consent.client_id, MessageKind.EVENT, claims, is_fetched=found.fetches_events
        )


def event_claims(
    message: OutboxMessage, relying_party: RelyingParty, *, issuer: str
) -> dict[str, Any]:
    """Return the token's claims (RFC 8417 §2.2): no ``sub`` and no ``exp``, so that it is mistaken
    for no other token (§4), and the same ``jti`` at every attempt.
    """
    return {
        "iss": issuer,
        "aud": relying_party.client_id,
        "iat": int(message.made_at.timestamp()),
        "jti": message.id,
        **message.claims,
    }


def event_token(
    message: OutboxMessage, relying_party: RelyingParty, *, issuer: str, keys: KeyRing
) -> str:
    """Return the signed token."""
    claims = event_claims(message, relying_party, issuer=issuer)
    return keys.sign(claims, relying_party.id_token_algorithm, typ=TOKEN_TYPE)


def withdrawn_in(message: OutboxMessage) -> str | None:
    """Return the consent of whose withdrawal the message tells, if it does."""
    told = message.claims.get("events", {}).get(WITHDRAWN)
    return str(told["consent"]) if told else None
