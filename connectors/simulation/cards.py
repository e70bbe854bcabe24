"""The authority that signs the simulated identity cards, and the chips of those cards.

Its keys are made by chance when a population is generated and stand in files beside it; every card's own
key is derived from them, so no card has to be kept.
"""

import hashlib
import hmac
import os
import sqlite3
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID
from pyasn1.codec.der import decoder, encoder
from pyasn1.type import tag, univ
from pyasn1_modules import rfc5280, rfc5652

from accounts.chip import der, files, security_object
from accounts.chip.examination import Reading
from accounts.mrz import check_digit, latin
from connectors.simulation.portrait import portrait

_CSCA_YEARS, _SIGNER_YEARS = 15, 12
_SHA256, _ECDSA_SHA256 = "2.16.840.1.101.3.4.2.1", "1.2.840.10045.4.3.2"
_PLAIN_ECDSA_SHA256 = bytes.fromhex("04007f00070101040103")
_ACTIVE_AUTHENTICATION = bytes.fromhex("678108010105")
# The order of the group of P-256 (FIPS 186-5).
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_SEXES = {"F": "Nữ", "M": "Nam"}


@dataclass(frozen=True)
class Chip:
    """A card's chip: it gives its files and signs what it is given. Its key never leaves it."""

    security_object: bytes
    groups: dict[int, bytes]
    key: ec.EllipticCurvePrivateKey

    def read(self, nonce: bytes) -> Reading:
        """Do what a reader app does: read the files, and have the nonce signed."""
        r, s = decode_dss_signature(self.key.sign(nonce, ec.ECDSA(hashes.SHA256())))
        signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
        return Reading(self.security_object, dict(self.groups), signature)


@dataclass(frozen=True)
class CardIssuer:
    """The country's signing authority (CSCA) and its document signer."""

    authority: x509.Certificate
    authority_key: ec.EllipticCurvePrivateKey
    signer: x509.Certificate
    signer_key: ec.EllipticCurvePrivateKey

    def chip(
        self, person: sqlite3.Row | dict[str, Any], card: sqlite3.Row | dict[str, Any]
    ) -> Chip:
        """Return the chip of a person's card."""
        key = self._card_key(f"{person['number']}/{card['issued']}")
        groups = {
            1: _zone_file(person, card),
            2: _face_file(person["number"]),
            13: _citizen_file(person, card),
            14: _security_file(),
            15: der.encoded(files.TAGS[15], _public(key)),
        }
        return Chip(self.sign(groups), groups, key)

    def sign(self, groups: dict[int, bytes]) -> bytes:
        """Return the security object over these files."""
        listed = b"".join(
            der.encoded(
                der.SEQUENCE,
                der.encoded(der.INTEGER, bytes([group]))
                + der.encoded(der.OCTETS, hashlib.sha256(data).digest()),
            )
            for group, data in sorted(groups.items())
        )
        payload = der.encoded(
            der.SEQUENCE,
            der.encoded(der.INTEGER, b"\0")
            + encoder.encode(_algorithm(_SHA256))
            + der.encoded(der.SEQUENCE, listed),
        )
        return der.encoded(security_object.TAG, _cms(payload, self.signer, self.signer_key))

    def _card_key(self, card: str) -> ec.EllipticCurvePrivateKey:
        secret = self.signer_key.private_numbers().private_value.to_bytes(32, "big")
        drawn = hmac.new(secret, f"card/{card}".encode(), hashlib.sha512).digest()
        return ec.derive_private_key(
            int.from_bytes(drawn, "big") % (_ORDER - 1) + 1, ec.SECP256R1()
        )


def authority_file(population: Path) -> Path:
    """Return where the authority's certificate stands, for ``SEN_CSCA_FILE``."""
    return population.with_name(f"{population.name}.csca.pem")


def establish(population: Path, now: datetime | None = None) -> CardIssuer:
    """Return the issuer of a population's cards; it is made when there is none yet."""
    keys = _keys_file(population)
    if not keys.is_file():
        made = new_issuer(now or datetime.now(UTC))
        authority_file(population).write_bytes(_pem(made.authority))
        secret = _pem(made.authority) + _pem(made.signer)
        secret += _key_pem(made.authority_key) + _key_pem(made.signer_key)
        with os.fdopen(os.open(keys, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secret)
    return _opened(keys.read_bytes())


def new_issuer(now: datetime, *, signer_years: float = _SIGNER_YEARS) -> CardIssuer:
    """Make an authority and its document signer, good from a day ago."""
    begins = now - timedelta(days=1)
    authority_key, signer_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = _certificate(
        "Simulated CSCA", authority_key, None, authority_key, begins, _CSCA_YEARS
    )
    signer = _certificate(
        "Simulated document signer", signer_key, authority, authority_key, begins, signer_years
    )
    return CardIssuer(authority, authority_key, signer, signer_key)


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Certificate | None,
    issuer_key: ec.EllipticCurvePrivateKey,
    begins: datetime,
    years: float,
) -> x509.Certificate:
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "VN"),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )
    is_authority = issuer is None
    usage = x509.KeyUsage(
        digital_signature=not is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=365.25 * years))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .sign(issuer_key, hashes.SHA256())
    )


