"""The models of authenticators that are known, and whether a new passkey proved to be of one."""

import base64
from typing import Any

import webauthn
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    Integer,
    String,
    Table,
    delete,
    func,
    insert,
    select,
)
from webauthn.helpers import parse_attestation_object
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import AttestationFormat, RegistrationCredential

from accounts.fido_metadata import Biometric, Metadata, Model
from accounts.schema import metadata

_AAGUID_EXTENSION = x509.ObjectIdentifier("1.3.6.1.4.1.45724.1.1.4")
_OCTETS = b"\x04\x10"

authenticator_model = Table(
    "authenticator_model",
    metadata,
    Column("aaguid", String(36), primary_key=True),
    Column("name", String(120), nullable=False),
    Column("is_hardware", Boolean, nullable=False),
    Column("is_revoked", Boolean, nullable=False),
    Column("biometric", String(16), nullable=False),
    Column("roots", JSON, nullable=False),
    Column("number", Integer, nullable=False),
)


class OlderMetadataError(Exception):
    """The file is older than what was imported before: it could hide a revocation."""


class AuthenticatorModels:
    """All models that the imported metadata tells of."""

    def __init__(self, db: Connection) -> None:
        self._db = db

    def replace(self, told: Metadata) -> int:
        """Take the models of a newer file in place of all there are; return how many.

        Raises:
            OlderMetadataError: what is held is newer.
        """
        held = self._db.execute(select(func.max(authenticator_model.c.number))).scalar()
        if held is not None and told.number < held:
            raise OlderMetadataError
        self._db.execute(delete(authenticator_model))
        rows = [
            {
                "aaguid": one.aaguid,
                "name": one.name,
                "is_hardware": one.is_hardware,
                "is_revoked": one.is_revoked,
                "biometric": one.biometric.value,
                "roots": list(one.roots),
                "number": told.number,
            }
            for one in {model.aaguid: model for model in told.models}.values()
        ]
        if rows:
            self._db.execute(insert(authenticator_model), rows)
        return len(rows)

    def exist(self) -> bool:
        """True when an attestation could be judged at all."""
        return (
            self._db.execute(
                select(authenticator_model.c.aaguid)
                .where(authenticator_model.c.is_hardware)
                .limit(1)
            ).first()
            is not None
        )

    def find(self, aaguid: str) -> Model | None:
        """Return the model with this id."""
        row = self._db.execute(
            select(authenticator_model).where(authenticator_model.c.aaguid == aaguid)
        ).first()
        if row is None:
            return None
        return Model(
            row.aaguid,
            row.name,
            row.is_hardware,
            row.is_revoked,
            Biometric(row.biometric),
            tuple(row.roots),
        )

    def protecting(self, aaguid: str) -> Model | None:
        """Return the model if its keys stay in hardware, as far as its maker knows today."""
        model = self.find(aaguid)
        return model if model is not None and model.is_hardware and not model.is_revoked else None

    def proved_by(
        self, credential: RegistrationCredential, aaguid: str, checks: dict[str, Any]
    ) -> bool:
        """True when the registration carries an attestation by a certificate of the model's own
        (WebAuthn L3 §7.1 steps 21 to 25). Self attestation, a foreign chain or another model's
        certificate prove nothing; nobody is refused for it.
        """
        statement = parse_attestation_object(credential.response.attestation_object)
        chain = statement.att_stmt.x5c
        model = self.find(aaguid)
        # Packed is the format of security keys; others speak of platforms that metadata of today
        # does not place in hardware.
        if statement.fmt != AttestationFormat.PACKED or not chain or model is None:
            return False
        roots = [x509.load_der_x509_certificate(base64.b64decode(one)) for one in model.roots]
        if not roots or not _names(chain[0], aaguid):
            return False
        try:
            webauthn.verify_registration_response(
                credential=credential,
                pem_root_certs_bytes_by_fmt={
                    AttestationFormat.PACKED: [one.public_bytes(Encoding.PEM) for one in roots]
                },
                **checks,
            )
        except (WebAuthnException, ValueError, TypeError):
            return False
        return True


def _names(certificate: bytes, aaguid: str) -> bool:
    """True unless the certificate says that it is for another model (§8.2.1)."""
    try:
        extensions = x509.load_der_x509_certificate(certificate).extensions
        found = extensions.get_extension_for_oid(_AAGUID_EXTENSION).value
    except x509.ExtensionNotFound:
        return True
    except ValueError:
        return False
    wanted = _OCTETS + bytes.fromhex(aaguid.replace("-", ""))
    return isinstance(found, x509.UnrecognizedExtension) and found.value == wanted
