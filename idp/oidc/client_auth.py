"""How relying parties prove who they are at the token, revocation and introspection endpoints.

Exactly one method may be used, and it must be the registered one. A wrong secret and an unknown
relying party get the same answer.
"""

import base64
import binascii
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import unquote_plus

import jwt
from sqlalchemy import Column, Connection, LargeBinary, Table, delete
from sqlalchemy.dialects import postgresql, sqlite

from accounts.schema import Clock, UTCDateTime, metadata
from accounts.vault import Vault
from connectors.errors import OutboundRefusedError
from idp import audit
from idp.limits import CLIENT_AUTHENTICATION, Limits
from idp.oidc import wire
from idp.oidc.errors import ProtocolError
from idp.oidc.key_sets import Jwk, KeySets
from idp.oidc.relying_parties import CLIENT_ID, SECRET_METHODS, RelyingParties, RelyingParty
from idp.oidc.thumbprints import thumbprint
from idp.settings import Lifetimes

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_ALGORITHMS = ("ES256", "PS256", "RS256", "EdDSA")
_GREATEST_ASSERTION = 1024 * 1024
"""As long as a signed report may be; a form's parameter is never so long."""

spent_assertion = Table(
    "spent_assertion",
    metadata,
    Column("key", LargeBinary, primary_key=True),
    Column("expires_at", UTCDateTime, nullable=False, index=True),
)


class InvalidClientError(ProtocolError):
    """Client authentication failed (RFC 6749 §5.2)."""

    def __init__(self, *, by_header: bool = False) -> None:
        super().__init__("invalid_client", "client authentication failed", status=401)
        self.by_header = by_header


@dataclass(frozen=True)
class _Presented:
    method: str
    client_id: str
    proof: str
    by_header: bool = False


