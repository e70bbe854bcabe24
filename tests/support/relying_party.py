"""An agency's web application: asks with PKCE, state and nonce, and believes nothing it has not checked.

ID tokens are verified with joserfc, which the provider does not sign with.
"""

import base64
import hashlib
import secrets
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey, Key, KeySet, OKPKey, RSAKey

SIGNATURES = ["ES256", "RS256", "PS256"]
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(frozen=True)
class Attempt:
    """What the relying party remembers of one sign-in that it began."""

    url: str
    parameters: dict[str, str]
    state: str
    nonce: str
    verifier: str


@dataclass(frozen=True)
class Answer:
    """The answer of a back-channel endpoint."""

    status: int
    headers: httpx.Headers
    body: dict[str, Any]
    text: str


@dataclass(frozen=True)
class Tokens:
    """A token response whose ID token was verified."""

    raw: dict[str, Any]
    claims: dict[str, Any]
    header: dict[str, Any]

    @property
    def access(self) -> str:
        return str(self.raw["access_token"])

    @property
    def refresh(self) -> str:
        return str(self.raw["refresh_token"])

    @property
    def id_token(self) -> str:
        return str(self.raw["id_token"])


@dataclass
class RelyingPartyClient:
    """One registered relying party."""

    client: httpx.Client
    issuer: str
    registration: dict[str, Any]
    key: Key | None = None
    clock: Callable[[], datetime] | None = None
    seen: list[str] = field(default_factory=list)
    """Every secret that went by: none of them may turn up in a log."""

    @property
    def client_id(self) -> str:
        return str(self.registration["client_id"])

    @property
    def redirect_uri(self) -> str:
        return str(self.registration["redirect_uris"][0])

    @property
    def secret(self) -> str:
        return str(self.registration.get("client_secret", ""))

    @property
    def method(self) -> str:
        return str(self.registration.get("token_endpoint_auth_method", "client_secret_basic"))

    def begin(self, scope: str = "openid", **changes: str | None) -> Attempt:
        """Prepare an authorization request; a changed parameter of None is left out."""
        state, nonce, verifier = (secrets.token_urlsafe(n) for n in (16, 16, 48))
        parameters: dict[str, str | None] = {
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "response_type": "code",
            "scope": scope,
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge(verifier),
            "code_challenge_method": "S256",
            **changes,
        }
        sent = {name: value for name, value in parameters.items() if value is not None}
        self.seen.append(verifier)
        return Attempt(
            f"{self.issuer}/authorize?{urlencode(sent)}",
            sent,
            sent.get("state", ""),
            sent.get("nonce", ""),
            verifier,
        )

    def code_from(self, attempt: Attempt, location: str) -> str:
        """Return the code from the redirect, after checking whose answer it is (RFC 9207)."""
        answer = self.answer_from(attempt, location)
        assert "error" not in answer, answer
        self.seen.append(answer["code"])
        return answer["code"]

    def error_from(self, attempt: Attempt, location: str) -> str:
        """Return the error from the redirect, which must carry no code."""
        answer = self.answer_from(attempt, location)
        assert "code" not in answer
        assert set(answer) <= {"error", "error_description", "state", "iss"}
        return answer["error"]

    def answer_from(self, attempt: Attempt, location: str) -> dict[str, str]:
        assert location.startswith(attempt.parameters["redirect_uri"]), location
        parts = urlsplit(location)
        assert not parts.fragment
        pairs = parse_qsl(parts.query, keep_blank_values=True)
        answer = dict(pairs)
        assert len(pairs) == len(answer)
        assert answer.get("state", "") == attempt.state
        assert answer["iss"] == self.issuer
        return answer

    def redeem(self, attempt: Attempt, code: str) -> Tokens:
        """Exchange the code and verify the ID token."""
        answer = self.try_redeem(attempt, code)
        assert answer.status == 200, answer.text
        return self.checked(answer, nonce=attempt.nonce)

    def try_redeem(self, attempt: Attempt, code: str, **changes: str | None) -> Answer:
        form: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": attempt.parameters["redirect_uri"],
            "code_verifier": (attempt.verifier if "code_challenge" in attempt.parameters else None),
            **changes,
        }
        return self.ask("/token", {k: v for k, v in form.items() if v is not None})

    def refresh(self, token: str, **changes: str) -> Answer:
        return self.ask(
            "/token", {"grant_type": "refresh_token", "refresh_token": token, **changes}
        )

    def userinfo(self, access_token: str) -> Answer:
        return self._sent("GET", "/userinfo", headers={"Authorization": f"Bearer {access_token}"})

    def introspect(self, token: str, **changes: str) -> Answer:
        return self.ask("/introspect", {"token": token, **changes})

    def revoke(self, token: str, **changes: str) -> Answer:
        return self.ask("/revoke", {"token": token, **changes})

    def is_alive(self, access_token: str) -> bool:
        return self.userinfo(access_token).status == 200

    def ask(self, path: str, form: dict[str, str]) -> Answer:
        """Call an endpoint, authenticated by the registered method."""
        headers, extra = self.authentication()
        return self.call(path, {**extra, **form}, headers)

    def call(self, path: str, form: dict[str, str], headers: dict[str, str]) -> Answer:
        """Call an endpoint with exactly this."""
        return self._sent("POST", path, data=form, headers=headers)

    def authentication(self) -> tuple[dict[str, str], dict[str, str]]:
        """Return the headers and form fields that prove who asks."""
        match self.method:
            case "client_secret_basic":
                return {"Authorization": basic(self.client_id, self.secret)}, {}
            case "client_secret_post":
                return {}, {"client_id": self.client_id, "client_secret": self.secret}
            case "private_key_jwt":
                return {}, {
                    "client_assertion_type": ASSERTION_TYPE,
                    "client_assertion": self.assertion(),
                }
            case _:
                return {}, {"client_id": self.client_id}

    def assertion(
        self,
        *,
        key: Key | None = None,
        header: dict[str, Any] | None = None,
        **changes: Any,
    ) -> str:
        """Return a client assertion (RFC 7523); a changed claim of None is left out."""
        signer = key or self.key
        assert signer is not None
        now = int(self.clock().timestamp() if self.clock else time.time())
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": self.issuer,
            "iat": now,
            "exp": now + 590,
            "jti": uuid.uuid4().hex,
            **changes,
        }
        protected = {"alg": "ES256", "kid": signer.kid, **(header or {})}
        kept = {name: value for name, value in claims.items() if value is not None}
        token = jwt.encode(protected, kept, signer)
        self.seen.append(token)
        return token

    def checked(self, answer: Answer, *, nonce: str = "") -> Tokens:
        """Verify a token response as OIDC Core §3.1.3.7 demands."""
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.body["token_type"].lower() == "bearer"
        self.seen += [
            answer.body[name]
            for name in ("access_token", "refresh_token", "id_token")
            if name in answer.body
        ]
        token = self.verified(answer.body["id_token"])
        claims = token.claims
        expected = self.registration.get("id_token_signed_response_alg", "ES256")
        assert token.header["alg"] == expected
        assert claims["iss"] == self.issuer
        assert claims["aud"] == self.client_id
        assert claims.get("nonce", "") == nonce
        assert claims["at_hash"] == half_hash(answer.body["access_token"])
        now = self.clock().timestamp() if self.clock else time.time()
        assert claims["iat"] - 5 <= now < claims["exp"] <= now + 605
        assert claims["acr"]
        assert not [name for name, value in claims.items() if value in (None, "", [])]
        return Tokens(answer.body, claims, token.header)

    def verified(self, token: str) -> jwt.Token:
        """Return the token if one of the published keys signed it."""
        keys = self._sent("GET", "/jwks").body
        known = {
            jwk["kid"]: (ECKey if jwk["kty"] == "EC" else RSAKey).import_key(jwk)
            for jwk in keys["keys"]
        }
        return jwt.decode(token, KeySet(list(known.values())), algorithms=SIGNATURES)

    def _sent(self, method: str, path: str, **request: Any) -> Answer:
        answer = self.client.request(method, path, **request)
        try:
            body = answer.json()
        except ValueError:
            body = {}
        assert answer.status_code < 500, f"{path}: {answer.status_code} {answer.text}"
        return Answer(answer.status_code, answer.headers, body, answer.text)


def challenge(verifier: str) -> str:
    """Return the S256 challenge (RFC 7636 §4.2)."""
    return (
        base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    )


def basic(user: str, secret: str) -> str:
    """Return an HTTP Basic header with form-encoded parts (RFC 6749 §2.3.1)."""
    parts = urlencode({user: secret}).replace("=", ":", 1)
    return "Basic " + base64.b64encode(parts.encode()).decode()


def half_hash(text: str) -> str:
    """Return at_hash for the algorithms with SHA-256 (OIDC Core §3.1.3.6)."""
    digest = hashlib.sha256(text.encode()).digest()[:16]
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def new_key(kind: str = "EC") -> Key:
    """Return a fresh private key with a key id."""
    parameters = {"kid": uuid.uuid4().hex}
    if kind == "EC":
        return ECKey.generate_key("P-256", parameters)
    if kind == "OKP":
        return OKPKey.generate_key("Ed25519", parameters)
    return RSAKey.generate_key(2048, parameters)
