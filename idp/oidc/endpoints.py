"""The protocol's endpoints for relying parties: each takes a wire request and gives a wire answer."""

import json
import re
from datetime import date
from functools import lru_cache
from typing import Any

from accounts.attributes import SCOPES
from accounts.base64url import base64url
from consent.data_use import Channel
from consent.sealing import Seal, SealClass, is_day
from idp.keys import KeyRing
from idp.oidc import wire
from idp.oidc.client_auth import InvalidClientError
from idp.oidc.data_use_requests import INVALID as INVALID_DETAILS
from idp.oidc.errors import ProtocolError
from idp.oidc.grants import Grant, details_of
from idp.oidc.metadata import metadata
from idp.oidc.provider import Provider
from idp.oidc.refusals import Reason
from idp.oidc.relying_parties import TOKEN_GRANT_TYPES, RelyingParty
from idp.oidc.server import SenServer, TokenRequest
from idp.oidc.subject import pairwise_sub
from idp.oidc.tokens import AccessToken, MachineToken, RefreshToken

_SEAL = re.compile(
    r"class=([a-z]{1,16}), case=([A-Za-z0-9._:/-]{3,64}), until=([0-9-]{10})", re.ASCII
)
_HINTS = frozenset({"access_token", "refresh_token"})


_METADATA_AGE = "public, max-age=3600"
# Short, so that a relying party sees a new key soon after a rotation.
_KEYS_AGE = "public, max-age=300"


@lru_cache(maxsize=4)
def discovery(issuer: str, acr_values: tuple[str, ...]) -> wire.Response:
    """The discovery document (OpenID Connect Discovery 1.0, RFC 8414)."""
    document = metadata(issuer, acr_values)
    return _public(json.dumps(document, separators=(",", ":")).encode(), _METADATA_AGE)


def jwks(keys: KeyRing) -> wire.Response:
    """The verification keys (RFC 7517)."""
    return _public(keys.public_set(), _KEYS_AGE)


def _public(body: bytes, age: str) -> wire.Response:
    # Browser-based relying parties read these from their own pages; nothing here is private.
    return wire.Response(
        200,
        {
            "Content-Type": "application/json",
            "Cache-Control": age,
            "Access-Control-Allow-Origin": "*",
        },
        body,
    )


def token(provider: Provider, request: wire.Request) -> wire.Response:
    """The token endpoint (RFC 6749 §3.2)."""
    try:
        form = _form(request)
        if "grant_type" not in form:
            raise ProtocolError("invalid_request", "grant_type is missing")
        if form["grant_type"] not in TOKEN_GRANT_TYPES:
            raise ProtocolError("unsupported_grant_type")
        if "authorization_details" in form:
            # RFC 9396 §6 lets a client narrow here; people decide on the consent page only.
            raise ProtocolError(INVALID_DETAILS, "ask at the authorization endpoint")
        answer: wire.Response = SenServer(provider).create_token_response(
            TokenRequest(provider.issuer, request, form)
        )
    except ProtocolError as error:
        return _refused(error)
    return _with_entries(provider, answer)


def not_confirmed(*, is_known: bool) -> wire.Response:
    """The token endpoint's answer when a register did not confirm the mandate that a key acts under."""
    if is_known:
        return _refused(ProtocolError("invalid_grant", "the register does not confirm the mandate"))
    error = ProtocolError("temporarily_unavailable", "the register does not answer", status=503)
    return wire.json_response(error.status, error.document(), {"Retry-After": "60"})


def revoke(provider: Provider, request: wire.Request) -> wire.Response:
    """The revocation endpoint (RFC 7009). Revoking any token of a grant ends the whole grant; a
    wrong ``token_type_hint`` changes nothing. A machine's token ends with its mandate or by itself.
    """
    try:
        form = _form(request)
        relying_party = provider.client_authentication.authenticate(request, form)
        if provider.tokens.read_machine(form.get("token", "")) is not None:
            raise ProtocolError("unsupported_token_type", "it ends with its mandate")
        token = _token(provider, form)
        grant = provider.grants.find(token.grant_id) if token else None
        if grant is not None and grant.client_id == relying_party.client_id:
            provider.grants.revoke(grant.id)
    except ProtocolError as error:
        return _refused(error)
    return wire.json_response(200, {})


