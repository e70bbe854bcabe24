"""Invents the people and organisations of the demo, and writes them down for `sen seed`.

Nobody here exists: the given names are parts of a lotus, and the numbers have serials that no
register issues. The same seed always gives the same people.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

FAMILY_NAMES = ("Nguyễn", "Trần", "Lê", "Phạm", "Hoàng", "Phan", "Vũ", "Đặng", "Bùi", "Đỗ")
GIVEN_NAMES = {
    "female": ("Thị Búp Sen", "Thị Cánh Sen", "Thị Nhụy Sen", "Thị Hồng Sen"),
    "male": ("Văn Đài Sen", "Văn Ngó Sen", "Văn Lá Sen", "Văn Hạt Sen"),
}
FOREIGN_NAMES = ("Camille Nénuphar", "Margot Nymphéa", "Colette Lotus")
COMPANIES = ("Công ty TNHH Sen Hồ Mẫu", "Công ty Cổ phần Sen Ao Mẫu", "Công ty TNHH Sen Đồng Mẫu")
STREETS = ("Phố Hoa Sen", "Đường Lá Sen", "Ngõ Đầm Sen")
# The province's code in personal numbers, and an invented ward with its province for addresses.
PLACES = (
    ("001", "Phường Hồ Sen Mẫu", "Hà Nội"),
    ("048", "Phường Bến Sen Mẫu", "Đà Nẵng"),
    ("079", "Phường Đầm Sen Mẫu", "Thành phố Hồ Chí Minh"),
)
TAX_CODE_WEIGHTS = (31, 29, 23, 19, 17, 13, 7, 5, 3)


@dataclass(frozen=True)
class Role:
    """Who somebody is in the demo, and how her account can be signed in to at first."""

    login: str
    what: dict[str, str]
    gender: str = "female"
    is_foreigner: bool = False
    has_password: bool = False


NEWCOMER = Role("cong-dan-1", {"vi": "Công dân", "en": "Citizen"})
FOREIGNER = Role("nuoc-ngoai-1", {"vi": "Người nước ngoài", "en": "Foreigner"}, is_foreigner=True)
DIRECTOR = Role(
    "giam-doc-1", {"vi": "Đại diện pháp luật", "en": "Legal representative"}, gender="male"
)
CITIZEN = Role("cong-dan-2", {"vi": "Công dân", "en": "Citizen"}, has_password=True)
SECOND_CITIZEN = Role(
    "cong-dan-3", {"vi": "Công dân", "en": "Citizen"}, gender="male", has_password=True
)
ROLES = (NEWCOMER, FOREIGNER, DIRECTOR, CITIZEN, SECOND_CITIZEN)


def invent(seed: str, credentials: dict[str, str]) -> dict[str, Any]:
    """Return the `people` and `organisations` of a seed document.

    `credentials` has a password or an activation code for each login; they come from chance,
    never from the seed.
    """
    people = []
    for serial, role in enumerate(ROLES):
        make = _foreigner if role.is_foreigner else _citizen
        person = make(_Choice(f"{seed}/{role.login}"), role, serial)
        member = "password" if role.has_password else "activation_code"
        person[member] = credentials[role.login]
        people.append(person)
    company = {
        "tax_code": _tax_code(_Choice(f"{seed}/company")),
        "name": _Choice(f"{seed}/company").of(COMPANIES),
        "legal_representatives": [DIRECTOR.login],
    }
    return {"people": people, "organisations": [company]}


class _Choice:
    """Chooses by a label, so that adding a person changes none of the others."""

    def __init__(self, label: str) -> None:
        self._label = label

    def of(self, choices: tuple[str, ...]) -> str:
        return choices[self.number(choices[0], len(choices))]

    def number(self, about: str, below: int) -> int:
        digest = hashlib.sha256(f"{self._label}/{about}".encode()).digest()
        return int.from_bytes(digest[:8], "big") % below


def _citizen(choice: _Choice, role: Role, serial: int) -> dict[str, Any]:
    province, ward, region = PLACES[choice.number("place", len(PLACES))]
    birthdate = _birthdate(choice)
    name = f"{choice.of(FAMILY_NAMES)} {choice.of(GIVEN_NAMES[role.gender])}"
    # Three digits of the province, one of century and sex, two of the year, six of a serial.
    century_and_sex = 1 if role.gender == "female" else 0
    number = f"{province}{century_and_sex}{birthdate[2:4]}9999{serial:02}"
    return {
        "kind": "citizen",
        "personal_number": number,
        "nationalities": ["VNM"],
        **_common(choice, role, serial, name, birthdate),
        "address": _address(choice, ward, region),
    }


def _foreigner(choice: _Choice, role: Role, serial: int) -> dict[str, Any]:
    _, ward, region = PLACES[choice.number("place", len(PLACES))]
    name = choice.of(FOREIGN_NAMES)
    return {
        "kind": "foreigner",
        "passport": {"country": "FRA", "number": f"99ZZ999{serial:02}", "expiry": "2035-06-30"},
        "residence_card": {"number": f"VN9999999{serial:02}", "expiry": "2034-12-31"},
        "nationalities": ["FRA"],
        **_common(choice, role, serial, name, _birthdate(choice)),
        "address": _address(choice, ward, region),
    }


def _common(choice: _Choice, role: Role, serial: int, name: str, birthdate: str) -> dict[str, Any]:
    return {
        "name": name,
        "birthdate": birthdate,
        "gender": role.gender,
        "account_level": "02",
        "login": role.login,
        "email": f"{role.login}@example.vn",
        # No operator of Vietnam has numbers that begin with 00.
        "phone_number": f"+84009999{choice.number('phone', 10)}{serial:02}",
        "claims": {"nickname": name.rsplit(maxsplit=1)[-1], "zoneinfo": "Asia/Ho_Chi_Minh"},
    }


def _address(choice: _Choice, ward: str, region: str) -> dict[str, str]:
    street = f"{choice.number('house', 200) + 1} {choice.of(STREETS)}"
    return {
        "formatted": f"{street}, {ward}, {region}, Việt Nam",
        "street_address": street,
        "locality": ward,
        "region": region,
        "country": "VN",
    }


def _birthdate(choice: _Choice) -> str:
    year = 1960 + choice.number("year", 40)
    return f"{year}-{choice.number('month', 12) + 1:02}-{choice.number('day', 28) + 1:02}"


def _tax_code(choice: _Choice) -> str:
    """Return a tax code with a serial at the end of Hanoi's range, and its check digit."""
    first = choice.number("tax code", 10)
    for last in range(first, first + 10):
        body = f"01999999{last % 10}"
        weighted = sum(w * int(d) for w, d in zip(TAX_CODE_WEIGHTS, body, strict=True))
        check = 10 - weighted % 11
        if check <= 9:
            return f"{body}{check}"
    raise AssertionError("of ten numbers in a row at most one has no check digit")
