"""Authlib's framework-free authorization server, with our storage, our clock and our order of doing.

Authlib validates and dispatches; what must happen once (spending a code, rotating a refresh token)
happens here first, by one conditional statement, before anything is issued.
"""

from dataclasses import dataclass
from typing import Any

from authlib.oauth2.rfc6749 import AuthorizationServer, InvalidGrantError, OAuth2Payload
from authlib.oauth2.rfc6749 import OAuth2Request as AuthlibRequest
from authlib.oauth2.rfc6749.grants import (
    AuthorizationCodeGrant,
    ClientCredentialsGrant,
    RefreshTokenGrant,
)
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core.grants import OpenIDToken
from authlib.oidc.core.grants.util import create_half_hash

from consent.data_use import Channel
from consent.decisions import Asked
from idp import audit
from idp.oidc import wire
from idp.oidc.codes import AuthorizationCode
from idp.oidc.errors import ProtocolError
from idp.oidc.grants import CodeSpentError, CodeVoidError, Grant, details_of
from idp.oidc.machines import expiry
from idp.oidc.provider import Provider
from idp.oidc.refusals import Reason
from idp.oidc.relying_parties import AUTHENTICATION_METHODS, RelyingParty
from idp.oidc.subject import session_sid


class _Payload(OAuth2Payload):
    def __init__(self, values: dict[str, str]) -> None:
        self._values = values

    @property
    def data(self) -> dict[str, str]:
        return self._values

    @property
    def datalist(self) -> dict[str, list[str]]:
        # Doubled parameters were refused when the request was read.
        return {name: [value] for name, value in self._values.items()}


class TokenRequest(AuthlibRequest):
    """A token, revocation or introspection request whose form was already read strictly."""

    def __init__(self, issuer: str, request: wire.Request, form: dict[str, str]) -> None:
        super().__init__(request.method, issuer + request.path, headers=request.headers)
        self.payload = _Payload(form)
        self.wire_request = request
        self._parameters = form

    @property
    def args(self) -> dict[str, str]:
        """Parameters in the query: there are none."""
        return {}

    @property
    def form(self) -> dict[str, str]:
        """The form's parameters."""
        return self._parameters


@dataclass(frozen=True)
class _Redeemed:
    """What Authlib carries through a token request as its user: the grant that is served."""

    grant: Grant
    access_scope: str | None = None
    nonce: str | None = None


class SenServer(AuthorizationServer):
    """The authorization server of one request."""

    def __init__(self, provider: Provider) -> None:
        super().__init__()
        self.provider = provider
        self.register_grant(_CodeGrant, [_S256(required=True), _IDToken()])
        self.register_grant(_RefreshGrant, [_IDToken()])
        self.register_grant(_MachineGrant)

    def query_client(self, client_id: str) -> RelyingParty | None:
        """Return the active relying party."""
        return self.provider.relying_parties.find(client_id, self.provider.db)

    def authenticate_client(
        self, request: TokenRequest, methods: list[str], endpoint: str = "token"
    ) -> RelyingParty:
        """Authenticate with the one registered method; see ``client_auth``."""
        found = self.provider.client_authentication.authenticate(request.wire_request, request.form)
        request.auth_method = found.authentication_method
        return found

    def generate_token(
        self,
        grant_type: str,
        client: RelyingParty,
        user: _Redeemed | None = None,
        scope: str | None = None,
        expires_in: int | None = None,
        include_refresh_token: bool = True,
    ) -> dict[str, Any]:
        """Return the token response's members (RFC 6749 §5.1)."""
        assert user is not None  # noqa: S101 - every grant registered here has one
        lifetime = self.provider.lifetimes.access_token
        tokens, grant = self.provider.tokens, user.grant
        answer = {
            "access_token": tokens.access(
                grant.id, self.provider.clock() + lifetime, user.access_scope
            ),
            "token_type": "Bearer",
            "expires_in": int(lifetime.total_seconds()),
            "scope": user.access_scope or grant.scope,
            "grant_id": grant.id,
        }
        if grant.details is not None:
            answer["authorization_details"] = details_of(grant)
        if grant.offline and client.check_grant_type("refresh_token"):
            answer["refresh_token"] = tokens.refresh(grant.id, grant.refresh_counter)
        return answer

    def save_token(self, token: dict[str, Any], request: TokenRequest) -> None:
        """Nothing to save: the grant's row is the token's whole state."""

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """Nobody listens."""

    def create_oauth2_request(self, request: TokenRequest) -> TokenRequest:
        """Return the request, which is Authlib's kind already."""
        return request

    def handle_response(
        self, status: int, body: object, headers: list[tuple[str, str]]
    ) -> wire.Response:
        """Return a wire answer."""
        document = dict(body) if isinstance(body, (dict, list)) else {}
        return wire.json_response(status, document)


