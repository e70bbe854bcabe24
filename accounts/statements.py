"""Statements of the hot path: SQLAlchemy Core, compiled once, run on the driver itself.

A Core statement costs about ten times the driver's share in Python, most of it spent on deciding
anew what it decided before; and psycopg's cursor costs several times libpq's own call. Tables,
dialects and types stay SQLAlchemy's; only the repetition is left out. See docs/decisions/0011.
"""

import hashlib
import re
from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any, Protocol

import orjson
from psycopg import Error as PsycopgError
from psycopg import errors as psycopg_errors
from psycopg.pq import ExecStatus
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Integer,
    LargeBinary,
    String,
    Table,
    TableValuedAlias,
    Text,
    bindparam,
    cast,
    func,
    insert,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql import ClauseElement
from sqlalchemy.types import TypeEngine

from accounts.schema import Identifier, UTCDateTime
from accounts.together import Call, NotTogetherError, pipelined

Core = ClauseElement | Callable[[str], ClauseElement]


STANDS_ALONE = "statements_alone"
"""The execution option of connections on which each statement is a transaction of its own."""
TOGETHER = "statements_together"
"""The execution option of such connections that names what runs their statements together with those
of other threads: one ``Together`` for those that read, and one for those that write.
"""


class NeedsTransactionError(Exception):
    """A statement that must not be a transaction of its own was about to become one."""


def stands_alone(db: Connection) -> bool:
    """True when each statement on the connection is a transaction of its own."""
    return bool(db.get_execution_options().get(STANDS_ALONE))


def given(column: Column[Any], prefix: str = "") -> ColumnElement[Any]:
    """Return a parameter of the column's name and type, for the list of a SELECT.

    Texts are of no length there: a cast to VARCHAR(n) would cut what is longer, in silence.
    """
    type_ = Text() if isinstance(column.type, String) else column.type
    return cast(bindparam(f"{prefix}{column.name}", type_=type_), type_)


def rows_of_lists(columns: Mapping[str, TypeEngine[Any]]) -> TableValuedAlias:
    """Return rows to join, on PostgreSQL alone; each column is a parameter of its name, as ``listed`` spells
    it: psycopg looks at each value of a list several times.
    """
    lists = (
        cast(bindparam(column, type_=Text()), ARRAY(type_)) for column, type_ in columns.items()
    )
    return func.unnest(*lists).table_valued(*columns).render_derived()


def listed(values: Iterable[object]) -> str:
    """Return PostgreSQL's spelling of a list of values that need no quotes, or have them."""
    return f"{{{','.join(map(str, values))}}}"


class _Compiled(Protocol):
    def rows(self, db: Connection, parameters: Mapping[str, Any]) -> list[Any]: ...

    def change(self, db: Connection, parameters: Mapping[str, Any]) -> int: ...


class Statement:
    """One statement, run within the transaction of the connection it is given.

    ``core`` may be a function from the dialect's name to a statement, where dialects differ. One
    that writes runs on a connection without transactions only if it says that it is ``whole``:
    a unit of work in itself; two with the same value of the parameter ``apart`` do not run together.
    PostgreSQL plans one whose ``plan_kept`` once a connection, without knowing any parameter.
    """

    def __init__(
        self, core: Core, *, whole: bool = False, apart: str = "", plan_kept: bool = False
    ) -> None:
        self._core = core
        self._whole = whole
        self._apart = apart
        self._plan_kept = plan_kept
        self._writes = False
        self._compiled: dict[str, _Compiled] = {}

    def first(self, db: Connection, parameters: Mapping[str, Any]) -> Any:
        """Run and return the first row, or None; rows have attributes."""
        rows = self._for(db).rows(db, parameters)
        return rows[0] if rows else None

    def all(self, db: Connection, parameters: Mapping[str, Any]) -> list[Any]:
        """Run and return every row."""
        return self._for(db).rows(db, parameters)

    def change(self, db: Connection, parameters: Mapping[str, Any]) -> int:
        """Run and return how many rows were changed."""
        return self._for(db).change(db, parameters)

    def _for(self, db: Connection) -> _Compiled:
        if not db.in_transaction():
            db.begin()
        name = db.dialect.name
        found = self._compiled.get(name)
        if found is None:
            core = self._core(name) if callable(self._core) else self._core
            self._writes = bool(getattr(core, "is_dml", False))
            found = self._compiled[name] = (
                _OnPostgreSQL(core, db, self._apart, plan_kept=self._plan_kept)
                if name == "postgresql"
                else _OnSQLite(core, db)
            )
        if self._writes and not self._whole and stands_alone(db):
            raise NeedsTransactionError
        return found


