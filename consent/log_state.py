"""The published logs as they are stored: tiles, heads, the head map's pieces, and checkpoints.

The sequencer alone writes here (``consent.sequencer``), each epoch in one transaction; everybody else
reads. A tile's row only ever grows, so a narrower tile of the past is its beginning.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import islice
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from accounts.schema import UTCDateTime, metadata
from consent.ledger import tiles
from consent.ledger.head_map import Item, Place, bucket_of, item
from consent.ledger.tiles import Read
from consent.partitions import bounds, month_of

STREAM = -2
"""The level at which, for map auditors alone, stands whose entry each is."""
STREAM_BYTES = 32 + 4
_MANY = 500
_STATE = 1

ledger_log = Table(
    "ledger_log",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    # Signed by the log; and the latest one that others cosigned, which may be of before.
    Column("checkpoint", Text, nullable=False),
    Column("cosigned", Text),
)

ledger_tile = Table(
    "ledger_tile",
    metadata,
    Column("log", String(64), nullable=False),
    Column("level", Integer, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("data", LargeBinary, nullable=False),
    PrimaryKeyConstraint("log", "level", "number"),
)

ledger_piece = Table(
    "ledger_piece",
    metadata,
    Column("level", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False),
    PrimaryKeyConstraint("level", "number"),
)

ledger_head = Table(
    "ledger_head",
    metadata,
    Column("bucket", Integer, nullable=False),
    Column("idx", LargeBinary, nullable=False),
    Column("subject_id", String(32), nullable=False, unique=True),
    Column("length", Integer, nullable=False),
    Column("head", LargeBinary, nullable=False),
    PrimaryKeyConstraint("bucket", "idx"),
)

ledger_state = Table(
    "ledger_state",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("epochs", Integer, nullable=False),
    # Up to where the rows of uses were looked through: a row number on SQLite, a moment elsewhere.
    Column("row", BigInteger, nullable=False),
    Column("moment", UTCDateTime),
)

ledger_policy = Table(
    "ledger_policy",
    metadata,
    Column("subject", String(300), primary_key=True),
    Column("digest", LargeBinary, nullable=False),
)


@dataclass(frozen=True)
class Log:
    """A log as it stands."""

    name: str
    size: int
    root: bytes
    checkpoint: str
    cosigned: str | None

    @property
    def note(self) -> str:
        """The checkpoint to show: with the others' cosignatures, if they are of this very state."""
        cosigned = self.cosigned
        own_text = self.checkpoint.rpartition("\n\n")[0]
        return cosigned if cosigned and cosigned.startswith(f"{own_text}\n\n") else self.checkpoint


# Not frozen: an epoch makes ten thousand, and frozen ones take three times as long to make.
@dataclass(slots=True)
class Head:
    """How far a subject's chain is in the logs."""

    subject_id: str
    bucket: int
    index: bytes
    length: int
    head: bytes

    @property
    def item(self) -> Item:
        """What the map says of it."""
        return item(self.index, self.length, self.head)


@dataclass(frozen=True)
class State:
    """How many epochs there are, and how far the rows of uses were looked through."""

    epochs: int
    row: int
    moment: Any


def entry_log(at: datetime, shard: int) -> str:
    """Return the name of the log for entries of the moment's month (in UTC)."""
    return _entry_log(*month_of(at), shard)


@lru_cache(maxsize=64)
def _entry_log(year: int, month: int, shard: int) -> str:
    return f"entries/{year:04}-{month:02}/{shard}"


def span_of(log: str) -> tuple[datetime, datetime]:
    """Return the first moment of an entry log's month, and the first one after it."""
    year, month = log.split("/")[1].split("-")
    return bounds((int(year), int(month)))