def _zone_file(person: Any, card: Any) -> bytes:
    born, expiry = date.fromisoformat(person["birthdate"]), card["expiry"]
    number = person["number"]
    short = number[3:]
    first = f"IDVNM{short}{check_digit(short)}{number}<<"
    first += check_digit(first[5:])
    birth = f"{born:%y%m%d}"
    ends = f"{date.fromisoformat(expiry):%y%m%d}" if expiry else "991231"
    middle = f"{birth}{check_digit(birth)}{person['sex']}{ends}{check_digit(ends)}VNM{'<' * 11}"
    checked = first[5:30] + middle[:7] + middle[8:15] + middle[18:29]
    second = middle + check_digit(checked)
    surname, _, rest = latin(person["name"]).partition("<")
    third = f"{surname}<<{rest}"[:30].ljust(30, "<")
    return der.encoded(
        files.TAGS[1], der.encoded(files.ZONE_TAG, (first + second + third).encode("ascii"))
    )


def _face_file(number: str) -> bytes:
    """Return DG2: one biometric information template with a drawn picture, in place of JPEG 2000."""
    block = der.encoded(0x5F2E, portrait(number))
    template = der.encoded(0x7F60, block)
    count = der.encoded(der.INTEGER, b"\x01")
    return der.encoded(files.TAGS[2], der.encoded(0x7F61, count + template))


def _citizen_file(person: Any, card: Any) -> bytes:
    expiry = _day(card["expiry"]) if card["expiry"] else files.NO_EXPIRY
    fields = {
        files.NUMBER: person["number"],
        files.NAME: person["name"],
        files.BIRTH: _day(person["birthdate"]),
        files.SEX: _SEXES[person["sex"]],
        5: "Việt Nam",
        files.ISSUED: _day(card["issued"]),
        files.EXPIRY: expiry,
    }
    entries = b"".join(
        der.encoded(
            der.SEQUENCE,
            der.encoded(der.INTEGER, bytes([number])) + der.encoded(0x0C, text.encode()),
        )
        for number, text in fields.items()
    )
    return der.encoded(files.TAGS[13], der.encoded(der.SEQUENCE, entries))


def _security_file() -> bytes:
    """Return DG14 with one entry: by which algorithm the chip signs."""
    info = der.encoded(
        der.SEQUENCE,
        der.encoded(der.OBJECT_ID, _ACTIVE_AUTHENTICATION)
        + der.encoded(der.INTEGER, b"\x01")
        + der.encoded(der.OBJECT_ID, _PLAIN_ECDSA_SHA256),
    )
    return der.encoded(files.TAGS[14], der.encoded(der.SET, info))


def _cms(payload: bytes, signer: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> bytes:
    certificate, _rest = decoder.decode(
        signer.public_bytes(serialization.Encoding.DER), asn1Spec=rfc5280.Certificate()
    )
    attributes = univ.SetOf(componentType=rfc5652.Attribute())
    attributes.extend(
        [
            _attribute(rfc5652.id_contentType, univ.ObjectIdentifier(security_object.CONTENT_TYPE)),
            _attribute(
                rfc5652.id_messageDigest, univ.OctetString(hashlib.sha256(payload).digest())
            ),
        ]
    )
    info = rfc5652.SignerInfo()
    info["version"] = 1
    info["sid"]["issuerAndSerialNumber"]["issuer"] = certificate["tbsCertificate"]["issuer"]
    info["sid"]["issuerAndSerialNumber"]["serialNumber"] = signer.serial_number
    info["digestAlgorithm"] = _algorithm(_SHA256)
    info["signedAttrs"].extend(attributes)
    info["signatureAlgorithm"] = _algorithm(_ECDSA_SHA256)
    info["signature"] = key.sign(encoder.encode(attributes), ec.ECDSA(hashes.SHA256()))
    signed = rfc5652.SignedData()
    signed["version"] = 3
    signed["digestAlgorithms"].append(_algorithm(_SHA256))
    signed["encapContentInfo"]["eContentType"] = security_object.CONTENT_TYPE
    signed["encapContentInfo"]["eContent"] = univ.OctetString(payload).subtype(
        explicitTag=tag.Tag(tag.tagClassContext, tag.tagFormatSimple, 0)
    )
    choice = rfc5652.CertificateChoices()
    choice["certificate"] = certificate
    signed["certificates"].append(choice)
    signed["signerInfos"].append(info)
    whole = rfc5652.ContentInfo()
    whole["contentType"] = rfc5652.id_signedData
    whole["content"] = encoder.encode(signed)
    encoded: bytes = encoder.encode(whole)
    return encoded


def _attribute(kind: Any, value: Any) -> Any:
    made = rfc5652.Attribute()
    made["attrType"] = kind
    made["attrValues"].append(encoder.encode(value))
    return made


def _algorithm(name: str) -> Any:
    made = rfc5280.AlgorithmIdentifier()
    made["algorithm"] = name
    return made


def _public(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _day(text: str) -> str:
    return f"{date.fromisoformat(text):%d/%m/%Y}"


def _keys_file(population: Path) -> Path:
    return population.with_name(f"{population.name}.issuer.pem")


def _opened(pem: bytes) -> CardIssuer:
    authority, signer = x509.load_pem_x509_certificates(pem)
    begins = b"-----BEGIN PRIVATE KEY-----"
    keys = [
        serialization.load_pem_private_key(begins + part, None) for part in pem.split(begins)[1:]
    ]
    authority_key, signer_key = (key for key in keys if isinstance(key, ec.EllipticCurvePrivateKey))
    return CardIssuer(authority, authority_key, signer, signer_key)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
