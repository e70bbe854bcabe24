"""Invented people for the stories: each test takes somebody nobody has met before.

Personal numbers begin with 999, which no province bears.
"""

import base64
import secrets
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from accounts.errors import BadIdentifierError
from accounts.subject import check_tax_code

FAMILY_NAMES = ("Nguyễn", "Trần", "Lê", "Phạm", "Hoàng", "Vũ", "Đặng")
GIVEN_NAMES = ("Thị Búp Sen", "Thị Cánh Sen", "Thị Nhụy Sen", "Thị Hồng Sen", "Thị Ngó Sen")
ROLES = ("newcomer", "password", "passkey", "foreigner", "director")
HOW_MANY = {"newcomer": 12, "password": 16, "passkey": 16, "foreigner": 4, "director": 6}
"""How many of each role are seeded together; more are seeded when they run out."""

_serials = count(1)


@dataclass
class Passkey:
    """A passkey made before the story begins; a virtual authenticator can hold it too."""

    credential_id: bytes
    user_handle: bytes
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def make(cls) -> "Passkey":
        return cls(
            secrets.token_bytes(16),
            secrets.token_bytes(32),
            ec.generate_private_key(ec.SECP256R1()),
        )

    def seeded(self) -> dict[str, Any]:
        """Return it as a seed file states it."""
        numbers = self.key.public_key().public_numbers()
        return {
            "credential_id": _base64url(self.credential_id),
            "user_handle": _base64url(self.user_handle),
            "public_key_jwk": {
                "kty": "EC",
                "crv": "P-256",
                "x": _base64url(numbers.x.to_bytes(32, "big")),
                "y": _base64url(numbers.y.to_bytes(32, "big")),
            },
            "sign_count": 0,
        }

    def for_authenticator(self) -> dict[str, Any]:
        """Return it as the browser's debugging protocol takes it."""
        private = self.key.private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return {
            "credentialId": base64.b64encode(self.credential_id).decode(),
            "isResidentCredential": True,
            "rpId": "localhost",
            "privateKey": base64.b64encode(private).decode(),
            "userHandle": base64.b64encode(self.user_handle).decode(),
            "signCount": 1,
        }


class Person:
    """Somebody with an account, and what she signs in with."""

    def __init__(self, role: str) -> None:
        serial = next(_serials)
        self.role = role
        self.login = f"{role}-{serial}"
        self.is_foreigner = role == "foreigner"
        given = GIVEN_NAMES[serial % len(GIVEN_NAMES)]
        self.name = f"{FAMILY_NAMES[serial % len(FAMILY_NAMES)]} {given}"
        if self.is_foreigner:
            self.name = "Camille Nénuphar"
        self.number = "" if self.is_foreigner else f"999198{serial:06}"
        self.passport = f"99ZZ{serial:05}"
        self.card = f"VN{serial:09}"
        self.birthdate = f"198{serial % 10}-{serial % 12 + 1:02}-{serial % 28 + 1:02}"
        self.email = f"{self.login}@example.vn"
        self.phone_number = f"+447700900{serial % 1000:03}"
        self.address = f"{serial} Phố Hoa Sen, Phường Hồ Sen Mẫu, Hà Nội, Việt Nam"
        self.activation_code = f"SEN{serial:05}-{secrets.token_hex(4).upper()}"
        self.password = f"bốn lá sen xanh {serial}"
        self.passkey = Passkey.make() if role in {"passkey", "director"} else None
        self.company = f"Công ty TNHH Sen Mẫu {serial}"
        self.serial = serial

    @cached_property
    def tax_code(self) -> str:
        """The tax code of the company that a director represents."""
        return _possible_tax_code(f"99{self.serial:06}")

    def document(self) -> dict[str, Any]:
        """Return her as a seed file holds her."""
        document: dict[str, Any] = {
            "kind": "foreigner" if self.is_foreigner else "citizen",
            "name": self.name,
            "birthdate": self.birthdate,
            "gender": "female",
            "account_level": "02",
            "login": self.login,
            "email": self.email,
            "phone_number": self.phone_number,
            "address": {"formatted": self.address, "country": "VN"},
        }
        if self.is_foreigner:
            document["passport"] = {
                "country": "FRA",
                "number": self.passport,
                "expiry": "2035-06-30",
            }
            document["residence_card"] = {"number": self.card, "expiry": "2034-12-31"}
        else:
            document["personal_number"] = self.number
        if self.passkey is not None:
            document["passkeys"] = [self.passkey.seeded()]
        elif self.role == "password":
            document["password"] = self.password
        else:
            document["activation_code"] = self.activation_code
        return document


def gather() -> dict[str, list[Person]]:
    """Return new people of every role."""
    return {role: [Person(role) for _ in range(HOW_MANY[role])] for role in ROLES}


def seed_document(people: dict[str, list[Person]]) -> dict[str, Any]:
    """Return the `people` and `organisations` of a seed file."""
    return {
        "people": [person.document() for group in people.values() for person in group],
        "organisations": [
            {
                "tax_code": director.tax_code,
                "name": director.company,
                "legal_representatives": [director.login],
            }
            for director in people["director"]
        ],
    }


def _base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _possible_tax_code(stem: str) -> str:
    """Return the stem of eight digits with a ninth that has a check digit, and that."""
    for last in range(100):
        code = f"{stem}{last:02}"
        try:
            check_tax_code(code)
        except BadIdentifierError:
            continue
        return code
    raise ValueError(stem)
