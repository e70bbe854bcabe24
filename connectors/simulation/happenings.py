"""What happens to a simulated population: the registers' rows change, and their feeds tell of it."""

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from accounts.attributes import Source
from connectors.protocol import EventKind
from connectors.simulation.store import publish

_CARD_YEARS = 10
_Change = Callable[[sqlite3.Connection, str, tuple[str, ...]], dict[str, object]]


def happen(db: sqlite3.Connection, kind: EventKind, number: str, values: tuple[str, ...]) -> int:
    """Let something happen to whoever bears the number; return the event's sequence.

    ``values`` is the new number (``number-changed``) or the personal numbers of the new
    representatives (``representatives-changed``).

    Raises:
        ValueError: nobody bears the number, or the values do not fit the kind.
    """
    source, change = _CHANGES[kind]
    detail = change(db, number, values)
    return publish(db, source.value, kind.value, number, detail)


def _death(db: sqlite3.Connection, number: str, _values: tuple[str, ...]) -> dict[str, object]:
    today = datetime.now(UTC).date().isoformat()
    _one(db.execute("UPDATE person SET died = ? WHERE number = ?", (today, number)))
    return {"date": today}


def _number(db: sqlite3.Connection, number: str, values: tuple[str, ...]) -> dict[str, object]:
    (new,) = values
    if len(new) != 12 or not new.isdigit():
        raise ValueError("a personal number has 12 digits")
    try:
        _one(db.execute("UPDATE person SET number = ? WHERE number = ?", (new, number)))
    except sqlite3.IntegrityError as error:
        raise ValueError("somebody bears the new number already") from error
    for table in ("card", "insurance", "official", "representative"):
        db.execute(f"UPDATE {table} SET number = ? WHERE number = ?", (new, number))  # noqa: S608
    return {"number": new}


def _card(expiry_in: timedelta | None, withdrawn: bool) -> _Change:
    def change(db: sqlite3.Connection, number: str, _values: tuple[str, ...]) -> dict[str, object]:
        expiry = None
        if expiry_in is not None:
            expiry = (datetime.now(UTC) + expiry_in).date().isoformat()
        _one(
            db.execute(
                "UPDATE card SET expiry = coalesce(?, expiry), withdrawn = ? WHERE number = ?",
                (expiry, withdrawn, number),
            )
        )
        return {} if expiry is None else {"expiry": expiry}

    return change


def _residence(days: int) -> _Change:
    def change(db: sqlite3.Connection, number: str, _values: tuple[str, ...]) -> dict[str, object]:
        expiry = (datetime.now(UTC) + timedelta(days=days)).date().isoformat()
        _one(
            db.execute(
                "UPDATE foreigner SET residence_expiry = ? WHERE passport = ?", (expiry, number)
            )
        )
        return {"expiry": expiry}

    return change


def _dissolved(db: sqlite3.Connection, number: str, _values: tuple[str, ...]) -> dict[str, object]:
    _one(db.execute("UPDATE enterprise SET status = 'dissolved' WHERE tax_code = ?", (number,)))
    return {}


def _representatives(
    db: sqlite3.Connection, number: str, values: tuple[str, ...]
) -> dict[str, object]:
    if db.execute("SELECT 1 FROM enterprise WHERE tax_code = ?", (number,)).fetchone() is None:
        raise ValueError("nobody bears this number")
    for person in values:
        if db.execute("SELECT 1 FROM person WHERE number = ?", (person,)).fetchone() is None:
            raise ValueError("a representative is a person of the population")
    db.execute("DELETE FROM representative WHERE tax_code = ?", (number,))
    db.executemany(
        "INSERT INTO representative VALUES (?, ?, 'Giám đốc', ?)",
        [(number, person, place) for place, person in enumerate(values)],
    )
    return {"representatives": list(values)}


def _one(done: sqlite3.Cursor) -> None:
    if done.rowcount != 1:
        raise ValueError("nobody bears this number")


_CHANGES: dict[EventKind, tuple[Source, _Change]] = {
    EventKind.DEATH: (Source.POPULATION, _death),
    EventKind.NUMBER_CHANGED: (Source.POPULATION, _number),
    EventKind.CARD_EXPIRED: (Source.IDENTITY_CARDS, _card(timedelta(days=-1), withdrawn=False)),
    EventKind.CARD_WITHDRAWN: (Source.IDENTITY_CARDS, _card(None, withdrawn=True)),
    EventKind.CARD_ISSUED: (
        Source.IDENTITY_CARDS,
        _card(timedelta(days=365 * _CARD_YEARS), withdrawn=False),
    ),
    EventKind.RESIDENCE_ENDED: (Source.IMMIGRATION, _residence(-1)),
    EventKind.RESIDENCE_EXTENDED: (Source.IMMIGRATION, _residence(365)),
    EventKind.COMPANY_DISSOLVED: (Source.ENTERPRISES, _dissolved),
    EventKind.REPRESENTATIVES_CHANGED: (Source.ENTERPRISES, _representatives),
}
