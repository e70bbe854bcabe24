"""Who lives in a simulated population, written the way a seed file writes people."""

import sqlite3
from datetime import UTC, datetime
from typing import Any, Literal

from connectors.simulation.geography import residence

Kind = Literal["citizen", "foreigner", "representative"]
KINDS: tuple[Kind, ...] = ("citizen", "foreigner", "representative")
_SEX = {"F": "female", "M": "male"}
# Grown up, alive, with a valid card, and at the head of no enterprise.
_CITIZENS = """
SELECT person.* FROM person JOIN card USING (number)
WHERE died IS NULL AND NOT withdrawn AND coalesce(expiry, '9999') > :soon AND birthdate < :adult
  AND sex LIKE :sex AND number NOT IN (SELECT number FROM representative)
ORDER BY person.rowid LIMIT :limit
"""
_REPRESENTATIVES = """
SELECT person.*, enterprise.tax_code, enterprise.name AS enterprise_name
FROM enterprise JOIN representative USING (tax_code) JOIN person USING (number) JOIN card USING (number)
WHERE status = 'active' AND died IS NULL AND NOT withdrawn AND coalesce(expiry, '9999') > :soon
  AND sex LIKE :sex
  AND (SELECT count(*) FROM representative r WHERE r.tax_code = enterprise.tax_code) = 1
  AND (SELECT count(*) FROM representative r WHERE r.number = person.number) = 1
ORDER BY enterprise.rowid LIMIT :limit
"""
_FOREIGNERS = """
SELECT * FROM foreigner WHERE residence_expiry > :soon AND sex LIKE :sex ORDER BY rowid LIMIT :limit
"""


def people(
    db: sqlite3.Connection, kind: Kind, *, limit: int, gender: str | None = None
) -> list[dict[str, Any]]:
    """Return so many people of a kind whose documents are good for another half year.

    A representative, alone at the head of an active enterprise, comes with its tax code and name.
    """
    now = datetime.now(UTC).date()
    statement = {
        "citizen": _CITIZENS,
        "representative": _REPRESENTATIVES,
        "foreigner": _FOREIGNERS,
    }[kind]
    rows = db.execute(
        statement,
        {
            "soon": now.replace(year=now.year + 1, day=1).isoformat(),
            "adult": now.replace(year=now.year - 20, day=1).isoformat(),
            "sex": {"female": "F", "male": "M"}.get(gender or "", "_"),
            "limit": limit,
        },
    ).fetchall()
    return [_foreigner(row) if kind == "foreigner" else _citizen(row) for row in rows]


def _citizen(row: sqlite3.Row) -> dict[str, Any]:
    person = {
        "kind": "citizen",
        "personal_number": row["number"],
        "nationalities": ["VNM"],
        **_common(row),
    }
    if "tax_code" in row.keys():  # noqa: SIM118 - a row is no mapping: `in` looks at its values
        person["organisation"] = {"tax_code": row["tax_code"], "name": row["enterprise_name"]}
    return person


def _foreigner(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "kind": "foreigner",
        "passport": {
            "country": row["country"],
            "number": row["document"],
            "expiry": row["document_expiry"],
        },
        "residence_card": {"number": row["residence_card"], "expiry": row["residence_expiry"]},
        "nationalities": [row["country"]],
        "family_name": row["surname"],
        "given_name": row["given_names"],
        **_common(row),
    }


def _common(row: sqlite3.Row) -> dict[str, Any]:
    home = residence(row["province"], row["commune"], row["line"])
    parts = (home["line"], home["commune"], home["province"], "Việt Nam")
    return {
        "name": row["name"],
        "birthdate": row["birthdate"],
        "gender": _SEX[row["sex"]],
        "address": {
            "formatted": ", ".join(parts),
            "street_address": home["line"],
            "locality": home["commune"],
            "region": home["province"],
            "country": "VN",
        },
    }
