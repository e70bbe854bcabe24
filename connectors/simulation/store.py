"""The file that holds a simulated population: one SQLite database with a table a register.

Nobody in it exists. It is no part of the provider's database, and nothing in it is sealed.
"""

import json
import sqlite3
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

SCHEMA = """
CREATE TABLE person (number TEXT NOT NULL, name TEXT NOT NULL, name_key TEXT NOT NULL,
  birthdate TEXT NOT NULL, sex TEXT NOT NULL, province TEXT NOT NULL, commune TEXT NOT NULL,
  line TEXT NOT NULL, household INTEGER NOT NULL, marital TEXT NOT NULL, father TEXT, mother TEXT,
  spouse TEXT, children TEXT NOT NULL, died TEXT);
CREATE TABLE card (number TEXT NOT NULL, issued TEXT NOT NULL, expiry TEXT, withdrawn INTEGER NOT NULL);
CREATE TABLE insurance (number TEXT NOT NULL, insurance_number TEXT NOT NULL, status TEXT NOT NULL,
  health_card TEXT NOT NULL, valid_to TEXT NOT NULL, facility TEXT NOT NULL);
CREATE TABLE official (number TEXT NOT NULL, agency TEXT NOT NULL, position TEXT NOT NULL,
  rank TEXT NOT NULL, since TEXT NOT NULL);
CREATE TABLE foreigner (passport TEXT NOT NULL, country TEXT NOT NULL, document TEXT NOT NULL,
  document_expiry TEXT NOT NULL, mrz TEXT NOT NULL, surname TEXT NOT NULL, given_names TEXT NOT NULL,
  name TEXT NOT NULL, name_key TEXT NOT NULL, birthdate TEXT NOT NULL, sex TEXT NOT NULL,
  foreigner_number TEXT NOT NULL, residence_card TEXT NOT NULL, residence_kind TEXT NOT NULL,
  residence_expiry TEXT NOT NULL, province TEXT NOT NULL, commune TEXT NOT NULL,
  line TEXT NOT NULL);
CREATE TABLE enterprise (tax_code TEXT NOT NULL, name TEXT NOT NULL, name_key TEXT NOT NULL,
  form TEXT NOT NULL, founded TEXT NOT NULL, status TEXT NOT NULL, province TEXT NOT NULL,
  commune TEXT NOT NULL, line TEXT NOT NULL, joint INTEGER NOT NULL DEFAULT 0);
CREATE TABLE representative (tax_code TEXT NOT NULL, number TEXT NOT NULL, role TEXT NOT NULL,
  place INTEGER NOT NULL);
CREATE TABLE event (sequence INTEGER PRIMARY KEY AUTOINCREMENT, register TEXT NOT NULL,
  kind TEXT NOT NULL, number TEXT NOT NULL, at TEXT NOT NULL, detail TEXT NOT NULL);
"""
INDEXES = """
CREATE UNIQUE INDEX person_number ON person (number);
CREATE UNIQUE INDEX card_number ON card (number);
CREATE UNIQUE INDEX insurance_number ON insurance (number);
CREATE UNIQUE INDEX official_number ON official (number);
CREATE UNIQUE INDEX foreigner_passport ON foreigner (passport);
CREATE UNIQUE INDEX enterprise_tax_code ON enterprise (tax_code);
CREATE INDEX representative_tax_code ON representative (tax_code);
CREATE INDEX event_register ON event (register, sequence);
"""
_PATIENCE_SECONDS = 5.0


def name_key(name: str) -> str:
    """Return the spelling by which names are compared: one case, single spaces, composed letters."""
    return " ".join(unicodedata.normalize("NFC", name).casefold().split())


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the file for one piece of work, committed if it ends well.

    Raises:
        FileNotFoundError: there is no such file; it is not made by asking for it.
    """
    if not path.is_file():
        raise FileNotFoundError(path)
    db = sqlite3.connect(path, timeout=_PATIENCE_SECONDS)
    try:
        db.row_factory = sqlite3.Row
        with db:
            yield db
    finally:
        db.close()


def publish(
    db: sqlite3.Connection,
    register: str,
    kind: str,
    number: str,
    detail: dict[str, Any],
    at: datetime | None = None,
) -> int:
    """Write an event into a register's feed and return its sequence."""
    moment = (at or datetime.now(UTC)).astimezone(UTC).isoformat()
    cursor = db.execute(
        "INSERT INTO event (register, kind, number, at, detail) VALUES (?, ?, ?, ?, ?)",
        (register, kind, number, moment, json.dumps(detail, ensure_ascii=False)),
    )
    return int(cursor.lastrowid or 0)


def events(db: sqlite3.Connection, register: str, after: int, limit: int) -> list[dict[str, Any]]:
    """Return a register's events above a sequence, lowest first."""
    rows = db.execute(
        "SELECT sequence, kind, number, at, detail FROM event "
        "WHERE register = ? AND sequence > ? ORDER BY sequence LIMIT ?",
        (register, after, limit),
    )
    return [{**dict(row), "detail": json.loads(row["detail"])} for row in rows]
