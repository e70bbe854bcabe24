"""Passkeys: making them, judging their assertions, and every check the library leaves to us.

``webauthn`` verifies signatures and structure; single-use challenges, the credential's owner,
``userHandle``, ``crossOrigin``, uniqueness and backup flags are judged here (WebAuthn Level 3 §7).
"""

import base64
import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import webauthn
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    ForeignKey,
    LargeBinary,
    Row,
    String,
    Table,
    delete,
    func,
    insert,
    select,
    update,
)
from webauthn.helpers import (
    base64url_to_bytes,
    bytes_to_base64url,
    options_to_json_dict,
    parse_authentication_credential_json,
    parse_client_data_json,
    parse_registration_credential_json,
)
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AttestationConveyancePreference,
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from accounts.account import Account
from accounts.authenticator_models import AuthenticatorModels
from accounts.errors import LastAuthenticatorError, PasskeyRefusedError, PasskeyUnknownError
from accounts.fido_metadata import Biometric
from accounts.levels import AuthenticationMethod
from accounts.schema import Chance, Clock, UTCDateTime, metadata, new_id

CEREMONY_LIFETIME = timedelta(minutes=5)
MOST_PASSKEYS = 10
_GREATEST_CREDENTIAL_JSON = 64 * 1024
_ALGORITHMS = [
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.EDDSA,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,
]


_BY_MODEL = {
    Biometric.NONE: (AuthenticationMethod.HARDWARE_KEY,),
    Biometric.OTHER: (AuthenticationMethod.HARDWARE_KEY, AuthenticationMethod.BIOMETRIC_KEY),
    Biometric.FINGERPRINT: (
        AuthenticationMethod.HARDWARE_KEY,
        AuthenticationMethod.FINGERPRINT_KEY,
    ),
}
"""What a key of hardware proves beside a passkey, by what unlocks it."""


class Ceremony(StrEnum):
    """The two WebAuthn ceremonies; a challenge is good for one of them."""

    CREATE = "create"
    GET = "get"