def introspect(provider: Provider, request: wire.Request) -> wire.Response:
    """The introspection endpoint (RFC 7662). Only the relying party that holds the token learns
    anything of it; telling it is a use, and logged as one.
    """
    try:
        form = _form(request)
        relying_party = provider.client_authentication.authenticate(request, form)
        if relying_party.authentication_method == "none":
            raise InvalidClientError
        answer = wire.json_response(200, _standing(provider, relying_party, form))
    except ProtocolError as error:
        return _refused(error)
    return _with_entries(provider, answer)


def userinfo(provider: Provider, request: wire.Request) -> wire.Response:
    """The userinfo endpoint (OIDC Core §5.3): GET or POST, the token in the header or, for POST,
    in the form (RFC 6750 §2.1 and §2.2); never in the query.
    """
    try:
        text = _bearer(request)
        if text is None:
            # RFC 6750 §3.1: a request without any token learns no error code.
            return _bearer_refused("")
        access = provider.tokens.read_access(text)
        if access is None or provider.clock() >= access.expires_at:
            raise ProtocolError("invalid_token", "the access token is not valid", status=401)
        grant = provider.grants.find(access.grant_id)
        if grant is not None and not provider.grants.is_live(grant):
            asked = _within_scope(grant, access.scope)
            why = provider.grants.why_dead(grant)
            provider.disclosure.refuse(grant, Channel.USERINFO, asked, why)
            raise ProtocolError("invalid_token", "the access token is not valid", status=401)
        relying_party = (
            provider.relying_parties.find(grant.client_id, provider.db) if grant else None
        )
        if grant is None or relying_party is None:
            raise ProtocolError("invalid_token", "the access token is not valid", status=401)
        if "openid" not in (access.scope or grant.scope).split():
            raise ProtocolError("insufficient_scope", "openid is needed", status=403)
        seal = _seal(provider, request, grant)
    except wire.MalformedError as error:
        return _bearer_refused("invalid_request", str(error), 400)
    except ProtocolError as error:
        return _bearer_refused(error.error, error.description, error.status)
    wanted = _within_scope(grant, access.scope)
    claims = provider.disclosure.release(grant, relying_party, wanted, Channel.USERINFO, seal)
    return _with_entries(provider, wire.json_response(200, claims))


def _seal(provider: Provider, request: wire.Request, grant: Grant) -> Seal | None:
    """Return how the read is to be sealed, where the relying party says so and may.

    Raises:
        ProtocolError: it may not, or does not say for which case and until when.
    """
    text = request.headers.get("seal-use")
    if text is None:
        return None
    may = grant.client_id in provider.sealing_clients and grant.offline and not grant.mandate_id
    if not may or provider.disclosure.oversight_key is None:
        raise ProtocolError("access_denied", "this read cannot be sealed", status=403)
    found = _SEAL.fullmatch(text)
    try:
        if found is None:
            raise ValueError
        seal = Seal(SealClass(found[1]), found[2], date.fromisoformat(found[3]))
        if not is_day(seal.until, provider.clock()):
            raise ValueError
    except ValueError:
        wanted = "Seal-Use: class=investigation or court, case=reference, until=YYYY-MM-DD, 2 years at most"
        raise ProtocolError("invalid_request", wanted) from None
    return seal


def _with_entries(provider: Provider, answer: wire.Response) -> wire.Response:
    """Name the use entries that record what the answer gives, each by id and commitment: the signed
    receipts for them follow at ``/agency/receipts``.
    """
    released = provider.disclosure.use_log.released
    if released and answer.status == 200:
        answer.headers["Use-Entry"] = ", ".join(
            f'"{one.id}";c="{base64url(one.commitment)}"' for one in released
        )
    return answer


def _form(request: wire.Request) -> dict[str, str]:
    """Read the form; tokens and secrets in a query would end up in logs, so none is taken there."""
    try:
        if request.query:
            raise ProtocolError("invalid_request", "parameters belong into the body")
        return wire.once(request.form_pairs())
    except wire.MalformedError as error:
        raise ProtocolError("invalid_request", str(error)) from error


