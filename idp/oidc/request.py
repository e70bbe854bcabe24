"""Reading an authorization request: every parameter judged, in the order that keeps redirects safe.

Nothing is ever sent to a redirect URI before the relying party and that URI are known to belong
together (RFC 9700 §4.11.2).
"""

import json
import re
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from accounts.attributes import SCOPES, SENSITIVE
from accounts.schema import Clock
from idp.keys import KeyRing
from idp.oidc import data_use_requests, wire
from idp.oidc.errors import DisplayedError, RedirectedError
from idp.oidc.relying_parties import RelyingParties, RelyingParty

_GREATEST_STATE = 4096
_GREATEST_NONCE = 1024
_GREATEST_CLAIMS = 8192
_CHALLENGE = re.compile(r"[A-Za-z0-9._~\-]{43,128}", re.ASCII)
_PROMPTS = frozenset({"none", "login", "consent", "select_account"})
_UNSUPPORTED = {
    "request": "request_not_supported",
    "request_uri": "request_uri_not_supported",
    "registration": "registration_not_supported",
}


@dataclass(frozen=True)
class AuthorizationRequest:
    """A valid authorization request, as plain values that can be parked and taken up again."""

    client_id: str
    redirect_uri: str
    scope: tuple[str, ...]
    state: str | None = None
    nonce: str | None = None
    code_challenge: str | None = None
    prompt: tuple[str, ...] = ()
    max_age: int | None = None
    acr_values: tuple[str, ...] = ()
    acr_is_essential: bool = False
    login_hint: str | None = None
    hinted_sub: str | None = None
    ui_locales: str | None = None
    userinfo_claims: dict[str, bool] = field(default_factory=dict)
    """Claims asked for by the ``claims`` parameter, and whether they are essential."""
    id_token_claims: dict[str, bool] = field(default_factory=dict)
    details: dict[str, Any] | None = None
    """What ``authorization_details`` asked (``DataUseRequest.as_dict``)."""

    @property
    def required(self) -> tuple[str, ...]:
        """Attributes that come with the scopes or are essential: they are given as a whole.

        Sensitive ones never do: each needs an agreement of its own (Law 91/2025/QH15 Art. 9).
        """
        return self._wanted.required

    @property
    def optional(self) -> tuple[str, ...]:
        """Attributes asked for voluntarily, and all sensitive ones: each is the person's own choice."""
        return self._wanted.optional

    @property
    def userinfo(self) -> tuple[str, ...]:
        """Claims wanted from the userinfo endpoint."""
        return self._wanted.userinfo

    @property
    def offline(self) -> bool:
        """True when refresh tokens are asked for (OIDC Core §11)."""
        return "offline_access" in self.scope

    def to_json(self) -> str:
        """Return the request as text, for parking."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "AuthorizationRequest":
        """Return the request that was parked."""
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in json.loads(text).items()
        }
        return cls(**values)

    @property
    def _wanted(self) -> "_Wanted":
        detailed = self.details or {}
        return _wanted(
            self.scope,
            tuple(self.userinfo_claims.items()),
            tuple(self.id_token_claims.items()),
            tuple(detailed.get("attributes", ())),
            tuple(detailed.get("optional", ())),
        )


class _Wanted(NamedTuple):
    required: tuple[str, ...]
    optional: tuple[str, ...]
    userinfo: tuple[str, ...]


_Claims = tuple[tuple[str, bool], ...]


# A relying party asks the same of everybody.
@lru_cache(maxsize=256)
def _wanted(
    scope: tuple[str, ...],
    userinfo: _Claims,
    id_token: _Claims,
    detailed: tuple[str, ...],
    detailed_optional: tuple[str, ...],
) -> _Wanted:
    by_scope = [claim for one in scope for claim in SCOPES[one]]
    claims = (*userinfo, *id_token)
    essential = [claim for claim, is_essential in claims if is_essential]
    whole = dict.fromkeys([*by_scope, *essential, *detailed])
    required = tuple(claim for claim in whole if claim not in SENSITIVE)
    asked = [*by_scope, *(claim for claim, _ in claims), *detailed, *detailed_optional]
    optional = dict.fromkeys(claim for claim in asked if claim not in required)
    told = [*by_scope, *(claim for claim, _ in userinfo), *detailed, *detailed_optional]
    return _Wanted(required, tuple(optional), tuple(dict.fromkeys(told)))


@dataclass(frozen=True)
class RequestReader:
    """Reads authorization requests."""

    relying_parties: RelyingParties
    keys: KeyRing
    issuer: str
    clock: Clock

    def read(self, request: wire.Request) -> tuple[AuthorizationRequest, RelyingParty]:
        """Return the request and who makes it.

        Raises:
            DisplayedError: the relying party or its redirect URI is not valid.
            RedirectedError: anything else is wrong.
        """
        try:
            pairs = request.form_pairs() if request.method == "POST" else request.query_pairs()
        except wire.MalformedError as error:
            raise DisplayedError("invalid_request", str(error)) from error
        relying_party, redirect_uri = self._verified_target(pairs)
        refuse = _Refusal(redirect_uri, wire.first(pairs, "state"))
        try:
            values = wire.once(pairs)
        except wire.MalformedError as error:
            raise refuse("invalid_request", str(error)) from error
        return self._judged(values, relying_party, redirect_uri, refuse), relying_party

    def _verified_target(self, pairs: wire.Pairs) -> tuple[RelyingParty, str]:
        client_id = wire.first(pairs, "client_id")
        relying_party = self.relying_parties.find(client_id) if client_id else None
        if relying_party is None:
            raise DisplayedError("invalid_request", "client_id is missing or unknown")
        redirect_uri = wire.first(pairs, "redirect_uri")
        if redirect_uri is None or not relying_party.check_redirect_uri(redirect_uri):
            raise DisplayedError("invalid_request", "redirect_uri is missing or not registered")
        return relying_party, redirect_uri

    def _judged(
        self,
        values: dict[str, str],
        relying_party: RelyingParty,
        redirect_uri: str,
        refuse: "_Refusal",
    ) -> AuthorizationRequest:
        for name, error in _UNSUPPORTED.items():
            if name in values:
                raise refuse(error)
        if "response_type" not in values:
            raise refuse("invalid_request", "response_type is missing")
        if values["response_type"] != "code":
            raise refuse("unsupported_response_type", "only code is supported")
        if values.get("response_mode", "query") != "query":
            raise refuse("invalid_request", "response_mode must be query")
        scope = (relying_party.get_allowed_scope(values.get("scope")) or "").split()
        if "openid" not in scope:
            raise refuse("invalid_scope", "scope must contain openid")
        for name, most in (("state", _GREATEST_STATE), ("nonce", _GREATEST_NONCE)):
            if len(values.get(name, "")) > most:
                raise refuse("invalid_request", f"{name} is too long")
        claims = _claims(values.get("claims"), refuse)
        acr_values, acr_is_essential = _wanted_acr(values, claims["id_token"])
        return AuthorizationRequest(
            client_id=relying_party.client_id,
            redirect_uri=redirect_uri,
            scope=tuple(scope),
            state=values.get("state"),
            nonce=values.get("nonce"),
            code_challenge=_challenge(values, relying_party, refuse),
            prompt=_prompt(values.get("prompt"), refuse),
            max_age=_max_age(values.get("max_age"), refuse),
            acr_values=acr_values,
            acr_is_essential=acr_is_essential,
            login_hint=_short(values.get("login_hint")),
            hinted_sub=self._hinted_sub(values, claims, relying_party, refuse),
            ui_locales=_short(values.get("ui_locales")),
            userinfo_claims=_essentials(claims["userinfo"], relying_party),
            id_token_claims=_essentials(claims["id_token"], relying_party),
            details=self._details(values.get("authorization_details"), relying_party, refuse),
        )

    def _details(
        self, text: str | None, relying_party: RelyingParty, refuse: "_Refusal"
    ) -> dict[str, Any] | None:
        if text is None:
            return None
        try:
            return data_use_requests.read(
                text,
                relying_party,
                issuer=self.issuer,
                is_known=lambda client_id: self.relying_parties.find(client_id) is not None,
            ).as_dict()
        except data_use_requests.InvalidDetailsError as error:
            raise refuse(data_use_requests.INVALID, str(error)) from error

    def _hinted_sub(
        self,
        values: dict[str, str],
        claims: dict[str, dict[str, Any]],
        relying_party: RelyingParty,
        refuse: "_Refusal",
    ) -> str | None:
        """Return the ``sub`` that the answer must be about, if the request names one.

        An expired hint is taken (OIDC Core §3.1.2.1); one that we never issued to this relying
        party is refused.
        """
        wanted = claims["id_token"].get("sub") or claims["userinfo"].get("sub")
        if isinstance(wanted, dict) and isinstance(wanted.get("value"), str):
            return str(wanted["value"])
        hint = values.get("id_token_hint")
        if hint is None:
            return None
        known = self.keys.verify_own(hint, issuer=self.issuer)
        if known is None or known["aud"] != relying_party.client_id:
            raise refuse("invalid_request", "id_token_hint was not issued to this relying party")
        return str(known["sub"])


class _Refusal:
    """Makes the errors of one request; ``state`` is echoed only when it is fit to be."""

    def __init__(self, redirect_uri: str, state: str | None) -> None:
        self._redirect_uri = redirect_uri
        self._state = state if state is not None and len(state) <= _GREATEST_STATE else None

    def __call__(self, error: str, description: str = "") -> RedirectedError:
        return RedirectedError(
            error, description, redirect_uri=self._redirect_uri, state=self._state
        )


def _challenge(values: dict[str, str], relying_party: RelyingParty, refuse: _Refusal) -> str | None:
    """Judge PKCE (RFC 7636 §4.3): S256 only, and a missing method never means plain."""
    challenge, method = values.get("code_challenge"), values.get("code_challenge_method")
    if challenge is None:
        if method is not None or relying_party.requires_pkce:
            raise refuse("invalid_request", "code_challenge is required")
        return None
    if method != "S256":
        raise refuse("invalid_request", "code_challenge_method must be S256")
    if not _CHALLENGE.fullmatch(challenge):
        raise refuse("invalid_request", "code_challenge is malformed")
    return challenge


def _prompt(text: str | None, refuse: _Refusal) -> tuple[str, ...]:
    prompts = tuple(dict.fromkeys((text or "").split()))
    if not _PROMPTS.issuperset(prompts) or ("none" in prompts and len(prompts) > 1):
        raise refuse("invalid_request", "prompt holds an unknown value or none beside another")
    return prompts


def _max_age(text: str | None, refuse: _Refusal) -> int | None:
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,9}", text, re.ASCII):
        raise refuse("invalid_request", "max_age must be a number of seconds")
    return int(text)


def _wanted_acr(values: dict[str, str], id_token: dict[str, Any]) -> tuple[tuple[str, ...], bool]:
    """Return the ``acr`` values asked for, and whether the claim is essential (OIDC Core §5.5.1.1)."""
    asked = id_token.get("acr")
    if isinstance(asked, dict):
        listed = asked.get("values") or ([asked["value"]] if "value" in asked else [])
        wanted = tuple(v for v in listed if isinstance(v, str)) if isinstance(listed, list) else ()
        if wanted:
            return wanted[:10], asked.get("essential") is True
    return tuple(values.get("acr_values", "").split())[:10], False


def _claims(text: str | None, refuse: _Refusal) -> dict[str, dict[str, Any]]:
    """Read the ``claims`` parameter (OIDC Core §5.5); unknown members are ignored as it says."""
    if text is None:
        return {"userinfo": {}, "id_token": {}}
    if len(text) > _GREATEST_CLAIMS:
        raise refuse("invalid_request", "claims is too long")
    try:
        document = json.loads(text, object_pairs_hook=_without_doubles)
    except (ValueError, RecursionError) as error:
        raise refuse("invalid_request", "claims is not valid JSON") from error
    if not isinstance(document, dict):
        raise refuse("invalid_request", "claims must be an object")
    parts: dict[str, dict[str, Any]] = {}
    for name in ("userinfo", "id_token"):
        part = document.get(name) or {}
        if not isinstance(part, dict):
            raise refuse("invalid_request", f"claims.{name} must be an object")
        for value in part.values():
            if value is not None and not isinstance(value, dict):
                raise refuse("invalid_request", "a claim is asked for by null or an object")
        parts[name] = part
    return parts


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is repeated")
    return members


def _essentials(part: dict[str, Any], relying_party: RelyingParty) -> dict[str, bool]:
    allowed = relying_party.claims
    return {
        claim: isinstance(value, dict) and value.get("essential") is True
        for claim, value in part.items()
        if claim in allowed
    }


def _short(text: str | None) -> str | None:
    return text if text is not None and len(text) <= 256 else None