def insert_many(db: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows, some hundreds with each statement.

    SQLAlchemy puts many rows into one INSERT only when something comes back; otherwise psycopg sends
    and PostgreSQL reads a statement for each row.
    """
    db.execute(insert(table).returning(*table.primary_key.columns), list(rows)).all()


def copy_many(db: Connection, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
    """Insert rows, on PostgreSQL by COPY, which takes many times as many a second as INSERT, and while
    later rows are still being made; whoever makes them must not use the connection.

    Every row names the same columns, and a conflict makes the whole fail.
    """
    if db.dialect.name != "postgresql":
        db.execute(insert(table), list(rows))
        return
    rest = iter(rows)
    first = next(rest, None)
    if first is None:
        return
    preparer = db.dialect.identifier_preparer
    columns = ", ".join(preparer.quote(name) for name in first)
    sql = f"COPY {preparer.format_table(table)} ({columns}) FROM STDIN (FORMAT binary)"
    packers = [(name, _packer(table.c[name].type)) for name in first]
    count = len(packers).to_bytes(2, "big")
    driver: Any = db.connection.driver_connection
    try:
        with driver.cursor() as cursor, cursor.copy(sql) as copy:
            block = bytearray(_COPY_BEGIN)
            for row in chain((first,), rest):
                block += count
                for name, packer in packers:
                    value = row[name]
                    if value is None:
                        block += _COPY_NULL
                    else:
                        data = packer(value)
                        block += len(data).to_bytes(4, "big")
                        block += data
                if len(block) >= _COPY_BLOCK:
                    copy.write(block)
                    block = bytearray()
            copy.write(block + _COPY_END)
    except PsycopgError as error:
        raise _told(sql, error, PsycopgError) from error


def commit(db: Connection) -> None:
    """Commit the connection's transaction, on PostgreSQL by libpq's own call."""
    if db.dialect.name == "postgresql":
        libpq = db.connection.driver_connection.pgconn  # type: ignore[union-attr]
        if libpq.transaction_status == _IN_TRANSACTION:
            result = libpq.exec_(b"COMMIT")
            if result.status != ExecStatus.COMMAND_OK:
                error = psycopg_errors.error_from_result(result, encoding="utf-8")
                raise _told("COMMIT", error, PsycopgError, lost=libpq.status != _CONNECTED)
    db.commit()


def shape(columns: Iterable[Any]) -> Callable[[Iterable[Any]], Any]:
    """Return what makes a row, with attributes, of the columns' values."""
    names = [column.key for column in columns]
    make: Any = namedtuple  # noqa: PYI024 - the fields vary
    maker: Callable[[Iterable[Any]], Any] = make("Row", names, rename=True)._make
    return maker


def _columns(core: Any) -> list[Any]:
    returning = getattr(core, "_returning", None)
    if returning:
        return list(returning)
    selected = getattr(core, "selected_columns", None)
    return [] if selected is None else list(selected)


class _OnSQLite:
    _CURSOR = "sen.cursor"

    def __init__(self, core: ClauseElement, db: Connection) -> None:
        dialect = db.dialect
        compiled: Any = core.compile(dialect=dialect)
        self._sql = str(compiled)
        self._driver_error: type[Exception] = dialect.dbapi.Error  # type: ignore[union-attr]
        self._order: list[str] = compiled.positiontup
        self._fixed: dict[str, Any] = {}
        self._binders: list[tuple[str, Callable[[Any], Any]]] = []
        for name, bind in compiled.binds.items():
            binder = bind.type.dialect_impl(dialect).bind_processor(dialect)
            if not bind.required and bind.value is not None:
                value = bind.effective_value
                self._fixed[name] = binder(value) if binder else value
            elif binder is not None:
                self._binders.append((name, binder))
        columns = _columns(core)
        self._readers = [
            (position, reader)
            for position, column in enumerate(columns)
            if (reader := column.type.dialect_impl(dialect).result_processor(dialect, None))
        ]
        self._make = shape(columns)

    def rows(self, db: Connection, parameters: Mapping[str, Any]) -> list[Any]:
        return [self._row(raw) for raw in self._run(db, parameters).fetchall()]

    def change(self, db: Connection, parameters: Mapping[str, Any]) -> int:
        count: int = self._run(db, parameters).rowcount
        return count

    def _run(self, db: Connection, parameters: Mapping[str, Any]) -> Any:
        values = {**self._fixed, **parameters}
        for name, binder in self._binders:
            values[name] = binder(values[name])
        info = db.info
        cursor: Any = info.get(self._CURSOR)
        if cursor is None:
            # One cursor a connection will do: each answer is read before the next question.
            cursor = info[self._CURSOR] = db.connection.cursor()
        try:
            cursor.execute(self._sql, [values[name] for name in self._order])
        except self._driver_error as error:
            raise _told(self._sql, error, self._driver_error) from error
        return cursor

    def _row(self, raw: Any) -> Any:
        values = list(raw)
        for position, reader in self._readers:
            values[position] = reader(values[position])
        return self._make(values)


class _OnPostgreSQL:
    """Runs by libpq's prepared statements, in binary, one call a statement."""

    _PREPARED = "sen.prepared"

    def __init__(self, core: ClauseElement, db: Connection, apart: str, *, plan_kept: bool) -> None:
        self._writes = bool(getattr(core, "is_dml", False))
        self._apart = apart
        self._plan_kept = plan_kept
        compiled: Any = core.compile(dialect=db.dialect)
        named = str(compiled)
        names = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", named)))
        positions = {name: f"${position}" for position, name in enumerate(names, 1)}
        self._sql = (named % positions).encode()
        # Named by its text: two threads may compile the same statement at once.
        self._name = b"sen_" + hashlib.sha256(self._sql).hexdigest()[:32].encode()
        self._binds: list[tuple[str, _Writer, bytes | None]] = []
        self._formats: list[int] = []
        for name in names:
            bind = compiled.binds[name]
            writer, binary = _writer(bind.type)
            has_value = not bind.required and bind.value is not None
            fixed = writer(bind.effective_value) if has_value else None
            self._binds.append((name, writer, fixed))
            self._formats.append(binary)
        columns = _columns(core)
        self._readers = [_reader(column.type) for column in columns]
        self._make = shape(columns)

    def rows(self, db: Connection, parameters: Mapping[str, Any]) -> list[Any]:
        result = self._run(db, parameters)
        value = result.get_value
        return [
            self._make(
                [
                    None if (raw := value(row, column)) is None else reader(raw)
                    for column, reader in enumerate(self._readers)
                ]
            )
            for row in range(result.ntuples)
        ]

    def change(self, db: Connection, parameters: Mapping[str, Any]) -> int:
        return self._run(db, parameters).command_tuples or 0

    def _run(self, db: Connection, parameters: Mapping[str, Any]) -> Any:
        values = [
            fixed
            if fixed is not None
            else None
            if (value := parameters[name]) is None
            else writer(value)
            for name, writer, fixed in self._binds
        ]
        if together := db.get_execution_options().get(TOGETHER):
            call = Call(self._name, self._sql, values, self._formats, parameters.get(self._apart))
            try:
                return together[self._writes].run(call)
            except NotTogetherError:
                raise NeedsTransactionError from None
        driver: Any = db.connection.driver_connection
        libpq = driver.pgconn
        prepared: set[bytes] = db.info.setdefault(self._PREPARED, set())
        if not driver.autocommit and libpq.transaction_status == _IDLE:
            self._checked(libpq.exec_(b"BEGIN"), libpq)
        if self._plan_kept:
            return self._run_by_kept_plan(libpq, prepared, values)
        if self._name not in prepared:
            self._checked(libpq.prepare(self._name, self._sql), libpq)
            prepared.add(self._name)
        return self._checked(
            libpq.exec_prepared(self._name, values, self._formats, result_format=1), libpq
        )

    def _run_by_kept_plan(self, libpq: Any, prepared: set[bytes], values: list[Any]) -> Any:
        calls = _KEEP_PLANS, Call(self._name, self._sql, values, self._formats), _PLAN_ANEW
        for call in calls:
            if call.name not in prepared:
                self._checked(libpq.prepare(call.name, call.sql), libpq)
                prepared.add(call.name)
        try:
            results = pipelined(libpq, calls)
        except PsycopgError as error:
            raise _told(self._sql.decode(), error, PsycopgError, lost=True) from error
        _, own, _ = [self._checked(result, libpq) for result in results]
        return own

    def _checked(self, result: Any, libpq: Any) -> Any:
        if result.status in _FINE:
            return result
        error = psycopg_errors.error_from_result(result, encoding="utf-8")
        lost = libpq.status != _CONNECTED
        raise _told(self._sql.decode(), error, PsycopgError, lost=lost) from error


# Left to itself PostgreSQL plans anew, each time, what it takes to be a little better so: it reckons with
# much less than planning over a table a month costs.
_KEEP_PLANS = Call(b"sen_keep_plans", b"SET plan_cache_mode = force_generic_plan", [], [])
_PLAN_ANEW = Call(b"sen_plan_anew", b"SET plan_cache_mode = auto", [], [])

_Writer = Callable[[Any], bytes]
_IDLE = 0
_IN_TRANSACTION = 2
_CONNECTED = 0
_FINE = {ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK}
# As PostgreSQL's manual has it, "COPY: Binary Format".
_COPY_BEGIN = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_COPY_NULL = b"\xff" * 4
_COPY_END = b"\xff" * 2
_COPY_BLOCK = 1 << 16
_PG_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def _told(
    sql: str, error: Exception, root: type[Exception], *, lost: bool = False
) -> BaseException:
    """Return SQLAlchemy's error for the driver's; no parameter may appear in its text."""
    return DBAPIError.instance(
        sql, None, error, root, hide_parameters=True, connection_invalidated=lost
    )


def _writer(type_: TypeEngine[Any]) -> tuple[_Writer, int]:
    """Return how a parameter is spelled on the wire, and whether that is binary."""
    if isinstance(type_, UTCDateTime):
        return lambda value: ((value - _PG_EPOCH) // _MICROSECOND).to_bytes(
            8, "big", signed=True
        ), 1
    if isinstance(type_, Identifier):
        return bytes.fromhex, 1
    if isinstance(type_, LargeBinary):
        return bytes, 1
    if isinstance(type_, Boolean):
        return lambda value: b"t" if value else b"f", 0
    if isinstance(type_, JSON):
        return orjson.dumps, 0
    if isinstance(type_, Integer):
        return lambda value: b"%d" % value, 0
    if isinstance(type_, String):
        return str.encode, 0
    raise TypeError(f"no spelling for {type_!r}")


def _packer(type_: TypeEngine[Any]) -> _Writer:
    """Return how a value is spelled in binary."""
    if isinstance(type_, Integer):
        width = 8 if isinstance(type_, BigInteger) else 4
        return lambda value: value.to_bytes(width, "big", signed=True)
    writer, is_binary = _writer(type_)
    # A text is the same either way.
    if is_binary or isinstance(type_, String):
        return writer
    raise TypeError(f"no packing for {type_!r}")


def _reader(type_: TypeEngine[Any]) -> Callable[[bytes], Any]:
    """Return how a binary result is read."""
    if isinstance(type_, UTCDateTime):
        # Days and seconds before it: naming the microseconds takes twice as long.
        return lambda raw: _PG_EPOCH + timedelta(0, 0, int.from_bytes(raw, "big", signed=True))
    if isinstance(type_, Identifier):
        return bytes.hex
    if isinstance(type_, LargeBinary):
        return bytes
    if isinstance(type_, Boolean):
        return lambda raw: raw == b"\x01"
    if isinstance(type_, JSON):
        return orjson.loads
    if isinstance(type_, (Integer, BigInteger)):
        return lambda raw: int.from_bytes(raw, "big", signed=True)
    if isinstance(type_, String):
        return bytes.decode
    raise TypeError(f"no reading for {type_!r}")