passkey = Table(
    "passkey",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("account_id", String(32), ForeignKey("account.id"), nullable=False, index=True),
    Column("credential_id", LargeBinary, nullable=False, unique=True),
    Column("user_handle", LargeBinary, nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    Column("sign_count", BigInteger, nullable=False),
    Column("aaguid", String(36), nullable=False),
    # True when the key proved to be of the model that it names.
    Column("attested", Boolean, nullable=False),
    Column("transports", JSON, nullable=False),
    Column("backup_eligible", Boolean, nullable=False),
    Column("backed_up", Boolean, nullable=False),
    Column("name", String(80), nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Column("last_used_at", UTCDateTime),
)

ceremony = Table(
    "ceremony",
    metadata,
    Column("challenge_hash", LargeBinary, primary_key=True),
    Column("kind", String(8), nullable=False),
    Column("browser", LargeBinary, nullable=False),
    Column("account_id", String(32), ForeignKey("account.id")),
    Column("expires_at", UTCDateTime, nullable=False, index=True),
)


@dataclass(frozen=True)
class Passkey:
    """A passkey that belongs to an account."""

    id: str
    account_id: str
    credential_id: bytes
    user_handle: bytes
    public_key: bytes
    sign_count: int
    aaguid: str
    attested: bool
    transports: tuple[str, ...]
    backup_eligible: bool
    backed_up: bool
    name: str
    created_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True)
class RelyingPartyIdentity:
    """What WebAuthn calls the relying party: ourselves. ``origin`` has no trailing slash."""

    rp_id: str
    origin: str
    name: str


class Passkeys:
    """All passkeys, and the ceremonies under way."""

    def __init__(
        self, db: Connection, clock: Clock, chance: Chance, identity: RelyingPartyIdentity
    ) -> None:
        self._db = db
        self._clock = clock
        self._chance = chance
        self._identity = identity
        self._models = AuthenticatorModels(db)

    def of_account(self, account_id: str) -> list[Passkey]:
        """Return the account's passkeys, oldest first."""
        rows = self._db.execute(
            select(passkey)
            .where(passkey.c.account_id == account_id)
            .order_by(passkey.c.created_at, passkey.c.id)
        )
        return [_passkey(row) for row in rows]

    def count(self, account_id: str) -> int:
        """Return how many passkeys the account has."""
        return self._db.execute(
            select(func.count()).select_from(passkey).where(passkey.c.account_id == account_id)
        ).scalar_one()

    def creation_options(
        self, account: Account, *, login: str, name: str, browser: bytes, is_first: bool = False
    ) -> dict[str, Any]:
        """Return ``PublicKeyCredentialCreationOptions`` as JSON and remember the challenge.

        One that ``is_first`` replaces all there are, so none of them hinders it.
        """
        challenge = self._begin(Ceremony.CREATE, browser, account.id)
        options = webauthn.generate_registration_options(
            rp_id=self._identity.rp_id,
            rp_name=self._identity.name,
            user_id=account.user_handle,
            user_name=login,
            user_display_name=name,
            challenge=challenge,
            supported_pub_key_algs=_ALGORITHMS,
            # Only where it can be judged: browsers ask the person before they tell a model.
            attestation=AttestationConveyancePreference.DIRECT
            if self._models.exist()
            else AttestationConveyancePreference.NONE,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,
                user_verification=UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=[
                PublicKeyCredentialDescriptor(id=key.credential_id)
                for key in ([] if is_first else self.of_account(account.id))
            ],
        )
        return options_to_json_dict(options)

    def create(self, account: Account, credential: object, *, name: str, browser: bytes) -> Passkey:
        """Verify a registration (WebAuthn L3 §7.1) and keep the new passkey.

        Raises:
            PasskeyRefusedError: any check failed; nothing was kept but the spent challenge.
        """
        document = _document(credential)
        try:
            parsed = parse_registration_credential_json(document)
            challenge = self._consume(
                Ceremony.CREATE, parsed.response.client_data_json, browser, account.id
            )
            checks: dict[str, Any] = {
                "expected_challenge": challenge,
                "expected_rp_id": self._identity.rp_id,
                "expected_origin": self._identity.origin,
                "require_user_presence": True,
                "require_user_verification": True,
                "supported_pub_key_algs": _ALGORITHMS,
            }
            verified = webauthn.verify_registration_response(credential=parsed, **checks)
            attested = self._models.proved_by(parsed, verified.aaguid, checks)
        except (WebAuthnException, ValueError, TypeError, KeyError) as error:
            raise PasskeyRefusedError(type(error).__name__) from error
        if self.count(account.id) >= MOST_PASSKEYS:
            raise PasskeyRefusedError("too-many")
        return self.keep(
            account,
            credential_id=verified.credential_id,
            user_handle=account.user_handle,
            public_key=verified.credential_public_key,
            sign_count=verified.sign_count,
            aaguid=verified.aaguid,
            attested=attested,
            transports=[str(t.value) for t in parsed.response.transports or []],
            backup_eligible=verified.credential_device_type.value == "multi_device",
            backed_up=verified.credential_backed_up,
            name=name,
        )

    def keep(  # noqa: PLR0913 - a passkey's own members, by name
        self,
        account: Account,
        *,
        credential_id: bytes,
        user_handle: bytes,
        public_key: bytes,
        sign_count: int = 0,
        aaguid: str = "00000000-0000-0000-0000-000000000000",
        attested: bool = False,
        transports: list[str] | None = None,
        backup_eligible: bool = False,
        backed_up: bool = False,
        name: str = "",
    ) -> Passkey:
        """Store a passkey whose proof was checked elsewhere (a ceremony, or seed data).

        Raises:
            PasskeyRefusedError: the credential id is already known to the site (§7.1 step 26).
        """
        if self._find(credential_id) is not None:
            raise PasskeyRefusedError("credential-known")
        now = self._clock()
        values = {
            "id": new_id(now, self._chance),
            "account_id": account.id,
            "credential_id": credential_id,
            "user_handle": user_handle,
            "public_key": public_key,
            "sign_count": sign_count,
            "aaguid": aaguid,
            "attested": attested,
            "transports": transports or [],
            "backup_eligible": backup_eligible,
            "backed_up": backed_up,
            "name": name[:80],
            "created_at": now,
        }
        self._db.execute(insert(passkey).values(**values))
        kept = self._find(credential_id)
        assert kept is not None  # noqa: S101 - inserted two lines above
        return kept

    def request_options(self, *, browser: bytes) -> dict[str, Any]:
        """Return ``PublicKeyCredentialRequestOptions`` as JSON.

        No credential is listed: passkeys are discoverable, and an empty list tells nobody who has
        an account here (WebAuthn L3 §14.6.2).
        """
        challenge = self._begin(Ceremony.GET, browser, None)
        options = webauthn.generate_authentication_options(
            rp_id=self._identity.rp_id,
            challenge=challenge,
            user_verification=UserVerificationRequirement.REQUIRED,
        )
        return options_to_json_dict(options)

    def verify(self, credential: object, *, browser: bytes) -> Passkey:
        """Verify an assertion (WebAuthn L3 §7.2) and return the passkey that made it.

        Raises:
            PasskeyRefusedError: any check failed; the challenge is spent all the same.
        """
        document = _document(credential)
        try:
            parsed = parse_authentication_credential_json(document)
            challenge = self._consume(Ceremony.GET, parsed.response.client_data_json, browser, None)
            known = self._find(parsed.raw_id)
            if known is None:
                raise PasskeyUnknownError("unknown-credential")
            verified = webauthn.verify_authentication_response(
                credential=parsed,
                expected_challenge=challenge,
                expected_rp_id=self._identity.rp_id,
                expected_origin=self._identity.origin,
                credential_public_key=known.public_key,
                credential_current_sign_count=known.sign_count,
                require_user_verification=True,
            )
        except (WebAuthnException, ValueError, TypeError, KeyError) as error:
            raise PasskeyRefusedError(type(error).__name__) from error
        # The owner of the credential must be the user it names (§7.2 step 6).
        if parsed.response.user_handle != known.user_handle:
            raise PasskeyRefusedError("user-handle")
        # Backup eligibility is fixed at creation (§6.1.3).
        if (verified.credential_device_type.value == "multi_device") != known.backup_eligible:
            raise PasskeyRefusedError("backup-eligibility")
        self._db.execute(
            update(passkey)
            .where(passkey.c.id == known.id)
            .values(
                sign_count=verified.new_sign_count,
                backed_up=verified.credential_backed_up,
                last_used_at=self._clock(),
            )
        )
        return known

    def is_hardware(self, key: Passkey) -> bool:
        """True when the key proved to be of a model that keeps it in hardware, and that nobody
        revoked since.
        """
        return AuthenticationMethod.HARDWARE_KEY in self.proves(key)

    def proves(self, key: Passkey) -> tuple[AuthenticationMethod, ...]:
        """Return what an assertion by the key proves, as its model is judged today."""
        proved = (AuthenticationMethod.PASSKEY,)
        if not key.attested or key.backup_eligible:
            return proved
        model = self._models.protecting(key.aaguid)
        return (*proved, *_BY_MODEL[model.biometric]) if model is not None else proved

    def remove(self, account_id: str, passkey_id: str, *, has_password: bool) -> bool:
        """Remove one of the account's passkeys; False when it has no such passkey.

        Raises:
            LastAuthenticatorError: nothing would be left to sign in with.
        """
        keys = self.of_account(account_id)
        if passkey_id not in {key.id for key in keys}:
            return False
        if len(keys) == 1 and not has_password:
            raise LastAuthenticatorError
        self._db.execute(delete(passkey).where(passkey.c.id == passkey_id))
        return True

    def remove_all(self, account_id: str) -> int:
        """Remove every passkey of the account, whatever is left; return how many."""
        return self._db.execute(delete(passkey).where(passkey.c.account_id == account_id)).rowcount

    def purge(self, now: datetime) -> int:
        """Remove ceremonies that were never finished; return how many."""
        return self._db.execute(delete(ceremony).where(ceremony.c.expires_at <= now)).rowcount

    def _begin(self, kind: Ceremony, browser: bytes, account_id: str | None) -> bytes:
        challenge = self._chance(32)
        self._db.execute(
            insert(ceremony).values(
                challenge_hash=hashlib.sha256(challenge).digest(),
                kind=kind.value,
                browser=browser,
                account_id=account_id,
                expires_at=self._clock() + CEREMONY_LIFETIME,
            )
        )
        return challenge

    def _consume(
        self, kind: Ceremony, client_data_json: bytes, browser: bytes, account_id: str | None
    ) -> bytes:
        client_data = parse_client_data_json(client_data_json)
        if client_data.cross_origin:
            raise PasskeyRefusedError("cross-origin")
        owner = (
            ceremony.c.account_id.is_(None)
            if account_id is None
            else ceremony.c.account_id == account_id
        )
        # One DELETE decides who spends the challenge, however many ask at once.
        spent = self._db.execute(
            delete(ceremony).where(
                ceremony.c.challenge_hash == hashlib.sha256(client_data.challenge).digest(),
                ceremony.c.kind == kind.value,
                ceremony.c.browser == browser,
                ceremony.c.expires_at > self._clock(),
                owner,
            )
        ).rowcount
        if spent != 1:
            raise PasskeyRefusedError("challenge")
        return client_data.challenge

    def _find(self, credential_id: bytes) -> Passkey | None:
        row = self._db.execute(
            select(passkey).where(passkey.c.credential_id == credential_id)
        ).first()
        return None if row is None else _passkey(row)


def cose_key(jwk: dict[str, str]) -> bytes:
    """Return a P-256 public JWK (RFC 7518 §6.2) as a COSE_Key (RFC 9053 §7.1).

    Raises:
        ValueError: not a P-256 public key.
    """
    if jwk.get("kty") != "EC" or jwk.get("crv") != "P-256" or "d" in jwk:
        raise ValueError("a P-256 public key is needed")
    x, y = (base64url_to_bytes(jwk[name]) for name in ("x", "y"))
    if len(x) != 32 or len(y) != 32:
        raise ValueError("x and y need 32 bytes each")
    # A map of five pairs in CBOR: {1: 2, 3: -7, -1: 1, -2: x, -3: y}.
    return b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20" + x + b"\x22\x58\x20" + y


def credential_name(credential_id: bytes) -> str:
    """Return the credential id as browsers spell it."""
    return bytes_to_base64url(credential_id)


def decoded(text: str) -> bytes:
    """Decode base64url, with or without padding."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _document(credential: object) -> dict[str, Any]:
    try:
        size = len(json.dumps(credential))
    except RecursionError as error:
        raise PasskeyRefusedError("credential") from error
    if not isinstance(credential, dict) or size > _GREATEST_CREDENTIAL_JSON:
        raise PasskeyRefusedError("credential")
    return credential


def _passkey(row: Row[Any]) -> Passkey:
    return Passkey(
        id=row.id,
        account_id=row.account_id,
        credential_id=row.credential_id,
        user_handle=row.user_handle,
        public_key=row.public_key,
        sign_count=row.sign_count,
        aaguid=row.aaguid,
        attested=row.attested,
        transports=tuple(row.transports),
        backup_eligible=row.backup_eligible,
        backed_up=row.backed_up,
        name=row.name,
        created_at=row.created_at,
        last_used_at=row.last_used_at,
    )
