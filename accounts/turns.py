"""Taking the next row that is due, so that of several processes one does its work."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Table, select, update


def take(
    db: Connection, table: Table, now: datetime, until: datetime, *which: ColumnElement[bool]
) -> Row[Any] | None:
    """Return the row, by its ``id``, whose ``due_at`` is longest over among ``which``, and keep it from
    others until the moment; None when nothing is due.
    """
    due = (table.c.due_at <= now, *which)
    while True:
        row = db.execute(select(table).where(*due).order_by(table.c.due_at).limit(1)).first()
        if row is None:
            return None
        mine = update(table).where(table.c.id == row.id, *due).values(due_at=until)
        # Otherwise somebody else took it meanwhile, and it is due no more.
        if db.execute(mine).rowcount == 1:
            return row
