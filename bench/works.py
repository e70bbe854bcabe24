"""The works that are measured, and the checks that make an answer count as one."""

import base64
import hashlib
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote, quote_plus, urlencode, urlsplit

import jwt

from bench.browser import Browser
from bench.load import Load, ProtocolError, Work

SCOPE = "openid name birth contact"
CLAIMS = ("name", "birthdate", "gender", "email")


@dataclass(frozen=True)
class RelyingParty:
    """The registration that the driver uses, with client_secret_basic."""

    client_id: str
    secret: str
    redirect_uri: str

    def basic(self) -> str:
        pair = f"{quote_plus(self.client_id)}:{quote_plus(self.secret)}"
        return "Basic " + base64.b64encode(pair.encode()).decode()


class Provider:
    """The endpoints of a running provider, as its discovery document names them."""

    def __init__(self, port: int, party: RelyingParty) -> None:
        self.port = port
        self.party = party
        self.issuer = f"http://localhost:{port}"
        self.metadata: dict[str, Any] = {}
        self.jwks: dict[str, Any] = {}
        self.authorize = self.token = self.introspect = ""
        self.userinfo = b""
        self._discovery = self._jwks = b""
        self._discovery_request = self.get("/.well-known/openid-configuration") + b"\r\n"
        self._jwks_request = b""

    def discover(self) -> None:
        """Reads discovery and JWKS; raises ProtocolError where they are not sound."""
        run_once(self.port, self.discovery)
        self.authorize = self.path("authorization_endpoint")
        self.token = self.path("token_endpoint")
        self.userinfo = self.get(self.path("userinfo_endpoint"), "Authorization: Bearer ")
        self.introspect = self.path("introspection_endpoint")

    def path(self, member: str) -> str:
        """The path of an endpoint named in the metadata."""
        url = str(self.metadata[member])
        if not url.startswith(self.issuer + "/"):
            raise ProtocolError(f"{member} is {url}")
        return url[len(self.issuer) :]

    def get(self, path: str, headers: str = "") -> bytes:
        """A GET up to the end of its last header; the caller adds what is missing to close it."""
        text = f"GET {path} HTTP/1.1\r\nHost: localhost:{self.port}\r\nAccept: */*\r\n{headers}"
        return text.encode()

    def post(self, path: str, body: str) -> bytes:
        """A form POST by the relying party, authenticated with client_secret_basic."""
        return (
            f"POST {path} HTTP/1.1\r\nHost: localhost:{self.port}\r\nAccept: */*\r\n"
            f"Authorization: {self.party.basic()}\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        ).encode()

    def discovery(self) -> Work:
        """Discovery and JWKS, two requests."""
        answer = yield self._discovery_request
        answer.expect(200)
        if answer.body != self._discovery:
            self.metadata = json.loads(answer.body)
            if self.metadata.get("issuer") != self.issuer:
                raise ProtocolError(f"issuer is {self.metadata.get('issuer')}")
            if "S256" not in self.metadata.get("code_challenge_methods_supported", ()):
                raise ProtocolError("no S256 in the metadata")
            self._discovery = answer.body
            self._jwks_request = self.get(self.path("jwks_uri")) + b"\r\n"
        answer = yield self._jwks_request
        answer.expect(200)
        if answer.body != self._jwks:
            self.jwks = json.loads(answer.body)
            if not self.jwks["keys"] or any("d" in key for key in self.jwks["keys"]):
                raise ProtocolError("no keys, or private ones, in the JWKS")
            self._jwks = answer.body


def run_once(port: int, work: Callable[[], Work]) -> None:
    """Does one work; raises ProtocolError where an answer is wrong."""
    load = Load(port, [work])
    try:
        result = load.run(60, works_each=1)
    finally:
        load.close()
    if result.errors or result.works != 1:
        raise ProtocolError("; ".join(result.errors) or "no answer")


def _challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


class Session:
    """One person's browser session at a provider and the tokens of the relying party for it."""

    def __init__(self, provider: Provider, login: str, password: str) -> None:
        self.provider = provider
        self.login = login
        self._password = password
        self.cookies = ""
        self.access_token = ""
        self.refresh_token = ""
        self.subject = ""
        self._authorize = self._authorization(SCOPE)
        self._redeem = urlencode(
            {
                "grant_type": "authorization_code",
                "redirect_uri": provider.party.redirect_uri,
            }
        )

    def _authorization(self, scope: str) -> str:
        """The path of an authorization request but for state, nonce and code challenge."""
        party = self.provider.party
        return f"{self.provider.authorize}?" + urlencode(
            {
                "response_type": "code",
                "client_id": party.client_id,
                "redirect_uri": party.redirect_uri,
                "scope": scope,
                "code_challenge_method": "S256",
            }
        )

    def sign_in(self) -> None:
        """Signs in with the password, consents once, and obtains a refresh token."""
        verifier, state, nonce = (secrets.token_urlsafe(32) for _ in range(3))
        provider = self.provider
        browser = Browser(provider.port)
        try:
            url = browser.sign_in(
                f"{provider.issuer}{self._authorization(f'{SCOPE} offline_access')}&prompt=consent"
                f"&state={state}&nonce={nonce}&code_challenge={_challenge(verifier)}",
                provider.party.redirect_uri,
                self.login,
                self._password,
            )
            self.cookies = browser.cookies_for(provider.authorize)
        finally:
            browser.close()
        code = self._code(url, state)
        run_once(provider.port, lambda: self._first_tokens(code, verifier, nonce))

    def _code(self, location: str, state: str) -> str:
        """The code of an authorization answer, its state and issuer checked."""
        if not location.startswith(self.provider.party.redirect_uri + "?"):
            raise ProtocolError(
                f"redirected to {'/'.join(location.split('?', maxsplit=1)[0].split('/')[:2])}"
            )
        answer = parse_qs(urlsplit(location).query)
        if "code" not in answer:
            raise ProtocolError(f"no code: {answer}")
        if answer["state"] != [state] or answer["iss"] != [self.provider.issuer]:
            raise ProtocolError("another state or issuer")
        return answer["code"][0]

    def _redemption(self, code: str, verifier: str) -> bytes:
        body = f"{self._redeem}&code={quote(code)}&code_verifier={verifier}"
        return self.provider.post(self.provider.token, body)

    def _take_tokens(self, body: bytes, nonce: str) -> dict[str, Any]:
        """Checks a token answer, the claims of its ID token included."""
        tokens: dict[str, Any] = json.loads(body)
        if tokens["token_type"].lower() != "bearer" or "access_token" not in tokens:
            raise ProtocolError("not a bearer token")
        payload = tokens["id_token"].split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        audience = self.provider.party.client_id
        if claims["nonce"] != nonce or claims["aud"] not in (audience, [audience]):
            raise ProtocolError("an ID token for another request")
        if claims["iss"] != self.provider.issuer:
            raise ProtocolError("an ID token of another issuer")
        self.subject = claims["sub"]
        self.access_token = tokens["access_token"]
        return tokens

    def _first_tokens(self, code: str, verifier: str, nonce: str) -> Work:
        answer = yield self._redemption(code, verifier)
        answer.expect(200)
        tokens = self._take_tokens(answer.body, nonce)
        self.refresh_token = tokens["refresh_token"]
        keys = jwt.PyJWKSet.from_dict(self.provider.jwks)
        header = jwt.get_unverified_header(tokens["id_token"])
        if header["alg"] != "ES256":
            raise ProtocolError(f"the ID token is signed with {header['alg']}")
        jwt.decode(
            tokens["id_token"],
            keys[header["kid"]],
            algorithms=["ES256"],
            audience=self.provider.party.client_id,
            issuer=self.provider.issuer,
        )
        if tokens["access_token"].count(".") == 2:
            raise ProtocolError("the access token is not opaque")

    def journey(self) -> Work:
        """Single sign-on: authorization with the live session, token, UserInfo; three requests."""
        provider = self.provider
        verifier, state, nonce = (secrets.token_urlsafe(32) for _ in range(3))
        answer = yield provider.get(
            f"{self._authorize}&state={state}&nonce={nonce}&code_challenge={_challenge(verifier)}",
            f"Cookie: {self.cookies}\r\n\r\n",
        )
        answer.expect(302, 303)
        code = self._code(answer.head.get(b"location").decode(), state)
        answer = yield self._redemption(code, verifier)
        answer.expect(200)
        self._take_tokens(answer.body, nonce)
        yield from self.userinfo()

    def refresh(self) -> Work:
        """A refresh; the token rotates."""
        old = self.refresh_token
        answer = yield self.provider.post(
            self.provider.token, f"grant_type=refresh_token&refresh_token={quote(old)}"
        )
        answer.expect(200)
        tokens = json.loads(answer.body)
        if tokens["refresh_token"] == old or not tokens["access_token"]:
            raise ProtocolError("the refresh token did not rotate")
        self.refresh_token = tokens["refresh_token"]

    def introspect(self) -> Work:
        """Introspection of the session's access token."""
        answer = yield self.provider.post(
            self.provider.introspect, f"token={quote(self.access_token)}"
        )
        answer.expect(200)
        claims = json.loads(answer.body)
        if claims["active"] is not True or claims["client_id"] != self.provider.party.client_id:
            raise ProtocolError("the token is not active")

    def userinfo(self) -> Work:
        """UserInfo with the session's access token."""
        answer = yield self.provider.userinfo + f"{self.access_token}\r\n\r\n".encode()
        answer.expect(200)
        claims = json.loads(answer.body)
        if claims["sub"] != self.subject:
            raise ProtocolError("UserInfo of another subject")
        for name in CLAIMS:
            if name not in claims:
                raise ProtocolError(f"no {name} at UserInfo")

    def discovery(self) -> Work:
        """Discovery and JWKS."""
        return self.provider.discovery()


# In the order of measuring: what writes comes last, so that reads meet a small heap or database.
WORKS: dict[str, Callable[[Session], Callable[[], Work]]] = {
    "discovery": lambda session: session.discovery,
    "userinfo": lambda session: session.userinfo,
    "introspection": lambda session: session.introspect,
    "sso": lambda session: session.journey,
    "refresh": lambda session: session.refresh,
}

# In the order of the tables.
TITLES = {
    "sso": "SSO journey (authorize, token, UserInfo)",
    "refresh": "refresh (rotating)",
    "introspection": "introspection",
    "userinfo": "UserInfo",
    "discovery": "discovery + JWKS",
}
