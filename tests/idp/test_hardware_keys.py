"""Hardware keys: what a signed metadata file says, what an attestation proves, and what `phrh` claims."""

import base64
import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import cbor2
import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from accounts.authenticator_models import AuthenticatorModels, OlderMetadataError
from accounts.fido_metadata import Biometric, MetadataRefusedError, read_metadata
from tests.support.browser import Browser, as_json
from tests.support.phone import Phone, decoded, encoded
from tests.support.world import World

AAGUID = "2fc0579f-8113-47ea-b116-bb5a8db9202a"
OTHER = "11111111-2222-3333-4444-555555555555"


@pytest.fixture
def kind() -> str:
    return "sqlite"


@dataclass
class Authority:
    """Somebody who signs certificates, or metadata."""

    name: str
    now: datetime
    above: "Authority | None" = None
    is_ca: bool = True
    aaguid: str = ""
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def __post_init__(self) -> None:
        issuer = self.above or self
        builder = (
            x509.CertificateBuilder()
            .subject_name(_named(self.name))
            .issuer_name(_named(issuer.name))
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.now - timedelta(days=1))
            .not_valid_after(self.now + timedelta(days=400))
            .add_extension(x509.BasicConstraints(self.is_ca, None), critical=True)
        )
        if self.aaguid:
            value = b"\x04\x10" + bytes.fromhex(self.aaguid.replace("-", ""))
            oid = x509.ObjectIdentifier("1.3.6.1.4.1.45724.1.1.4")
            builder = builder.add_extension(x509.UnrecognizedExtension(oid, value), critical=False)
        self.certificate = builder.sign(issuer.key, hashes.SHA256())

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)