@dataclass(slots=True)
class ClientAuthentication:
    """Authenticates relying parties."""

    db: Connection
    clock: Clock
    vault: Vault
    relying_parties: RelyingParties
    limits: Limits
    key_sets: KeySets
    issuer: str
    lifetimes: Lifetimes
    address: str
    proved_by: str | None = None
    """The thumbprint of the key by which the relying party was last seen to be itself."""

    def authenticate(
        self, request: wire.Request, form: dict[str, str], *, has_form: bool = True
    ) -> RelyingParty:
        """Return who is asking. Where the body is no form, a secret that would stand in it stands in the
        header, as any client with a secret may send it (RFC 6749 §2.3.1).

        Raises:
            InvalidClientError: nothing, the wrong thing or more than one thing was presented.
        """
        presented = self._presented(request, form)
        found = self.relying_parties.find(presented.client_id, self.db)
        if found is not None and self._proves(found, presented, has_form=has_form):
            return found
        raise self._counted(presented)

    def _counted(self, presented: _Presented) -> ProtocolError:
        counted = (CLIENT_AUTHENTICATION, f"{self.address}|{presented.client_id}")
        # Secrets are 256 bits, so a right one is never refused; wrong ones are slowed and seen.
        if self.limits.is_exhausted(counted):
            return ProtocolError("invalid_client", "too many failures, slow down", status=429)
        self.limits.count_failure(counted)
        audit.security_event(
            "client-authentication.refused", party=presented.client_id, address=self.address
        )
        return InvalidClientError(by_header=presented.by_header)

    def signed(self, text: str) -> tuple[RelyingParty, dict[str, Any]]:
        """Return who signed a message with its registered key, and what it says; besides that, the
        message is what a client assertion is, so it counts once.

        Raises:
            InvalidClientError: nobody registered signed it, or not for us and now.
        """
        presented = _assertion({"client_assertion_type": ASSERTION_TYPE, "client_assertion": text})
        if not CLIENT_ID.fullmatch(presented.client_id):
            raise InvalidClientError
        found = self.relying_parties.find(presented.client_id, self.db)
        if found is not None and found.authentication_method == presented.method:
            claims = self._claims_of(found, text)
            if claims is not None:
                return found, claims
        raise self._counted(presented)

    def _presented(self, request: wire.Request, form: dict[str, str]) -> _Presented:
        ways: list[_Presented] = []
        if "authorization" in request.headers:
            ways.append(_basic(request.headers["authorization"]))
        if "client_secret" in form:
            ways.append(
                _Presented("client_secret_post", form.get("client_id", ""), form["client_secret"])
            )
        if "client_assertion" in form or "client_assertion_type" in form:
            ways.append(_assertion(form))
        if not ways and "client_id" in form:
            ways.append(_Presented("none", form["client_id"], ""))
        if len(ways) != 1:
            raise InvalidClientError(by_header="authorization" in request.headers)
        presented = ways[0]
        if not CLIENT_ID.fullmatch(presented.client_id):
            # No registration can bear it, so no storage need see it.
            presented = replace(presented, client_id="", proof="")
        if form.get("client_id", presented.client_id) != presented.client_id:
            raise InvalidClientError(by_header=presented.by_header)
        return presented

    def _proves(
        self, relying_party: RelyingParty, presented: _Presented, *, has_form: bool
    ) -> bool:
        method = relying_party.authentication_method
        if method == "client_secret_post" and not has_form:
            method = "client_secret_basic"
        if method != presented.method:
            return False
        if presented.method in SECRET_METHODS:
            return relying_party.check_secret(presented.proof)
        if presented.method == "private_key_jwt":
            return self._claims_of(relying_party, presented.proof) is not None
        return True

    def _claims_of(self, relying_party: RelyingParty, assertion: str) -> dict[str, Any] | None:
        """Verify a client assertion (RFC 7523 §3): signature first, then every claim."""
        try:
            key, algorithm = self._key_for(relying_party, assertion)
            claims: dict[str, Any] = jwt.decode(
                assertion,
                key,
                algorithms=[algorithm],
                # The audience is us, in one of the three names the specifications give us, and
                # nobody beside us: a list naming others could be replayed to them (draft
                # rfc7523bis).
                options={
                    "require": ["iss", "sub", "aud", "exp", "jti"],
                    "verify_aud": False,
                    # By our own clock, below.
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
                issuer=relying_party.client_id,
            )
        except (
            jwt.PyJWTError,
            ValueError,
            TypeError,
            KeyError,
            ArithmeticError,
            RecursionError,
            OutboundRefusedError,
        ):
            return None
        jti = claims["jti"]
        holds = (
            claims["sub"] == relying_party.client_id
            and _is_for_us(claims["aud"], self.issuer)
            and isinstance(jti, str)
            and jti.isprintable()
            and self._is_timely(claims)
            and self._spend(relying_party.client_id, jti)
        )
        return claims if holds else None

    def _key_for(self, relying_party: RelyingParty, assertion: str) -> tuple[Any, str]:
        if len(assertion) > _GREATEST_ASSERTION:
            raise ValueError("the assertion is too long")
        header = jwt.get_unverified_header(assertion)
        algorithm = header.get("alg")
        if algorithm not in ASSERTION_ALGORITHMS or "crit" in header:
            raise ValueError("the algorithm is not allowed")
        named = header.get("kid")
        for jwk in self._keys(relying_party, named):
            if named is not None and jwk.get("kid") != named:
                continue
            if jwk.get("use", "sig") != "sig" or jwk.get("alg", algorithm) != algorithm:
                continue
            if _family(algorithm) == (jwk.get("kty"), jwk.get("crv")) or (
                jwk.get("kty") == "RSA" and algorithm in {"RS256", "PS256"}
            ):
                self.proved_by = thumbprint(jwk)
                return jwt.PyJWK(jwk, algorithm=algorithm).key, algorithm
        raise ValueError("no registered key fits")

    def _keys(self, relying_party: RelyingParty, named: object) -> list[Jwk]:
        if relying_party.jwks is not None:
            known: list[Jwk] = relying_party.jwks["keys"]
            return known
        return self.key_sets.at(relying_party.jwks_uri or "", named)

    def _is_timely(self, claims: dict[str, Any]) -> bool:
        """True when the assertion is valid now, and not for longer than it is remembered."""
        now, leeway = self.clock().timestamp(), self.lifetimes.clock_leeway.total_seconds()
        begins = [claims[name] for name in ("nbf", "iat") if name in claims]
        expires = claims["exp"]
        if any(type(moment) not in {int, float} for moment in (*begins, expires)):
            return False
        latest = now + self.lifetimes.assertion_memory.total_seconds()
        return now - leeway < expires <= latest and all(one <= now + leeway for one in begins)

    def _spend(self, client_id: str, jti: str) -> bool:
        """Remember the assertion for as long as it could be taken again; False if it was spent."""
        dialect = postgresql if self.db.dialect.name == "postgresql" else sqlite
        statement = dialect.insert(spent_assertion).values(
            key=self.vault.mac("assertion", client_id, jti),
            expires_at=self.clock() + 2 * self.lifetimes.assertion_memory,
        )
        once = statement.on_conflict_do_nothing().returning(spent_assertion.c.expires_at)
        return self.db.execute(once).first() is not None


def purge_assertions(db: Connection, now: datetime) -> int:
    """Forget assertions that can no longer be taken; return how many."""
    return db.execute(delete(spent_assertion).where(spent_assertion.c.expires_at <= now)).rowcount


def _basic(header: str) -> _Presented:
    """Read HTTP Basic with form-encoded parts (RFC 6749 §2.3.1)."""
    scheme, _, encoded = header.partition(" ")
    refused = InvalidClientError(by_header=True)
    if scheme.lower() != "basic":
        raise refused
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise refused from error
    client_id, colon, secret = text.partition(":")
    if not colon or not client_id:
        raise refused
    return _Presented(
        "client_secret_basic", unquote_plus(client_id), unquote_plus(secret), by_header=True
    )


def _assertion(form: dict[str, str]) -> _Presented:
    if form.get("client_assertion_type") != ASSERTION_TYPE or "client_assertion" not in form:
        raise InvalidClientError
    assertion = form["client_assertion"]
    try:
        claims = jwt.decode(
            assertion[:_GREATEST_ASSERTION],
            options={"verify_signature": False, "verify_exp": False},
        )
    except (jwt.PyJWTError, ValueError, ArithmeticError, RecursionError) as error:
        raise InvalidClientError from error
    subject = claims.get("sub")
    return _Presented("private_key_jwt", subject if isinstance(subject, str) else "", assertion)


def _is_for_us(audience: object, issuer: str) -> bool:
    ours = (issuer, f"{issuer}/token", f"{issuer}/introspect", f"{issuer}/revoke")
    if isinstance(audience, list):
        return len(audience) == 1 and audience[0] in ours
    return audience in ours


def _family(algorithm: str) -> tuple[str, str | None]:
    return {"ES256": ("EC", "P-256"), "EdDSA": ("OKP", "Ed25519")}.get(algorithm, ("RSA", None))
