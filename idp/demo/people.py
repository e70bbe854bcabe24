"""Chooses the demo's people and their company from the simulated registers, for `sen seed`.

Nobody here exists: the registers' population is invented. Whoever was chosen once stays, however
old the documents become.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Find = Callable[[str, str, int], list[dict[str, Any]]]
"""Returns so many people of a kind and gender from the registers."""


@dataclass(frozen=True)
class Role:
    """Who somebody is in the demo, and how her account can be signed in to at first."""

    login: str
    what: dict[str, str]
    kind: str = "citizen"
    gender: str = "female"
    has_password: bool = False
    level: str = "02"
    office: str = ""
    """Where an officer serves, as citizens read it; nobody else has one."""
    duty: str = "desk"


NEWCOMER = Role("cong-dan-1", {"vi": "Công dân", "en": "Citizen"})
FOREIGNER = Role("nuoc-ngoai-1", {"vi": "Người nước ngoài", "en": "Foreigner"}, kind="foreigner")
DIRECTOR = Role(
    "giam-doc-1",
    {"vi": "Đại diện pháp luật", "en": "Legal representative"},
    kind="representative",
    gender="male",
)
CITIZEN = Role("cong-dan-2", {"vi": "Công dân", "en": "Citizen"}, has_password=True)
SECOND_CITIZEN = Role(
    "cong-dan-3", {"vi": "Công dân", "en": "Citizen"}, gender="male", has_password=True
)
OFFICER = Role(
    "can-bo-1",
    {"vi": "Cán bộ", "en": "Officer"},
    has_password=True,
    office="Công an phường Hồ Sen Mẫu",
)
BEGINNER = Role(
    "cong-dan-4",
    {"vi": "Công dân, mức độ 01", "en": "Citizen, level 01"},
    gender="male",
    has_password=True,
    level="01",
)
INSPECTOR = Role(
    "thanh-tra-1",
    {"vi": "Thanh tra bảo vệ dữ liệu", "en": "Data-protection inspector"},
    has_password=True,
    office="Cục An toàn dữ liệu Mẫu",
    duty="inspector",
)
ROLES = (NEWCOMER, FOREIGNER, DIRECTOR, CITIZEN, SECOND_CITIZEN, OFFICER, BEGINNER, INSPECTOR)


def choose(find: Find, credentials: dict[str, str]) -> dict[str, Any]:
    """Return the `people` and `organisations` of a seed document.

    `credentials` has a password or an activation code for each login; they come from chance.
    """
    people, organisations = [], []
    for serial, role in enumerate(ROLES):
        alike = [one for one in ROLES if (one.kind, one.gender) == (role.kind, role.gender)]
        person = dict(find(role.kind, role.gender, len(alike))[alike.index(role)])
        organisation = person.pop("organisation", None)
        if organisation is not None:
            organisations.append({**organisation, "legal_representatives": [role.login]})
        member = "password" if role.has_password else "activation_code"
        people.append({**person, **_own_word(role, serial), member: credentials[role.login]})
    return {"people": people, "organisations": organisations}


def _own_word(role: Role, serial: int) -> dict[str, Any]:
    """Return what the person told the provider herself, which no register knows."""
    return {
        "account_level": role.level,
        "login": role.login,
        "email": f"{role.login}@example.vn",
        # Numbers that are kept for fiction (Ofcom); Viet Nam keeps none.
        "phone_number": f"+447700900{serial:03}",
        "claims": {"zoneinfo": "Asia/Ho_Chi_Minh"},
    }