class _CodeGrant(AuthorizationCodeGrant):
    """authorization_code (RFC 6749 §4.1)."""

    TOKEN_ENDPOINT_AUTH_METHODS = AUTHENTICATION_METHODS

    def query_authorization_code(self, code: str, client: RelyingParty) -> AuthorizationCode | None:
        provider: Provider = self.server.provider
        found = provider.codes.open(code, provider.clock())
        return found if found is not None and found.client_id == client.client_id else None

    def authenticate_user(self, authorization_code: AuthorizationCode) -> _Redeemed:
        """Spend the code. Authlib asks this after all checks and before anything is issued."""
        provider: Provider = self.server.provider
        try:
            grant = provider.grants.redeem(authorization_code)
        except (CodeSpentError, CodeVoidError) as error:
            was_spent = isinstance(error, CodeSpentError)
            if was_spent:
                audit.security_event("code.reused", party=authorization_code.client_id)
            known = provider.grants.find(authorization_code.grant_id)
            if known is not None:
                why = Reason.USED_TWICE if was_spent else provider.grants.why_dead(known)
                _refuse(provider, known, why)
            else:
                _refuse_code(provider, authorization_code, self.request.client)
            raise InvalidGrantError("the code was used before or is void") from error
        return _Redeemed(grant, nonce=authorization_code.nonce)

    def delete_authorization_code(self, authorization_code: AuthorizationCode) -> None:
        """Nothing to delete: the code was spent before the tokens were made."""


class _RefreshGrant(RefreshTokenGrant):
    """refresh_token (RFC 6749 §6), rotated at every use."""

    TOKEN_ENDPOINT_AUTH_METHODS = AUTHENTICATION_METHODS
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, refresh_token: str) -> "_PresentedRefresh | None":
        provider: Provider = self.server.provider
        token = provider.tokens.read_refresh(refresh_token)
        grant = provider.grants.find(token.grant_id) if token else None
        if token is None or grant is None:
            return None
        return _PresentedRefresh(grant, token.counter)

    def authenticate_user(self, credential: "_PresentedRefresh") -> _Redeemed:
        """Rotate. An older token than the newest is a copy in somebody else's hands: the whole
        family dies (RFC 9700 §4.14.2).
        """
        provider: Provider = self.server.provider
        grant = credential.grant
        if not provider.grants.may_refresh(grant):
            is_live = provider.grants.is_live(grant)
            why = Reason.EXPIRED if is_live else provider.grants.why_dead(grant)
            _refuse(provider, grant, why)
            raise InvalidGrantError("the refresh token is no longer valid")
        if not provider.grants.rotate(grant.id, credential.counter):
            provider.grants.revoke(grant.id)
            audit.security_event("refresh.reused", party=grant.client_id)
            _refuse(provider, grant, Reason.USED_TWICE)
            raise InvalidGrantError("the refresh token was used before")
        narrowed = " ".join(dict.fromkeys((self.request.payload.scope or "").split()))
        advanced = grant._replace(refresh_counter=credential.counter + 1)
        return _Redeemed(advanced, access_scope=narrowed or None)

    def revoke_old_credential(self, refresh_token: "_PresentedRefresh") -> None:
        """Nothing to do: rotation made the old one worthless."""


