"""What the simulated registers know of somebody besides their tables: drawn from the number alone.

The same person always gets the same answer, and the file stays as small as it is.
"""

import json
import sqlite3
import zlib
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from connectors.simulation.geography import PRESENT_CODE, PROVINCES, residence

Found = dict[str, Any]
_ETHNICITIES = ("kinh",) * 85 + ("tay", "thai", "muong", "khmer", "nung", "hmong", "dao", "hoa") * 2
_RELIGIONS = ("none",) * 70 + ("buddhist",) * 15 + ("catholic",) * 10 + ("caodai", "hoahao")
_BLOOD_GROUPS = ("O+",) * 42 + ("B+",) * 30 + ("A+",) * 21 + ("AB+",) * 5 + ("O-", "B-")
_SCHOOLS = ("Đại học Mẫu Hà Nội", "Học viện Hành chính Mẫu", "Đại học Luật Mẫu")
_RATINGS = ("good", "good", "excellent", "satisfactory")
_REACH = 20
FIELDS = frozenset(
    {
        "other_name",
        "former_number",
        "birth_place",
        "birth_registration_place",
        "home_town",
        "ethnicity",
        "religion",
        "blood_group",
        "temporary_residence",
        "current_residence",
        "parents",
        "spouse",
        "children",
        "household_members",
        "household_relation",
    }
)
"""The fields of the population register that are drawn here, and only when somebody asks."""


def of_person(db: sqlite3.Connection, row: sqlite3.Row) -> Found:
    """Return what the population register knows of a person besides what its table holds."""
    number = row["number"]
    home = residence(row["province"], row["commune"], row["line"])
    away = residence("01", "90001", f"{1 + _lot(number, 'line', 90)} Phố Tạm")
    is_away = _lot(number, "away", 20) == 0
    old_codes = tuple(PRESENT_CODE)
    born_in = _province(number[1:3], row["province"])
    return {
        "other_name": "Tí" if _lot(number, "other", 30) == 0 else None,
        "former_number": f"9{_lot(number, 'former', 100_000_000):08}"
        if row["birthdate"] < "1998"
        else None,
        "birth_place": born_in,
        "birth_registration_place": born_in,
        "home_town": _province(old_codes[_lot(number, "home", len(old_codes))], row["province"]),
        "ethnicity": _drawn(number, "ethnicity", _ETHNICITIES),
        "religion": _drawn(number, "religion", _RELIGIONS),
        "blood_group": _drawn(number, "blood", _BLOOD_GROUPS),
        "temporary_residence": away if is_away else None,
        "current_residence": away if is_away else home,
        **_family(db, row),
    }


def of_insured(row: sqlite3.Row, today: date) -> Found:
    """Return what social insurance knows besides what its table holds."""
    number, pays = row["number"], row["status"] == "contributing"
    begun = today.year - 1 - _lot(number, "begun", 15)
    employer = f"Công ty TNHH Mẫu số {1 + _lot(number, 'employer', 500)}"
    return {
        "employer": employer if pays else None,
        "contributions": [
            {"from": f"{begun}-01-01", "to": today.replace(day=1).isoformat(), "employer": employer}
        ]
        if pays
        else [],
        "pension": "receiving" if row["status"] == "pension" else "none",
    }


def of_official(row: sqlite3.Row, today: date) -> Found:
    """Return what the officials' database knows besides what its table holds."""
    number = row["number"]
    return {
        "qualifications": [
            {"degree": "bachelor", "school": _drawn(number, "school", _SCHOOLS)},
        ],
        "assessments": [
            {"year": str(year), "rating": _drawn(number, f"rating{year}", _RATINGS)}
            for year in (today.year - 2, today.year - 1)
        ],
        "discipline": [{"year": str(today.year - 3), "measure": "reprimand"}]
        if _lot(number, "discipline", 40) == 0
        else [],
    }


def of_foreigner(row: sqlite3.Row, today: date) -> Found:
    """Return what immigration knows besides what its table holds."""
    entered = today - timedelta(days=5 + _lot(row["passport"], "entered", 300))
    return {
        "visa": {"kind": "exempt-by-residence-card", "valid_to": row["residence_expiry"]},
        "last_entry": {"date": entered.isoformat(), "gate": "Cửa khẩu Sân bay Mẫu"},
    }


def _family(db: sqlite3.Connection, row: sqlite3.Row) -> Found:
    members = db.execute(
        # A household was written in one piece, so its rows lie side by side.
        "SELECT number, name FROM person, (SELECT rowid AS here FROM person WHERE number = :number) "
        "WHERE person.rowid BETWEEN here - :reach AND here + :reach "
        "AND household = :household AND household != 0 AND number != :number ORDER BY birthdate",
        {"number": row["number"], "household": row["household"], "reach": _REACH},
    )
    return {
        "parents": [
            _relative(db, row[relation], relation)
            for relation in ("father", "mother")
            if row[relation]
        ],
        "spouse": [_relative(db, row["spouse"], "spouse")] if row["spouse"] else [],
        "children": [_relative(db, number, "child") for number in json.loads(row["children"])],
        "household_members": [
            {"name": one["name"], "personal_number": one["number"], "relation": "member"}
            for one in members.fetchall()
        ],
        "household_relation": "member" if row["father"] or row["mother"] else "head",
    }


def _relative(db: sqlite3.Connection, number: str, relation: str) -> Found:
    known = db.execute("SELECT name FROM person WHERE number = ?", (number,)).fetchone()
    named = {"name": known["name"]} if known is not None else {}
    return {**named, "relation": relation, "personal_number": number}


def _province(code: str, otherwise: str) -> str:
    return PROVINCES[PRESENT_CODE.get(code, otherwise)][0]


def _drawn(number: str, what: str, choices: Sequence[str]) -> str:
    return choices[_lot(number, what, len(choices))]


def _lot(number: str, what: str, most: int) -> int:
    """Return a number below ``most`` that depends on the person and the matter only."""
    return zlib.crc32(f"{what}/{number}".encode()) % most
