"""The people, organisations and relying parties of the tests: all invented, all seeded.

Personal numbers begin with 999, which no province bears.
"""

from dataclasses import dataclass, field
from typing import Any

from joserfc.jwk import Key

from accounts.errors import BadIdentifierError
from accounts.subject import check_tax_code
from tests.support.phone import Phone
from tests.support.relying_party import new_key

ISSUER = "https://id.sen.example"
SECRET = "a-test-secret-of-32-characters-xx"


def possible_tax_code(stem: str) -> str:
    """Return the stem of nine digits with its check digit."""
    for digit in "0123456789":
        try:
            check_tax_code(stem + digit)
        except BadIdentifierError:
            continue
        return stem + digit
    raise ValueError(stem)


TAX_CODE = possible_tax_code("999000001")
COMPANY = "Công ty Hoa Sen Mẫu"


@dataclass
class Person:
    """Somebody with an account, and what she signs in with."""

    login: str
    name: str
    birthdate: str
    password: str = ""
    number: str = ""
    level: str = "02"
    phone: Phone | None = None
    seed: dict[str, Any] = field(default_factory=dict)

    @property
    def passkey(self) -> Phone:
        assert self.phone is not None
        return self.phone

    def document(self) -> dict[str, Any]:
        """Return the person as a seed file holds her."""
        document: dict[str, Any] = {
            "kind": "citizen",
            "name": self.name,
            "birthdate": self.birthdate,
            "login": self.login,
            "account_level": self.level,
            **self.seed,
        }
        if self.number:
            document["personal_number"] = self.number
        if self.password:
            document["password"] = self.password
        if self.phone is not None:
            document["passkeys"] = [self.phone.seeded()]
        return document


@dataclass(frozen=True)
class Cast:
    """Everybody, with the keys that their phones and servers hold."""

    issuer: str
    people: dict[str, Person]
    relying_parties: dict[str, dict[str, Any]]
    keys: dict[str, Key]

    def seed_document(self) -> dict[str, Any]:
        return {
            "relying_parties": list(self.relying_parties.values()),
            "people": [person.document() for person in self.people.values()],
            "organisations": [
                {"tax_code": TAX_CODE, "name": COMPANY, "legal_representatives": ["lan"]}
            ],
        }


def make(issuer: str = ISSUER) -> Cast:
    """Return a fresh cast for an installation at the issuer."""
    key = new_key()
    return Cast(issuer, _people(issuer), _relying_parties(key), {"bank": key})


def _people(issuer: str) -> dict[str, Person]:
    people = [
        Person(
            "lan",
            "Nguyễn Thị Hương Lan",
            "1990-04-12",
            password="correct horse battery",
            number="999190000001",
            phone=Phone(issuer),
            seed={
                "gender": "female",
                "email": "lan@example.vn",
                "email_verified": True,
                "phone_number": "+84 900 000 001",
                "phone_number_verified": False,
                "address": {
                    "formatted": "1 Phố Mẫu, Hà Nội",
                    "locality": "Hà Nội",
                    "country": "VN",
                },
                "claims": {
                    "nickname": "Lan",
                    "preferred_username": "lan",
                    "profile": "https://example.vn/lan",
                    "picture": "https://example.vn/lan.png",
                    "website": "https://lan.example.vn",
                    "zoneinfo": "Asia/Ho_Chi_Minh",
                    "locale": "vi",
                },
            },
        ),
        Person(
            "minh",
            "Trần Văn Minh",
            "1985-11-30",
            password="staple of another kind",
            number="999085000002",
            phone=Phone(issuer),
            seed={"gender": "male", "email": "minh@example.vn"},
        ),
        Person(
            "hoa",
            "Lê Thị Hoa",
            "2001-02-28",
            password="a password of level one",
            number="999301000003",
            level="01",
        ),
        Person(
            "jean",
            "Jean Exemple",
            "1979-07-14",
            password="baguette bien croustillante",
            seed={
                "kind": "foreigner",
                "passport": {"country": "FRA", "number": "X0000001", "expiry": "2039-01-01"},
                "residence_card": {"number": "TC-000001", "expiry": "2038-01-01"},
            },
        ),
        Person(
            "joao",
            "João Exemplo",
            "1982-03-03",
            password="pastel de nata quente",
            seed={
                "kind": "foreigner",
                "passport": {"country": "PRT", "number": "X0000001", "expiry": "2039-01-01"},
                "residence_card": {"number": "TC-000002", "expiry": "2038-01-01"},
            },
        ),
        Person(
            "nga",
            "Bùi Thị Nga",
            "1993-06-05",
            number="999193000006",
            phone=Phone(issuer),
        ),
        Person(
            "tam",
            "Phạm Minh Tâm",
            "1969-09-02",
            number="999069000004",
            seed={"activation_code": "SEN-2345-6789"},
        ),
    ]
    return {person.login: person for person in people}


ALL_SCOPES = (
    "openid profile email address phone name birth pid contact residence "
    "foreigner organization represent offline_access "
    "documents family origin insurance civil_service"
)


def _relying_parties(bank_key: Key) -> dict[str, dict[str, Any]]:
    def web(client_id: str, name: str, **members: Any) -> dict[str, Any]:
        return {
            "client_id": client_id,
            "client_name": name,
            "redirect_uris": [f"https://{client_id}.example/callback"],
            "post_logout_redirect_uris": [f"https://{client_id}.example/bye"],
            "scope": ALL_SCOPES,
            "purpose": "public-service",
            "client_secret": SECRET,
            **members,
        }

    parties = [
        # Everything an agency can have.
        web(
            "portal",
            "Cổng dịch vụ Mẫu",
            **{"client_name#en": "Sample service portal"},
            require_pkce=True,
            representation_aware=True,
        ),
        # A certification suite's client: RS256, no PKCE demanded, two redirect URIs.
        web(
            "basic",
            "Kiểm thử cơ bản",
            id_token_signed_response_alg="RS256",
            token_endpoint_auth_method="client_secret_basic",
            redirect_uris=["https://basic.example/callback", "https://basic.example/two?kept=1"],
        ),
        web(
            "clinic",
            "Phòng khám Mẫu",
            id_token_signed_response_alg="RS256",
            token_endpoint_auth_method="client_secret_post",
            purpose="healthcare",
            scope="openid profile email address phone offline_access",
        ),
        web(
            "bank",
            "Ngân hàng Mẫu",
            id_token_signed_response_alg="PS256",
            token_endpoint_auth_method="private_key_jwt",
            purpose="banking",
            client_secret=None,
            jwks={"keys": [bank_key.as_dict(private=False)]},
        ),
        web(
            "app",
            "Ứng dụng Mẫu",
            token_endpoint_auth_method="none",
            application_type="native",
            client_secret=None,
            redirect_uris=["http://127.0.0.1/callback", "vn.example.app:/callback"],
            scope="openid name offline_access",
        ),
        # Two of one sector, and one that may not refresh.
        web("tax", "Thuế Mẫu", sector_identifier="finance.example", scope="openid name"),
        web(
            "customs",
            "Hải quan Mẫu",
            sector_identifier="finance.example",
            scope="openid name offline_access",
            grant_types=["authorization_code"],
        ),
    ]
    return {party["client_id"]: party for party in parties}