class _MachineGrant(ClientCredentialsGrant):
    """client_credentials (RFC 6749 §4.4), by the key that an organisation named in a mandate.

    ``mandate_id`` says for which organisation the key acts, ``audience`` at which service.
    """

    TOKEN_ENDPOINT_AUTH_METHODS = ("private_key_jwt",)

    def validate_requested_scope(self) -> None:
        form = self.request.form
        for name in ("mandate_id", "audience"):
            if not form.get(name):
                raise ProtocolError("invalid_request", f"{name} is missing")
        if form.get("scope"):
            raise ProtocolError("invalid_scope", "what the key may do is the mandate's terms")

    def create_token_response(self) -> tuple[int, dict[str, Any], object]:
        """Return the token response; no refresh token (RFC 6749 §4.4.3)."""
        provider: Provider = self.server.provider
        form, holder = self.request.form, self.request.client
        key = provider.client_authentication.proved_by or ""
        mandate = provider.seldom.machines.check(holder, key, form["mandate_id"], form["audience"])
        now = provider.clock()
        ends = expiry(mandate, now + provider.lifetimes.access_token)
        audit.security_event("mandate.machine_acts", mandate=mandate.id, party=holder.client_id)
        answer = {
            "access_token": provider.tokens.machine(mandate.id, ends, form["audience"]),
            "token_type": "Bearer",
            "expires_in": int((ends - now).total_seconds()),
        }
        return 200, answer, self.TOKEN_RESPONSE_HEADER


def _refuse_code(provider: Provider, code: AuthorizationCode, party: RelyingParty) -> None:
    names = dict.fromkeys((*code.id_token_claims, *code.userinfo_claims))
    asked = Asked(
        code.subject_id, code.client_id, party.purpose, tuple(names), acting_for=code.acting_for
    )
    provider.disclosure.refuse_without_grant(asked, provider.grants.why_void(code))


def _refuse(provider: Provider, grant: Grant, why: Reason) -> None:
    """Write down that tokens were asked for, and with them what an ID token would have told."""
    provider.disclosure.refuse(grant, Channel.ID_TOKEN, grant.id_token_claims, why)


@dataclass(frozen=True)
class _PresentedRefresh:
    grant: Grant
    counter: int

    def check_client(self, client: RelyingParty) -> bool:
        return self.grant.client_id == client.client_id

    def get_scope(self) -> str:
        return self.grant.scope


class _S256(CodeChallenge):
    """PKCE (RFC 7636). The challenge was judged at /authorize; a missing or wrong verifier is
    always ``invalid_grant``, as FAPI 2.0 wants it.
    """

    DEFAULT_CODE_CHALLENGE_METHOD = "S256"
    SUPPORTED_CODE_CHALLENGE_METHOD = ("S256",)

    def validate_code_verifier(self, grant: _CodeGrant, result: object) -> None:
        challenge = grant.request.authorization_code.code_challenge
        if challenge and not grant.request.form.get("code_verifier"):
            raise InvalidGrantError("code_verifier is missing")
        super().validate_code_verifier(grant, result)


class _IDToken(OpenIDToken):
    """Adds the ID token (OIDC Core §3.1.3.3 and §12.2), made and logged by the disclosure gate."""

    def process_token(
        self, grant: Any, response: tuple[int, dict[str, Any], object]
    ) -> dict[str, Any]:
        """Put an ID token into the response, when the scope still holds openid."""
        _, token, _ = response
        if "openid" in token["scope"].split():
            request = grant.request
            token["id_token"] = _encode_id_token(
                grant.server.provider, request.client, request.user, token
            )
        return token


def _encode_id_token(
    provider: Provider, relying_party: RelyingParty, redeemed: _Redeemed, token: dict[str, Any]
) -> str:
    grant = redeemed.grant
    now = int(provider.clock().timestamp())
    algorithm = relying_party.id_token_algorithm
    released = provider.disclosure.release(
        grant, relying_party, grant.id_token_claims, Channel.ID_TOKEN
    )
    claims = {
        "iss": provider.issuer,
        "aud": relying_party.client_id,
        "iat": now,
        "exp": now + int(provider.lifetimes.id_token.total_seconds()),
        "auth_time": grant.auth_time,
        "acr": grant.acr,
        "amr": list(grant.amr),
        "sid": session_sid(provider.vault, relying_party.client_id, grant.session_id),
        "at_hash": create_half_hash(token["access_token"], algorithm).decode(),
        **({"nonce": redeemed.nonce} if redeemed.nonce else {}),
        **released,
    }
    return provider.keys.sign(claims, algorithm)