def _named(name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "VN"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Nhà sản xuất Mẫu"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "Authenticator Attestation"),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )


@dataclass
class Makers:
    """Who signs the metadata, and who makes keys of the model."""

    now: datetime

    def __post_init__(self) -> None:
        self.root = Authority("Gốc siêu dữ liệu", self.now)
        self.signer = Authority("Ký siêu dữ liệu", self.now, self.root, is_ca=False)
        self.maker = Authority("Gốc nhà sản xuất", self.now)
        self.attester = Authority("Khóa mẫu", self.now, self.maker, is_ca=False, aaguid=AAGUID)

    def blob(self, number: int = 7, **changes: Any) -> str:
        statement = {
            "description": "Khóa an ninh Mẫu",
            "keyProtection": changes.get("protection", ["hardware", "secure_element"]),
            "userVerificationDetails": changes.get("details", []),
            "attestationRootCertificates": [base64.b64encode(self.maker.der).decode()],
        }
        entry = {
            "aaguid": AAGUID,
            "metadataStatement": statement,
            "statusReports": [{"status": changes.get("status", "FIDO_CERTIFIED_L1")}],
        }
        document = {"no": number, "nextUpdate": "2030-01-01", "entries": [entry, {"aaid": "x"}]}
        chain = [base64.b64encode(self.signer.der).decode()]
        return jwt.encode(document, self.signer.key, "ES256", headers={"x5c": chain})


@pytest.fixture
def makers(world: World) -> Makers:
    return Makers(world.installation.clock())


def take_over(world: World, makers: Makers, **changes: Any) -> None:
    with world.transaction() as services:
        told = read_metadata(
            makers.blob(**changes), [makers.root.certificate], services.installation.clock()
        )
        AuthenticatorModels(services.db).replace(told)


def attested(
    phone: Phone, options: dict[str, Any], chain: list[Authority], aaguid: str = AAGUID
) -> dict[str, Any]:
    """Answer with a packed attestation (WebAuthn L3 §8.2) by the first of the chain."""
    made = phone.register(options)
    response = made["response"]
    auth_data = cbor2.loads(decoded(response["attestationObject"]))["authData"]
    auth_data = auth_data[:37] + bytes.fromhex(aaguid.replace("-", "")) + auth_data[53:]
    signed = auth_data + hashlib.sha256(decoded(response["clientDataJSON"])).digest()
    signature = chain[0].key.sign(signed, ec.ECDSA(hashes.SHA256()))
    statement = {"alg": -7, "sig": signature, "x5c": [one.der for one in chain]}
    response["attestationObject"] = encoded(
        cbor2.dumps({"fmt": "packed", "attStmt": statement, "authData": auth_data})
    )
    return made


def add_key(browser: Browser, world: World, chain: list[Authority], aaguid: str = AAGUID) -> Phone:
    key = Phone(world.issuer)
    options = as_json(browser.call("/me/passkeys/options"))["publicKey"]
    assert options["attestation"] == "direct"
    credential = attested(key, options, chain, aaguid)
    answer = browser.call("/me/passkeys", {"credential": credential, "name": "Khóa an ninh"})
    assert answer.status == 200, answer.text
    return key


def acr_by(world: World, key: Phone, wanted: str = "phrh phr") -> dict[str, Any]:
    browser = world.browser()
    assert browser.use_passkey(key).status == 200
    arrival = world.arrive("basic", "openid", browser=browser, acr_values=wanted)
    return arrival.tokens().claims


def test_an_attested_key_reaches_phrh_until_its_model_is_revoked(
    world: World, makers: Makers
) -> None:
    take_over(world, makers)
    browser = world.sign_in(how="passkey")
    key = add_key(browser, world, [makers.attester])
    assert "Hardware key" in browser.open("/me/passkeys").text
    claims = acr_by(world, key)
    assert (claims["acr"], "hwk" in claims["amr"]) == ("phrh", True)
    # Another passkey of the same person proves less.
    claims = acr_by(world, world.person().passkey, "phr")
    assert (claims["acr"], "hwk" in claims["amr"]) == ("phr", False)
    take_over(world, makers, number=8, status="USER_KEY_REMOTE_COMPROMISE")
    claims = acr_by(world, key)
    assert (claims["acr"], "hwk" in claims["amr"]) == ("phr", False)
    assert "Hardware key" not in browser.open("/me/passkeys").text


def test_a_step_up_to_hardware_is_asked_of_whoever_has_it_and_refused_to_others(
    world: World, makers: Makers
) -> None:
    claims = '{"id_token":{"acr":{"essential":true,"values":["phrh"]}}}'
    browser = world.sign_in(how="passkey")
    party = world.party("basic")
    attempt = party.begin("openid", claims=claims)
    assert party.error_from(attempt, browser.visit(attempt.url).location) == (
        "unmet_authentication_requirements"
    )
    take_over(world, makers)
    add_key(browser, world, [makers.attester])
    page = browser.visit(party.begin("openid", claims=claims).url)
    assert "data-passkey" in page.html


@pytest.mark.parametrize("how", ["foreign-root", "other-model", "self", "software"])
def test_what_is_not_proved_is_not_claimed(world: World, makers: Makers, how: str) -> None:
    take_over(world, makers, protection=["software"] if how == "software" else ["hardware"])
    browser = world.sign_in(how="passkey")
    if how == "software":
        # Nothing here could count as hardware, so browsers are not asked to tell a model.
        options = as_json(browser.call("/me/passkeys/options"))["publicKey"]
        assert options.get("attestation", "none") == "none"
        return
    stranger = Authority("Gốc lạ", makers.now)
    chain = {
        "foreign-root": [Authority("Khóa lạ", makers.now, stranger, is_ca=False, aaguid=AAGUID)],
        "other-model": [
            Authority("Khóa khác", makers.now, makers.maker, is_ca=False, aaguid=OTHER)
        ],
        "self": [Authority("Tự ký", makers.now, aaguid=AAGUID)],
    }[how]
    key = add_key(browser, world, chain)
    claims = acr_by(world, key, "phr")
    assert (claims["acr"], "hwk" in claims["amr"]) == ("phr", False)


@pytest.mark.parametrize("how", ["foreign-root", "altered", "expired", "unsigned", "no-ca", "text"])
def test_a_metadata_file_that_nobody_vouches_for_is_refused(makers: Makers, how: str) -> None:
    roots, now, blob = [makers.root.certificate], makers.now, makers.blob()
    if how == "foreign-root":
        roots = [Authority("Gốc lạ", now).certificate]
    elif how == "altered":
        head, body, signature = blob.split(".")
        blob = f"{head}.{body[:-4]}AAAA.{signature}"
    elif how == "expired":
        now += timedelta(days=401)
    elif how == "unsigned":
        blob = jwt.encode({"no": 1}, "", "none", headers={"x5c": []})
    elif how == "no-ca":
        below = Authority("Dưới", makers.now, makers.signer, is_ca=False)
        chain = [base64.b64encode(one.der).decode() for one in (below, makers.signer)]
        blob = jwt.encode({"no": 1}, below.key, "ES256", headers={"x5c": chain})
    else:
        blob = "not a file"
    with pytest.raises(MetadataRefusedError):
        read_metadata(blob, roots, now)


@pytest.mark.parametrize(
    ("alternatives", "expected"),
    [
        ([["fingerprint_internal"]], Biometric.FINGERPRINT),
        ([["fingerprint_internal", "passcode_external"]], Biometric.FINGERPRINT),
        ([["fingerprint_internal"], ["faceprint_internal"]], Biometric.OTHER),
        ([["fingerprint_internal"], ["passcode_external"]], Biometric.NONE),
        ([["fingerprint_internal"], ["presence_internal"]], Biometric.NONE),
        ([["pattern_internal"]], Biometric.NONE),
        ([[]], Biometric.NONE),
        ([], Biometric.NONE),
    ],
)
def test_only_a_model_without_any_other_way_in_is_a_biometric_one(
    makers: Makers, alternatives: list[list[str]], expected: Biometric
) -> None:
    details = [[{"userVerificationMethod": one} for one in many] for many in alternatives]
    told = read_metadata(makers.blob(details=details), [makers.root.certificate], makers.now)
    assert told.models[0].biometric is expected


def test_an_older_file_never_takes_a_newer_ones_place(world: World, makers: Makers) -> None:
    take_over(world, makers, number=8)
    with pytest.raises(OlderMetadataError):
        take_over(world, makers, number=7)


def test_the_command_takes_a_file_over(
    world: World, makers: Makers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.idp.test_cli import failed, told  # noqa: PLC0415
    from tests.support.stores import INSTALLATION_SECRET  # noqa: PLC0415

    (tmp_path / "root.pem").write_bytes(makers.root.certificate.public_bytes(Encoding.PEM))
    (tmp_path / "blob.jwt").write_text(makers.blob())
    (tmp_path / "secret").write_text(base64.b64encode(INSTALLATION_SECRET).decode())
    monkeypatch.setenv("SEN_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("SEN_DATABASE_URL", world.installation.settings.database_url)
    monkeypatch.setenv("SEN_ISSUER", world.issuer)
    file = str(tmp_path / "blob.jwt")
    assert "SEN_FIDO_ROOT_FILE" in failed("authenticators", "import-metadata", file)
    monkeypatch.setenv("SEN_FIDO_ROOT_FILE", str(tmp_path / "root.pem"))
    assert told("authenticators", "import-metadata", file).startswith("1 models;")
    (tmp_path / "blob.jwt").write_text("x")
    assert "refused" in failed("authenticators", "import-metadata", file)
