"""Sealing everything anew under the newest data key, while servers go on reading and writing.

Small batches, each value replaced only if it is still what was read: a server's own write wins, and
stopping at any moment loses nothing. What has the new key already is passed over, so starting again
goes on where it stopped.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Engine,
    LargeBinary,
    Table,
    and_,
    bindparam,
    func,
    select,
    tuple_,
    update,
)

from accounts.errors import SealBrokenError
from accounts.schema import metadata
from accounts.vault import Vault, context_of, purpose_and_context, sealed_with

BATCH = 500
"""Values a transaction: on SQLite everybody else waits for that long."""
Done = Callable[[int], None]
"""Called with how many more values were sealed anew."""


@dataclass(frozen=True)
class SealedColumn:
    """A column of sealed values."""

    table: Table
    column: Column[Any]
    purpose: str
    context: tuple[Column[Any], ...]

    @property
    def key(self) -> tuple[Column[Any], ...]:
        """The columns of the table's primary key."""
        return tuple(self.table.primary_key.columns)

    def under(self, key_id: int) -> ColumnElement[bool]:
        """Return the condition that the value was sealed with this key."""
        begins = sealed_with(key_id)
        return func.substr(self.column, 1, len(begins), type_=LargeBinary) == begins


def sealed_columns() -> list[SealedColumn]:
    """Return every column of sealed values that the loaded modules declare."""
    found = []
    for table in metadata.sorted_tables:
        for column in table.columns:
            noted = purpose_and_context(column.info)
            if noted is not None:
                context = tuple(table.columns[name] for name in noted[1])
                found.append(SealedColumn(table, column, noted[0], context))
    return found


class Resealing:
    """Seals everything anew under one data key, the newest.

    ``reading`` is an engine for transactions that only read.
    """

    def __init__(self, engine: Engine, reading: Engine, vault: Vault, key_id: int) -> None:
        self._engine = engine
        self._reading = reading
        self._vault = vault
        self._key_id = key_id

    def count(self) -> int:
        """Return how many values are sealed with another key."""
        with self._reading.connect() as db:
            return sum(
                db.execute(
                    select(func.count()).select_from(one.table).where(self._old(one))
                ).scalar_one()
                for one in sealed_columns()
            )

    def run(self, done: Done) -> None:
        """Go once through all tables.

        Raises:
            SealBrokenError: a value cannot be opened; its place is named.
        """
        for one in sealed_columns():
            for rows in self._batches(one):
                self._seal_anew(one, rows)
                done(len(rows))

    def _old(self, one: SealedColumn) -> ColumnElement[bool]:
        return and_(one.column.is_not(None), ~one.under(self._key_id))

    def _batches(self, one: SealedColumn) -> Iterator[list[Any]]:
        width = len(one.key)
        query = select(*one.key, one.column.label("value"), *_named(one.context)).where(
            self._old(one)
        )
        last: tuple[Any, ...] | None = None
        while True:
            page = query if last is None else query.where(tuple_(*one.key) > tuple_(*last))
            with self._reading.connect() as db:
                rows = list(db.execute(page.order_by(*one.key).limit(BATCH)))
            if not rows:
                return
            yield rows
            last = tuple(rows[-1])[:width]

    def _seal_anew(self, one: SealedColumn, rows: list[Any]) -> None:
        width = len(one.key)
        changes = []
        for row in rows:
            values = tuple(row)
            context = context_of(values[width + 1 :])
            try:
                plain = self._vault.open(one.purpose, row.value, context=context)
            except SealBrokenError as error:
                place = f"{one.table.name}.{one.column.name} of {context_of(values[:width])}"
                raise SealBrokenError(place) from error
            sealed = self._vault.seal(one.purpose, plain, context=context)
            keys = {f"key_{position}": values[position] for position in range(width)}
            changes.append({**keys, "before": row.value, "after": sealed})
        same = [
            column == bindparam(f"key_{position}", type_=column.type)
            for position, column in enumerate(one.key)
        ]
        change = (
            update(one.table)
            .where(*same, one.column == bindparam("before", type_=one.column.type))
            .values({one.column: bindparam("after", type_=one.column.type)})
        )
        with self._engine.begin() as db:
            db.execute(change, changes)


def is_used(reading: Engine, key_id: int) -> bool:
    """True while anything is sealed with this key."""
    with reading.connect() as db:
        return any(
            db.execute(select(*one.key).where(one.under(key_id)).limit(1)).first() is not None
            for one in sealed_columns()
        )


def _named(columns: tuple[Column[Any], ...]) -> list[Any]:
    # A column of the key may be the context as well: it is read twice, under two names.
    return [column.label(f"context_{position}") for position, column in enumerate(columns)]
