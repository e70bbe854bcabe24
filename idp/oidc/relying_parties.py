"""Relying parties: what an agency registered, checked strictly, and cached for two seconds.

Members carry the names of RFC 7591. Nothing here is taken over unchecked: the loose URI handling of
common libraries is the most fruitful source of stolen codes.
"""

import hashlib
import hmac
import ipaddress
import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jwt
from sqlalchemy import JSON, Column, Connection, Engine, String, Table, insert, select, update

from accounts.attributes import ALLOWED, LAW_LISTED, SCOPES
from accounts.schema import Clock, UTCDateTime, metadata
from consent.purposes import PURPOSES
from idp.database import for_reading
from idp.keys import ALGORITHMS

SECRET_METHODS = ("client_secret_basic", "client_secret_post")
AUTHENTICATION_METHODS = (*SECRET_METHODS, "private_key_jwt", "none")
TOKEN_GRANT_TYPES = ("authorization_code", "refresh_token", "client_credentials")
DETAILS_TYPES = ("vn_personal_data_use",)
PUSHED, FETCHED = "urn:ietf:rfc:8935", "urn:ietf:rfc:8936"
"""How security event tokens reach a relying party."""
LEAST_SECRET = 32
HOME = "VN"
CLIENT_ID = re.compile(r"[A-Za-z0-9._~:/\-]{1,255}", re.ASCII)

relying_party = Table(
    "relying_party",
    metadata,
    Column("client_id", String(255), primary_key=True),
    Column("metadata", JSON, nullable=False),
    Column("secret_hash", String(64)),
    Column("state", String(16), nullable=False),
    Column("registered_at", UTCDateTime, nullable=False),
    Column("changed_at", UTCDateTime, nullable=False),
)


class RegistrationError(Exception):
    """The registration is refused; ``member`` is the RFC 7591 name at fault."""

    def __init__(self, member: str, problem: str) -> None:
        super().__init__(f"{member}: {problem}")
        self.member = member
        self.problem = problem


