"""Statements of the hot path: SQLAlchemy Core, compiled once, run on the driver's own cursor.

A Core statement costs about ten times the driver's share in Python, most of it spent on deciding
anew what it decided before. Types, dialects and bound parameters stay SQLAlchemy's; only the
repetition is left out. See docs/decisions/0011.
"""

from collections import namedtuple
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql import ClauseElement
from sqlalchemy.types import TypeEngine

Processor = Callable[[Any], Any]
_CURSOR = "sen.cursor"


class Statement:
    """One statement, run within the transaction of the connection it is given.

    ``core`` may be a function from the dialect's name to a statement, where dialects differ.
    """

    def __init__(self, core: ClauseElement | Callable[[str], ClauseElement]) -> None:
        self._core = core
        self._compiled: dict[str, _Compiled] = {}

    def first(self, db: Connection, parameters: Mapping[str, Any]) -> Any:
        """Run and return the first row, or None; rows have attributes."""
        compiled = self._for(db)
        row = compiled.run(db, parameters).fetchone()
        return None if row is None else compiled.row(row)

    def all(self, db: Connection, parameters: Mapping[str, Any]) -> list[Any]:
        """Run and return every row."""
        compiled = self._for(db)
        return [compiled.row(row) for row in compiled.run(db, parameters).fetchall()]

    def change(self, db: Connection, parameters: Mapping[str, Any]) -> int:
        """Run and return how many rows were changed."""
        count: int = self._for(db).run(db, parameters).rowcount
        return count

    def _for(self, db: Connection) -> "_Compiled":
        name = db.dialect.name
        found = self._compiled.get(name)
        if found is None:
            core = self._core(name) if callable(self._core) else self._core
            found = self._compiled[name] = _Compiled(core, db)
        return found


class _Compiled:
    def __init__(self, core: ClauseElement, db: Connection) -> None:
        dialect = db.dialect
        compiled: Any = core.compile(dialect=dialect)
        self._sql = str(compiled)
        self._driver_error: type[Exception] = dialect.dbapi.Error  # type: ignore[union-attr]
        self._order: list[str] | None = compiled.positiontup
        self._fixed: dict[str, Any] = {}
        self._binders: list[tuple[str, Processor]] = []
        for name, bind in compiled.binds.items():
            processor = _processor(bind.type, dialect, "bind")
            if not bind.required and bind.value is not None:
                value = bind.effective_value
                self._fixed[name] = processor(value) if processor else value
            elif processor is not None:
                self._binders.append((name, processor))
        columns = _columns(core)
        self._names = [column.key for column in columns]
        self._readers = [
            (position, reader)
            for position, column in enumerate(columns)
            if (reader := _processor(column.type, dialect, "result")) is not None
        ]
        self._shape: Any = (
            namedtuple("Row", self._names, rename=True)  # noqa: PYI024 - the fields vary
            if columns
            else None
        )

    def run(self, db: Connection, parameters: Mapping[str, Any]) -> Any:
        if not db.in_transaction():
            db.begin()
        values = {**self._fixed, **parameters}
        for name, binder in self._binders:
            values[name] = binder(values[name])
        info = db.info
        cursor: Any = info.get(_CURSOR)
        if cursor is None:
            # One cursor a connection will do: each answer is read before the next question.
            cursor = info[_CURSOR] = db.connection.cursor()
        try:
            if self._order is None:
                cursor.execute(self._sql, values)
            else:
                cursor.execute(self._sql, [values[name] for name in self._order])
        except self._driver_error as error:
            # Callers know SQLAlchemy's errors only, and no parameter may appear in a text.
            raise DBAPIError.instance(
                self._sql, None, error, self._driver_error, hide_parameters=True
            ) from error
        return cursor

    def row(self, raw: Any) -> Any:
        values = list(raw)
        for position, reader in self._readers:
            values[position] = reader(values[position])
        return self._shape._make(values)


def _columns(core: Any) -> list[Any]:
    returning = getattr(core, "_returning", None)
    if returning:
        return list(returning)
    selected = getattr(core, "selected_columns", None)
    return [] if selected is None else list(selected)


def _processor(type_: TypeEngine[Any], dialect: Any, direction: str) -> Processor | None:
    known: Any = type_.dialect_impl(dialect)
    if direction == "bind":
        found: Processor | None = known.bind_processor(dialect)
    else:
        found = known.result_processor(dialect, None)
    return found
