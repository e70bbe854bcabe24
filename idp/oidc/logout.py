"""RP-initiated logout (OpenID Connect RP-Initiated Logout 1.0): judging the request.

Nothing redirects unless a genuine ID token of ours names the relying party that registered the
address (§3).
"""

from dataclasses import dataclass

from idp.keys import KeyRing
from idp.oidc import wire
from idp.oidc.relying_parties import RelyingParties, RelyingParty


@dataclass(frozen=True)
class LogoutRequest:
    """A logout request as it may be believed.

    ``sid`` and ``sub`` come from a genuine hint only; ``redirect_to`` is set only when following it
    is safe. ``is_forged`` tells that a hint was sent which is not ours.
    """

    relying_party: RelyingParty | None = None
    sub: str | None = None
    sid: str | None = None
    redirect_to: str | None = None
    is_forged: bool = False
    parameters: dict[str, str] | None = None


@dataclass(frozen=True)
class LogoutReader:
    """Reads logout requests."""

    relying_parties: RelyingParties
    keys: KeyRing
    issuer: str

    def read(self, pairs: wire.Pairs) -> LogoutRequest:
        """Return what may be believed of the parameters.

        Raises:
            wire.MalformedError: a parameter is doubled.
        """
        values = wire.once(pairs)
        kept: dict[str, str] = {
            str(name): values[name]
            for name in ("id_token_hint", "post_logout_redirect_uri", "state", "client_id")
            if name in values
        }
        hint = values.get("id_token_hint")
        claims = self.keys.verify_own(hint, issuer=self.issuer) if hint else None
        client_id = claims["aud"] if claims else values.get("client_id", "")
        mismatched = claims is not None and values.get("client_id", client_id) != client_id
        relying_party = self.relying_parties.find(str(client_id)) if client_id else None
        if claims is None or mismatched or relying_party is None:
            return LogoutRequest(relying_party, is_forged=hint is not None, parameters=kept)
        return LogoutRequest(
            relying_party,
            sub=claims["sub"],
            sid=claims.get("sid"),
            redirect_to=_target(values, relying_party),
            parameters=kept,
        )


def _target(values: dict[str, str], relying_party: RelyingParty) -> str | None:
    uri = values.get("post_logout_redirect_uri")
    if uri is None or uri not in relying_party.post_logout_redirect_uris:
        return None
    state = values.get("state")
    return wire.with_query(uri, [("state", state)]) if state is not None else uri
