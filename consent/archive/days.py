"""What the archive has of one day, whoever's it is: for what is compared with others by days."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from pathlib import Path

from sqlalchemy import Connection, select

from accounts.vault import Vault
from consent.archive import parts, rows
from consent.archive.parts import Block, PartFile
from consent.archive.store import month_of, use_archive
from consent.data_use import UseEntry, bound

_AT_ONCE = 512


@dataclass
class ArchivedDay:
    """The day's entries, and the commitments of the month's that tell nobody of which day they are: the
    key is gone, or the entry was set aside as altered.
    """

    entries: list[UseEntry] = field(default_factory=list)
    untold: set[bytes] = field(default_factory=set)


def archived_day(db: Connection, vault: Vault, folder: Path, day: date) -> ArchivedDay | None:
    """Return what the archive has of a day (UTC), None where the day's month is not in it. The whole month
    is read.

    Raises:
        ArchiveError: a file is missing or damaged.
    """
    begin = datetime.combine(day, time.min, UTC)
    listed = select(use_archive.c.file).where(use_archive.c.month == month_of(begin))
    files = db.execute(listed.order_by(use_archive.c.part)).scalars().all()
    if not files:
        return None
    told = ArchivedDay()
    for name in files:
        for person, file, block in _blocks(db, vault, parts.opened(folder / name)):
            if person is None or person.key is None:
                told.untold.update(block.commitments)
                continue
            for entry in file.part.entries(block, person.subject_id, person.key):
                if bound(entry, person.key) != entry.commitment:
                    told.untold.add(entry.commitment)
                elif begin <= entry.at < begin + timedelta(days=1):
                    told.entries.append(entry)
    return told


def _blocks(
    db: Connection, vault: Vault, file: PartFile
) -> Iterator[tuple[rows.Person | None, PartFile, Block]]:
    blocks = file.blocks()
    while some := list(islice(blocks, _AT_ONCE)):
        known = rows.people(db, vault, (one.who for one in some), file.part.year)
        for block in some:
            yield known.get(block.who), file, block