class LogState:
    """The stored logs, within one transaction."""

    def __init__(self, db: Connection) -> None:
        self._db = db

    def state(self) -> State:
        """Return how far the logs are."""
        row = self._db.execute(select(ledger_state).where(ledger_state.c.id == _STATE)).first()
        return State(0, 0, None) if row is None else State(row.epochs, row.row, row.moment)

    def advance(self, before: State, after: State) -> bool:
        """Note the new state; False, and nothing is written, when another sequencer was faster."""
        insert = _dialect(self._db).insert(ledger_state)
        values = {"epochs": after.epochs, "row": after.row, "moment": after.moment}
        statement = insert.values(id=_STATE, **values).on_conflict_do_update(
            index_elements=["id"], set_=values, where=ledger_state.c.epochs == before.epochs
        )
        written = self._db.execute(statement.returning(ledger_state.c.epochs))
        return written.first() is not None

    def logs(self) -> dict[str, Log]:
        """Return all logs by their names."""
        rows = self._db.execute(select(ledger_log))
        return {row.name: Log(*row) for row in rows}

    def find_log(self, name: str) -> Log | None:
        """Return the log with this name."""
        row = self._db.execute(select(ledger_log).where(ledger_log.c.name == name)).first()
        return None if row is None else Log(*row)

    def save_logs(self, logs: Sequence[Log]) -> None:
        """Write logs as they stand now."""
        rows = [vars(log) for log in logs]
        self._save(ledger_log, ("name",), rows)

    def save_cosigned(self, name: str, note: str) -> None:
        """Keep a checkpoint that others cosigned."""
        self._db.execute(update(ledger_log).where(ledger_log.c.name == name).values(cosigned=note))

    def tile(self, log: str, level: int, number: int) -> bytes:
        """Return what there is of a tile."""
        found = self._db.execute(
            select(ledger_tile.c.data).where(
                ledger_tile.c.log == log,
                ledger_tile.c.level == level,
                ledger_tile.c.number == number,
            )
        ).scalar()
        return found or b""

    def reading(self, log: str) -> Read:
        """Return what reads the tiles of a log."""
        return lambda level, number: self.tile(log, level, number)

    def edges(self, logs: Iterable[Log]) -> dict[str, dict[Place, bytes]]:
        """Return, by the logs' names, their tiles that are begun and not full: all that appending reads."""
        found: dict[str, dict[Place, bytes]] = {}
        places = [
            (log.name, level, number)
            for log in logs
            for level, number in (
                *tiles.begun(log.size),
                *((kind, log.size // tiles.WIDTH) for kind in (tiles.ENTRIES, STREAM)),
            )
        ]
        key = tuple_(ledger_tile.c.log, ledger_tile.c.level, ledger_tile.c.number)
        for some in _some(places):
            for log, level, number, data in self._db.execute(
                select(ledger_tile).where(key.in_(some))
            ):
                found.setdefault(log, {})[level, number] = data
        return found

    def save_tiles(self, changed: Mapping[str, Mapping[Place, bytes]]) -> None:
        """Write tiles of logs, by the logs' names."""
        rows = [
            {"log": log, "level": level, "number": number, "data": data}
            for log, of_log in changed.items()
            for (level, number), data in of_log.items()
        ]
        self._save(ledger_tile, ("log", "level", "number"), rows)

    def pieces(self, places: Iterable[Place]) -> dict[Place, bytes]:
        """Return those of the head map's pieces that there are."""
        key = tuple_(ledger_piece.c.level, ledger_piece.c.number)
        found = {}
        for some in _some(places):
            for level, number, data in self._db.execute(select(ledger_piece).where(key.in_(some))):
                found[level, number] = data
        return found

    def save_pieces(self, changed: Mapping[Place, bytes]) -> None:
        """Write pieces of the head map."""
        rows = [
            {"level": level, "number": number, "data": data}
            for (level, number), data in changed.items()
        ]
        self._save(ledger_piece, ("level", "number"), rows)

    def heads_of(self, subject_ids: Iterable[str]) -> dict[str, Head]:
        """Return how far the subjects' chains are in the logs, where they are at all."""
        return {
            head.subject_id: head for head in self._heads(ledger_head.c.subject_id, subject_ids)
        }

    def heads_at(self, indexes: Iterable[bytes]) -> dict[bytes, Head]:
        """Return the heads at indexes of the head map, by index."""
        places = tuple_(ledger_head.c.bucket, ledger_head.c.idx)
        wanted = [(bucket_of(index), index) for index in indexes]
        return {head.index: head for head in self._heads(places, wanted)}

    def heads_in(self, buckets: Iterable[int]) -> list[Head]:
        """Return the heads in the buckets, in the order of their indexes."""
        return sorted(self._heads(ledger_head.c.bucket, buckets), key=lambda head: head.index)

    def subject_at(self, index: bytes) -> str | None:
        """Return whose chain is at the index."""
        found: str | None = self._db.execute(
            select(ledger_head.c.subject_id).where(
                ledger_head.c.bucket == bucket_of(index), ledger_head.c.idx == index
            )
        ).scalar()
        return found

    def save_heads(self, heads: Iterable[Head]) -> None:
        """Write heads."""
        rows = [
            {
                "bucket": head.bucket,
                "idx": head.index,
                "subject_id": head.subject_id,
                "length": head.length,
                "head": head.head,
            }
            for head in heads
        ]
        self._save(ledger_head, ("bucket", "idx"), rows)

    def published(self) -> dict[str, bytes]:
        """Return the hash of what the policy log last said of each of its subjects."""
        return {row.subject: row.digest for row in self._db.execute(select(ledger_policy))}

    def save_published(self, digests: Mapping[str, bytes]) -> None:
        """Note what the policy log said."""
        rows = [{"subject": name, "digest": digest} for name, digest in digests.items()]
        self._save(ledger_policy, ("subject",), rows)

    def _heads(self, column: Any, values: Iterable[Any]) -> Iterable[Head]:
        for some in _some(values):
            for bucket, index, subject_id, length, head in self._db.execute(
                select(ledger_head).where(column.in_(some))
            ).all():
                yield Head(subject_id, bucket, index, length, head)

    def _save(self, table: Table, key: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
        if not rows:
            return
        insert = _dialect(self._db).insert(table)
        others = [name for name in rows[0] if name not in key]
        statement = insert.on_conflict_do_update(
            index_elements=list(key), set_={name: insert.excluded[name] for name in others}
        )
        # Only what returns something is sent many rows at a time.
        self._db.execute(statement.returning(table.c[key[0]]), rows).all()


def _dialect(db: Connection) -> Any:
    return postgresql if db.dialect.name == "postgresql" else sqlite


def _some(values: Iterable[Any]) -> Iterator[list[Any]]:
    """Yield the values in lists as long as a statement takes."""
    rest = iter(values)
    while some := list(islice(rest, _MANY)):
        yield some