@dataclass(frozen=True)
class RelyingParty:
    """A registered relying party.

    Also satisfies what Authlib asks of a client: the ``check_*`` and ``get_*`` methods.
    """

    client_id: str
    names: dict[str, str]
    redirect_uris: tuple[str, ...]
    post_logout_redirect_uris: tuple[str, ...]
    scopes: frozenset[str]
    grant_types: frozenset[str]
    authentication_method: str
    secret_hash: str | None
    jwks: dict[str, Any] | None
    jwks_uri: str | None
    id_token_algorithm: str
    purpose: str
    sector: str
    requires_pkce: bool
    representation_aware: bool
    is_native: bool
    logo_uri: str | None
    policy_uri: str | None
    tos_uri: str | None
    backchannel_logout_uri: str | None
    events_uri: str | None
    authorization_details_types: frozenset[str]
    fetches_events: bool
    country: str
    """Where it is established, by ISO 3166-1 (two letters)."""
    states_cases: bool
    """True when each of its uses belongs to a case, whose number it states in its requests."""
    is_active: bool

    def name(self, language: str) -> str:
        """Return the agency's name in the language, else its plain one."""
        return self.names.get(language) or self.names[""]

    @property
    def claims(self) -> frozenset[str]:
        """Every claim that the registered scopes may ask for.

        Some only by bodies that Decree 70/2024 Art. 9 lists, which is known by the purpose.
        """
        return _claims_of(self.scopes, self.purpose)

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Compare by simple string comparison (RFC 9700 §2.1); only a native app's loopback port
        may vary (RFC 8252 §7.3).
        """
        if redirect_uri in self.redirect_uris:
            return True
        return self.is_native and any(
            _same_but_port(registered, redirect_uri) for registered in self.redirect_uris
        )

    def get_default_redirect_uri(self) -> None:
        """There is none: the authorization request must name its redirect URI."""

    def check_response_type(self, response_type: str) -> bool:
        """Only the code flow exists here."""
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        """True when the relying party may use the grant type."""
        return grant_type in self.grant_types

    def get_allowed_scope(self, scope: str | None) -> str | None:
        """Return the asked scopes that are registered, in order; the rest is dropped."""
        asked = dict.fromkeys((scope or "").split())
        return " ".join(name for name in asked if name in self.scopes) or None

    def check_secret(self, secret: str) -> bool:
        """Compare in constant time. Secrets are long and random, so one plain hash suffices."""
        return hmac.compare_digest(self.secret_hash or _NO_SECRET, _hash(secret))


@lru_cache(maxsize=4096)
def _claims_of(scopes: frozenset[str], purpose: str) -> frozenset[str]:
    allowed = frozenset(claim for scope in scopes for claim in ALLOWED[scope])
    return allowed if PURPOSES[purpose].law_listed else allowed - LAW_LISTED


_NO_SECRET = "0" * 64


class RelyingParties:
    """All relying parties, cached in the process for a moment."""

    _FRESH = timedelta(seconds=2)

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = for_reading(engine)
        self._clock = clock
        self._cache: dict[str, tuple[datetime, RelyingParty | None]] = {}

    def find(self, client_id: str, db: Connection | None = None) -> RelyingParty | None:
        """Return the active relying party with this id."""
        found = self.find_any(client_id, db)
        return found if found is not None and found.is_active else None

    def find_any(self, client_id: str, db: Connection | None = None) -> RelyingParty | None:
        """Return the relying party whether or not it is active."""
        if not CLIENT_ID.fullmatch(client_id):
            return None
        now = self._clock()
        cached = self._cache.get(client_id)
        if cached is not None and timedelta(0) <= now - cached[0] < self._FRESH:
            return cached[1]
        if db is not None:
            found = _read(db, client_id)
        else:
            with self._engine.connect() as own:
                found = _read(own, client_id)
        if len(self._cache) > 10_000:
            self._cache.clear()
        self._cache[client_id] = (now, found)
        return found

    def forget(self) -> None:
        """Drop the cache, after a change made in this process."""
        self._cache.clear()


class Registrations:
    """The stored registrations, for the command line and seed files."""

    def __init__(self, db: Connection, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    def register(self, document: dict[str, Any]) -> str:
        """Register or update a relying party from its RFC 7591 metadata; return its client id.

        Raises:
            RegistrationError: any member is missing, unknown or unsafe.
        """
        members = _checked(document)
        client_id = members["client_id"]
        secret = members.pop("client_secret", None)
        values = {
            "metadata": members,
            "secret_hash": None if secret is None else _hash(secret),
            "state": "active",
            "changed_at": self._clock(),
        }
        changed = self._db.execute(
            update(relying_party).where(relying_party.c.client_id == client_id).values(**values)
        ).rowcount
        if not changed:
            self._db.execute(
                insert(relying_party).values(
                    client_id=client_id, registered_at=self._clock(), **values
                )
            )
        return str(client_id)

    def all(self) -> list[RelyingParty]:
        """Return every registration by client id."""
        rows = self._db.execute(select(relying_party).order_by(relying_party.c.client_id))
        return [_relying_party(row) for row in rows]

    def disable(self, client_id: str) -> bool:
        """Stop a relying party; False when there is none."""
        return (
            self._db.execute(
                update(relying_party)
                .where(relying_party.c.client_id == client_id)
                .values(state="disabled", changed_at=self._clock())
            ).rowcount
            == 1
        )


def _read(db: Connection, client_id: str) -> RelyingParty | None:
    row = db.execute(select(relying_party).where(relying_party.c.client_id == client_id)).first()
    return None if row is None else _relying_party(row)


def _relying_party(row: Any) -> RelyingParty:
    members = row.metadata
    method = members["token_endpoint_auth_method"]
    return RelyingParty(
        client_id=row.client_id,
        names={
            "": members["client_name"],
            **{
                key.removeprefix("client_name#"): value
                for key, value in members.items()
                if key.startswith("client_name#")
            },
        },
        redirect_uris=tuple(members["redirect_uris"]),
        post_logout_redirect_uris=tuple(members.get("post_logout_redirect_uris") or ()),
        scopes=frozenset(members["scope"].split()),
        grant_types=frozenset(members["grant_types"]),
        authentication_method=method,
        secret_hash=row.secret_hash,
        jwks=members.get("jwks"),
        jwks_uri=members.get("jwks_uri"),
        id_token_algorithm=members["id_token_signed_response_alg"],
        purpose=members["purpose"],
        sector=members.get("sector_identifier") or row.client_id,
        requires_pkce=bool(members.get("require_pkce")) or method == "none",
        representation_aware=bool(members.get("representation_aware")),
        is_native=members.get("application_type") == "native",
        logo_uri=members.get("logo_uri"),
        policy_uri=members.get("policy_uri"),
        tos_uri=members.get("tos_uri"),
        backchannel_logout_uri=members.get("backchannel_logout_uri"),
        events_uri=members.get("events_uri"),
        authorization_details_types=frozenset(members.get("authorization_details_types") or ()),
        fetches_events=members.get("events_delivery_method") == FETCHED,
        country=members.get("country", HOME),
        states_cases=bool(members.get("case_reference_expected")),
        is_active=row.state == "active",
    )


_TEXT_MEMBERS = {
    "client_id",
    "client_name",
    "token_endpoint_auth_method",
    "client_secret",
    "scope",
    "purpose",
    "id_token_signed_response_alg",
    "application_type",
    "logo_uri",
    "policy_uri",
    "tos_uri",
    "client_uri",
    "jwks_uri",
    "backchannel_logout_uri",
    "events_uri",
    "events_delivery_method",
    "sector_identifier",
    "country",
}
_LIST_MEMBERS = {
    "redirect_uris",
    "post_logout_redirect_uris",
    "grant_types",
    "response_types",
    "contacts",
    "authorization_details_types",
}
_BOOL_MEMBERS = {
    "require_pkce",
    "representation_aware",
    "case_reference_expected",
    # Always met: each logout token says which session (Back-Channel Logout 1.0 §2.2).
    "backchannel_logout_session_required",
}


_WEB_ADDRESSES = (
    "logo_uri",
    "policy_uri",
    "tos_uri",
    "client_uri",
    "jwks_uri",
    "backchannel_logout_uri",
    "events_uri",
)


def _checked(document: dict[str, Any]) -> dict[str, Any]:
    members = {key: value for key, value in document.items() if value is not None}
    _check_types(members)
    members.setdefault("token_endpoint_auth_method", "client_secret_basic")
    members.setdefault("grant_types", ["authorization_code", "refresh_token"])
    members.setdefault("id_token_signed_response_alg", "ES256")
    members.setdefault("scope", "openid")
    for required in ("client_id", "client_name", "redirect_uris", "purpose"):
        if required == "redirect_uris" and members["grant_types"] == ["client_credentials"]:
            # RFC 7591 §2: needed by flows with a redirect only.
            members.setdefault(required, [])
            continue
        if not members.get(required):
            raise RegistrationError(required, "is required")
    _check_values(members)
    _check_authentication(members)
    for uri in members["redirect_uris"]:
        _check_uri("redirect_uris", uri, native=members.get("application_type") == "native")
    for uri in members.get("post_logout_redirect_uris", ()):
        _check_uri("post_logout_redirect_uris", uri, native=False)
    for name in _WEB_ADDRESSES:
        if name in members:
            _check_web_uri(name, members[name])
    return members


def _check_types(members: dict[str, Any]) -> None:
    for name, value in members.items():
        base = name.partition("#")[0]
        if base in _TEXT_MEMBERS and ("#" not in name or base == "client_name"):
            if not isinstance(value, str):
                raise RegistrationError(name, "must be text")
            _check_text(name, value)
        elif name in _LIST_MEMBERS:
            if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
                raise RegistrationError(name, "must be a list of texts")
        elif name in _BOOL_MEMBERS:
            if not isinstance(value, bool):
                raise RegistrationError(name, "must be true or false")
        elif name != "jwks":
            raise RegistrationError(name, "is not a member of a registration")


def _check_text(name: str, value: str) -> None:
    # Bidirectional and invisible signs can make one agency's name look like another's.
    if any(unicodedata.category(sign) in {"Cc", "Cf", "Cs", "Co"} for sign in value):
        raise RegistrationError(name, "holds control or invisible characters")
    if len(value) > 500 or (name.startswith("client_name") and len(value) > 120):
        raise RegistrationError(name, "is too long")


def _check_values(members: dict[str, Any]) -> None:
    if not CLIENT_ID.fullmatch(members["client_id"]):
        raise RegistrationError("client_id", "may hold letters, digits and . _ ~ : / - only")
    unknown = set(members["scope"].split()) - set(SCOPES)
    if unknown:
        raise RegistrationError("scope", f"{sorted(unknown)[0]} is not a scope")
    if "openid" not in members["scope"].split():
        raise RegistrationError("scope", "must contain openid")
    if members["purpose"] not in PURPOSES:
        raise RegistrationError("purpose", f"must be one of {', '.join(sorted(PURPOSES))}")
    _check_listing(members["scope"].split(), members["purpose"])
    if members["id_token_signed_response_alg"] not in ALGORITHMS:
        raise RegistrationError(
            "id_token_signed_response_alg", f"must be one of {', '.join(ALGORITHMS)}"
        )
    if not set(members["grant_types"]) <= set(TOKEN_GRANT_TYPES):
        raise RegistrationError("grant_types", f"may hold {', '.join(TOKEN_GRANT_TYPES)}")
    if not set(members.get("authorization_details_types", ())) <= set(DETAILS_TYPES):
        raise RegistrationError(
            "authorization_details_types", f"may hold {', '.join(DETAILS_TYPES)}"
        )
    _check_delivery(members)
    _check_what_is_told(members)
    if members.get("response_types", ["code"]) != ["code"]:
        raise RegistrationError("response_types", "must be code")
    if members.get("application_type", "web") not in {"web", "native"}:
        raise RegistrationError("application_type", "must be web or native")


def _check_what_is_told(members: dict[str, Any]) -> None:
    if not re.fullmatch(r"[A-Z]{2}", members.get("country", HOME), re.ASCII):
        raise RegistrationError("country", "must be two capital letters of ISO 3166-1")
    if members.get("case_reference_expected") and not members.get("authorization_details_types"):
        # By nothing else a request can state a case.
        raise RegistrationError(
            "case_reference_expected", f"needs authorization_details_types {DETAILS_TYPES[0]}"
        )


def _check_delivery(members: dict[str, Any]) -> None:
    method = members.get("events_delivery_method", PUSHED)
    if method not in {PUSHED, FETCHED}:
        raise RegistrationError("events_delivery_method", f"must be {PUSHED} or {FETCHED}")
    if (method == FETCHED) == ("events_uri" in members) and "events_delivery_method" in members:
        raise RegistrationError(
            "events_delivery_method", f"{PUSHED} needs events_uri, {FETCHED} has none"
        )


def _check_listing(scopes: list[str], purpose: str) -> None:
    if PURPOSES[purpose].law_listed:
        return
    for scope in scopes:
        if LAW_LISTED.intersection(SCOPES[scope]):
            raise RegistrationError(
                "scope",
                f"{scope} is for bodies that Decree 70/2024/ND-CP Art. 9 lists; "
                f"the purpose {purpose} is none of theirs",
            )


def _check_authentication(members: dict[str, Any]) -> None:
    method = members["token_endpoint_auth_method"]
    if method not in AUTHENTICATION_METHODS:
        raise RegistrationError(
            "token_endpoint_auth_method", f"must be one of {', '.join(AUTHENTICATION_METHODS)}"
        )
    secret = members.get("client_secret")
    if method in SECRET_METHODS:
        if secret is None or len(secret) < LEAST_SECRET:
            raise RegistrationError("client_secret", f"needs {LEAST_SECRET} characters or more")
    elif secret is not None:
        raise RegistrationError("client_secret", f"is not used with {method}")
    if "client_credentials" in members["grant_types"] and not (
        method == "private_key_jwt" and members.get("jwks")
    ):
        # A mandate names one key, so the keys have to be known here.
        raise RegistrationError("grant_types", "client_credentials needs private_key_jwt and jwks")
    if method == "private_key_jwt" and not (members.get("jwks") or members.get("jwks_uri")):
        raise RegistrationError("jwks", "is required with private_key_jwt")
    if "jwks" in members:
        _check_jwks(members["jwks"])


def _check_jwks(jwks: object) -> None:
    keys = jwks.get("keys") if isinstance(jwks, dict) else None
    if not isinstance(keys, list) or not 1 <= len(keys) <= 20:
        raise RegistrationError("jwks", "must be a JWK Set of 1 to 20 keys")
    kids = [key.get("kid") for key in keys if isinstance(key, dict)]
    if not all(kid is None or isinstance(kid, str) for kid in kids):
        raise RegistrationError("jwks", "a kid is a text")
    if len(kids) != len(keys) or len(set(kids)) != len(kids):
        raise RegistrationError("jwks", "each key needs a kid of its own")
    for key in keys:
        if key.get("kty") not in {"RSA", "EC", "OKP"} or {"d", "p", "q", "k"} & set(key):
            raise RegistrationError("jwks", "may hold public keys only")
        try:
            jwt.PyJWK(key)
        except (jwt.PyJWTError, ValueError, TypeError, AttributeError) as error:
            raise RegistrationError("jwks", "holds a key that cannot be read") from error


def _check_uri(member: str, uri: str, *, native: bool) -> None:
    if native and re.fullmatch(r"[a-z][a-z0-9+\-]*(\.[a-z0-9+\-]+)+:/[A-Za-z0-9._~/\-]*", uri):
        return  # RFC 8252 §7.1: a private-use scheme that is a reversed domain name
    _check_web_uri(member, uri)
    names = {name for name, _ in parse_qsl(urlsplit(uri).query, keep_blank_values=True)}
    if names & {"code", "state", "iss", "error", "id_token", "access_token", "response"}:
        raise RegistrationError(member, "must not already hold parameters of an answer")


def _check_web_uri(member: str, uri: str) -> None:
    if not re.fullmatch(r"[!$&-;=?-Z_a-z~%]+", uri, re.ASCII):
        raise RegistrationError(member, "holds characters that a URI may not hold here")
    try:
        parts = urlsplit(uri)
        host, _port = parts.hostname, parts.port
    except ValueError as error:
        raise RegistrationError(member, "is not a URI") from error
    if not re.fullmatch(r"[A-Za-z0-9.\-]+|[0-9a-fA-F:]+", host or "", re.ASCII):
        raise RegistrationError(member, "names no single host")
    if parts.fragment or "#" in uri or not host or parts.username is not None or "\\" in uri:
        raise RegistrationError(member, "must be a plain URI without fragment or user")
    if parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host)):
        return
    raise RegistrationError(member, "must use https (http only on this machine's loopback)")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _same_but_port(registered: str, asked: str) -> bool:
    try:
        one, other = urlsplit(registered), urlsplit(asked)
        other_port = other.port
    except ValueError:
        return False
    if one.scheme != "http" or one.hostname not in {"127.0.0.1", "::1"} or other_port is None:
        return False
    host = f"[{one.hostname}]" if ":" in one.hostname else one.hostname
    return asked == f"http://{host}:{other_port}{one.path}" + (f"?{one.query}" if one.query else "")


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
