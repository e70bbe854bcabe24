"""What each simulated register answers: the same rule as the real ones, over the generated file.

Name, birth date and number must all agree (Decree 70/2024 Art. 10), and only the fields asked for
come back.
"""

import base64
import sqlite3
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from accounts.attributes import Source
from connectors.simulation import particulars
from connectors.simulation.geography import residence
from connectors.simulation.portrait import portrait
from connectors.simulation.store import name_key

Row = sqlite3.Row
Found = dict[str, Any]


def look_up(db: sqlite3.Connection, source: Source, asked: Mapping[str, Any]) -> Found:
    """Answer a look-up in the register's own words.

    Raises:
        ValueError: the request is not one that this register takes.
    """
    number_field, find = _REGISTERS[source]
    fields = asked.get("fields")
    number = asked.get(number_field)
    if not isinstance(fields, list) or not fields or not isinstance(number, str) or not number:
        raise ValueError(f"{number_field} and fields are needed")
    known = find(db, asked)
    if known is None:
        return {"found": False}
    return {
        "found": True,
        number_field: number,
        "as_of": datetime.now(UTC).isoformat(timespec="seconds"),
        "fields": {name: known[name] for name in fields if known.get(name) is not None},
    }


def _agrees(row: Row, asked: Mapping[str, Any]) -> bool:
    named = (name_key(str(asked.get("full_name", ""))), asked.get("birth_date"))
    return named == (row["name_key"], row["birthdate"])


def _person(db: sqlite3.Connection, asked: Mapping[str, Any]) -> Row | None:
    row: Row | None = db.execute(
        "SELECT * FROM person WHERE number = ?", (asked["personal_number"],)
    ).fetchone()
    return row if row is not None and _agrees(row, asked) else None


def _population(db: sqlite3.Connection, asked: Mapping[str, Any]) -> Found | None:
    row = _person(db, asked)
    if row is None:
        return None
    names = row["name"].split()
    drawn = particulars.FIELDS.intersection(asked["fields"])
    return {
        **(particulars.of_person(db, row) if drawn else {}),
        "personal_number": row["number"],
        "full_name": row["name"],
        "surname": names[0],
        "middle_name": " ".join(names[1:-1]) or None,
        "given_name": names[-1],
        "birth_date": row["birthdate"],
        "sex": row["sex"],
        "nationalities": ["VNM"],
        "permanent_residence": residence(row["province"], row["commune"], row["line"]),
        "marital_status": row["marital"],
        "death_date": row["died"],
    }


def _identity_cards(db: sqlite3.Connection, asked: Mapping[str, Any]) -> Found | None:
    if _person(db, asked) is None:
        return None
    row = db.execute("SELECT * FROM card WHERE number = ?", (asked["personal_number"],)).fetchone()
    if row is None:
        return {}
    expired = row["expiry"] is not None and row["expiry"] < datetime.now(UTC).date().isoformat()
    state = "withdrawn" if row["withdrawn"] else "expired" if expired else "valid"
    card = {
        "number": row["number"],
        "issue": row["issued"],
        "expiry": row["expiry"],
        "state": state,
    }
    drawn = base64.b64encode(portrait(row["number"])).decode()
    return {"card": card, "portrait": f"data:image/png;base64,{drawn}"}


def _immigration(db: sqlite3.Connection, asked: Mapping[str, Any]) -> Found | None:
    row = db.execute("SELECT * FROM foreigner WHERE passport = ?", (asked["passport"],)).fetchone()
    if row is None or not _agrees(row, asked):
        return None
    return {
        **particulars.of_foreigner(row, _today()),
        "passport": row["passport"],
        "full_name": row["name"],
        "surname": row["surname"],
        "given_names": row["given_names"],
        "birth_date": row["birthdate"],
        "sex": row["sex"],
        "nationalities": [row["country"]],
        "residence": residence(row["province"], row["commune"], row["line"]),
        "travel_document": {
            "country": row["country"],
            "number": row["document"],
            "expiry": row["document_expiry"],
        },
        "mrz": row["mrz"].split("\n"),
        "foreigner_number": row["foreigner_number"],
        "residence_card": {
            "number": row["residence_card"],
            "kind": row["residence_kind"],
            "expiry": row["residence_expiry"],
        },
    }


def _enterprises(db: sqlite3.Connection, asked: Mapping[str, Any]) -> Found | None:
    row = db.execute("SELECT * FROM enterprise WHERE tax_code = ?", (asked["tax_code"],)).fetchone()
    if row is None or row["name_key"] != name_key(str(asked.get("name", ""))):
        return None
    representatives = db.execute(
        "SELECT person.number, person.name, role FROM representative "
        "JOIN person ON person.number = representative.number WHERE tax_code = ? ORDER BY place",
        (row["tax_code"],),
    ).fetchall()
    return {
        "tax_code": row["tax_code"],
        "name": row["name"],
        "form": row["form"],
        "status": row["status"],
        "founded": row["founded"],
        "head_office": residence(row["province"], row["commune"], row["line"]),
        "representatives": [{"name": one["name"], "role": one["role"]} for one in representatives],
        "representative_numbers": [one["number"] for one in representatives],
        "representatives_joint": bool(row["joint"]),
    }


def _social_insurance(db: sqlite3.Connection, asked: Mapping[str, Any]) -> Found | None:
    if _person(db, asked) is None:
        return None
    row = db.execute(
        "SELECT * FROM insurance WHERE number = ?", (asked["personal_number"],)
    ).fetchone()
    if row is None:
        return None
    return {
        **particulars.of_insured(row, _today()),
        "insurance_number": row["insurance_number"],
        "status": row["status"],
        "health_card": {
            "number": row["health_card"],
            "valid_to": row["valid_to"],
            "facility": row["facility"],
        },
    }


def _officials(db: sqlite3.Connection, asked: Mapping[str, Any]) -> Found | None:
    if _person(db, asked) is None:
        return None
    row = db.execute(
        "SELECT * FROM official WHERE number = ?",
        (asked["personal_number"],),
    ).fetchone()
    if row is None:
        return None
    service = {name: row[name] for name in ("agency", "position", "rank", "since")}
    return {"service": service, **particulars.of_official(row, _today())}


def _today() -> date:
    return datetime.now(UTC).date()


_REGISTERS: dict[
    Source, tuple[str, Callable[[sqlite3.Connection, Mapping[str, Any]], Found | None]]
] = {
    Source.POPULATION: ("personal_number", _population),
    Source.IDENTITY_CARDS: ("personal_number", _identity_cards),
    Source.IMMIGRATION: ("passport", _immigration),
    Source.ENTERPRISES: ("tax_code", _enterprises),
    Source.SOCIAL_INSURANCE: ("personal_number", _social_insurance),
    Source.OFFICIALS: ("personal_number", _officials),
}