def _token(provider: Provider, form: dict[str, str]) -> AccessToken | RefreshToken | None:
    if "token" not in form:
        raise ProtocolError("invalid_request", "token is missing")
    hint = form.get("token_type_hint")
    if hint is not None and hint not in _HINTS:
        raise ProtocolError("unsupported_token_type")
    return provider.tokens.read_access(form["token"]) or provider.tokens.read_refresh(form["token"])


def _standing(
    provider: Provider, relying_party: RelyingParty, form: dict[str, str]
) -> dict[str, Any]:
    machine = provider.tokens.read_machine(form.get("token", ""))
    if machine is not None:
        told = provider.seldom.machines.told(machine, relying_party)
        return {"active": False} if told is None else _machine_told(provider, machine, told)
    token = _token(provider, form)
    grant = provider.grants.find(token.grant_id) if token else None
    if token is None or grant is None:
        return {"active": False}
    is_theirs = grant.client_id == relying_party.client_id
    if not is_theirs or not provider.grants.is_live(grant):
        why = provider.grants.why_dead(grant) if is_theirs else Reason.NOT_THEIRS
        provider.disclosure.refuse(
            grant, Channel.INTROSPECTION, ("sub",), why, client_id=relying_party.client_id
        )
        return {"active": False}
    if isinstance(token, AccessToken):
        if provider.clock() >= token.expires_at:
            return {"active": False}
        expires_at, kind = token.expires_at, "Bearer"
        scope = token.scope or grant.scope
    else:
        if token.counter != grant.refresh_counter or not provider.grants.may_refresh(grant):
            return {"active": False}
        expires_at, kind, scope = grant.expires_at, "refresh_token", grant.scope
    told = {
        "sub": pairwise_sub(provider.vault, relying_party.sector, grant.account_id),
        "acr": grant.acr,
        "auth_time": grant.auth_time,
    }
    provider.disclosure.log_introspection(grant, ("sub",))
    return {
        "active": True,
        "client_id": grant.client_id,
        "token_type": kind,
        "scope": scope,
        "exp": int(expires_at.timestamp()),
        "iss": provider.issuer,
        "aud": grant.client_id,
        **({"authorization_details": details_of(grant)} if grant.details is not None else {}),
        **told,
    }


def _machine_told(provider: Provider, token: MachineToken, told: dict[str, Any]) -> dict[str, Any]:
    return {
        "active": True,
        "token_type": "Bearer",
        "exp": int(token.expires_at.timestamp()),
        "iss": provider.issuer,
        **told,
    }


def _within_scope(grant: Grant, narrowed: str | None) -> tuple[str, ...]:
    """Return the claims wanted from userinfo, less those of scopes that a refresh left out."""
    if narrowed is None:
        return grant.userinfo_claims
    left_out = {c for s in set(grant.scope.split()) - set(narrowed.split()) for c in SCOPES[s]}
    kept = {c for s in narrowed.split() for c in SCOPES.get(s, ())}
    return tuple(c for c in grant.userinfo_claims if c in kept or c not in left_out)


def _bearer(request: wire.Request) -> str | None:
    tokens = []
    if "authorization" in request.headers:
        bearer = request.bearer()
        if bearer is not None:
            tokens.append(bearer)
    content_type = request.headers.get("content-type", "")
    if request.method == "POST" and content_type.startswith("application/x-www-form-urlencoded"):
        in_form = wire.once(request.form_pairs()).get("access_token")
        if in_form is not None:
            tokens.append(in_form)
    if len(tokens) > 1:
        raise wire.MalformedError("more than one access token")
    return tokens[0] if tokens else None


def _bearer_refused(error: str, description: str = "", status: int = 401) -> wire.Response:
    challenge = 'Bearer realm="sen-id"'
    document = {}
    if error:
        challenge += f', error="{error}", error_description="{description}"'
        document = {"error": error, "error_description": description}
    return wire.json_response(status, document, {"WWW-Authenticate": challenge})


def _refused(error: ProtocolError) -> wire.Response:
    headers = {}
    if isinstance(error, InvalidClientError):
        # RFC 6749 §5.2: a failed Authorization header is answered with the matching challenge.
        headers["WWW-Authenticate"] = 'Basic realm="sen-id"'
    return wire.json_response(error.status, error.document(), headers)
