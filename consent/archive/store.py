"""Which files there are, and reading one person's uses from them."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Column, Connection, Integer, PrimaryKeyConstraint, String, Table, select

from accounts.schema import UTCDateTime, metadata
from accounts.vault import Vault
from consent.archive import parts
from consent.archive.parts import WHO_BYTES, Block, Part
from consent.data_use import subject_key
from consent.old_uses import OldUses

use_archive = Table(
    "use_archive",
    metadata,
    Column("month", String(7), nullable=False),
    Column("part", Integer, nullable=False),
    Column("file", String(64), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("people", Integer, nullable=False),
    Column("entries", Integer, nullable=False),
    # Whom the part can hold: by what the first and the last person in it are found, in hexadecimals.
    Column("least", String(2 * WHO_BYTES), nullable=False),
    Column("greatest", String(2 * WHO_BYTES), nullable=False),
    Column("noted_at", UTCDateTime, nullable=False),
    PrimaryKeyConstraint("month", "part"),
)
"""The months that are in the archive and nowhere else; a file that is not listed counts for nothing."""


def month_of(moment: datetime) -> str:
    """Return the month of a moment, in UTC, as it is written in logs' names and files."""
    return moment.astimezone(UTC).strftime("%Y-%m")


def month_before(month: str, count: int) -> str:
    """Return the month so many before one; a negative count looks ahead."""
    number = int(month[:4]) * 12 + int(month[5:]) - 1 - count
    return f"{number // 12:04}-{number % 12 + 1:02}"


def begin_of(month: str) -> datetime:
    """Return the first moment of a month."""
    return datetime(int(month[:4]), int(month[5:]), 1, tzinfo=UTC)


def end_of(month: str) -> datetime:
    """Return the first moment after a month."""
    return begin_of(month_before(month, -1))


def who(index: bytes) -> bytes:
    """Return by what a person is found in the archive, from her index in the head map."""
    return index[:WHO_BYTES]


class Archive:
    """Reads the archive, within one transaction (``consent.old_uses.Old``)."""

    def __init__(
        self, db: Connection, vault: Vault, folder: Path, index_of: Callable[[str], bytes]
    ) -> None:
        self._db = db
        self._vault = vault
        self._folder = folder
        self._index_of = index_of
        self._keys: dict[tuple[str, int], bytes | None] = {}

    def of(
        self,
        subject_id: str,
        *,
        after: int,
        before: int,
        oldest_first: bool = False,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Iterator[OldUses]:
        """As ``Old.of``; it is the file's reading that raises ``ArchiveError``."""
        key = who(self._index_of(subject_id))
        for month, file in self._files(key, oldest_first=oldest_first):
            if (until and begin_of(month) >= until) or (since and end_of(month) <= since):
                continue
            opened = parts.opened(self._folder / file)
            block = opened.find(key)
            if block is None or block.last <= after or block.first >= before:
                continue
            yield self._uses(opened.part, block, subject_id)
            # What lies farther on is not asked for.
            if block.last >= before - 1 if oldest_first else block.first <= after + 1:
                return

    def _files(self, key: bytes, *, oldest_first: bool) -> list[tuple[str, str]]:
        columns, place = use_archive.c, key.hex()
        found = self._db.execute(
            select(columns.month, columns.file)
            .where(columns.least <= place, columns.greatest >= place)
            .order_by(columns.month if oldest_first else columns.month.desc())
        )
        return [(row.month, row.file) for row in found]

    def _uses(self, part: Part, block: Block, subject_id: str) -> OldUses:
        key = self._key(subject_id, part.year)
        entries = None if key is None else part.entries(block, subject_id, key)
        return OldUses(block.first, block.commitments, entries)

    def _key(self, subject_id: str, year: int) -> bytes | None:
        if (subject_id, year) not in self._keys:
            self._keys[subject_id, year] = key_of(self._db, self._vault, subject_id, year)
        return self._keys[subject_id, year]


def key_of(db: Connection, vault: Vault, subject_id: str, year: int) -> bytes | None:
    """Return a person's key of a year as the database has it, None where it is gone."""
    own = (subject_key.c.subject_id == subject_id, subject_key.c.year == year)
    sealed = db.execute(select(subject_key.c.sealed).where(*own)).scalar()
    return opened_key(vault, subject_id, year, sealed)


def opened_key(vault: Vault, subject_id: str, year: int, sealed: bytes | None) -> bytes | None:
    """Return a person's key of a year, None where it is gone."""
    if sealed is None:
        return None
    return vault.open("use-key", sealed, context=f"{subject_id}/{year}")
