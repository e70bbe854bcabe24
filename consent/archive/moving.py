"""Moves whole months from the database to files, and lets them go when their time is over.

What is written is read back and held against the published logs before anything is removed; noting the
month and removing its rows is one transaction. Whatever is interrupted before it left only files that
are not listed, which the next run writes anew.
"""

import fcntl
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain as one_after_another
from itertools import islice
from pathlib import Path

from sqlalchemy import Connection, Engine, delete, func, insert, select, update

from accounts.schema import Chance, Clock
from accounts.vault import Vault
from consent.archive import checking, parts, rows, spelling
from consent.archive.checking import Month
from consent.archive.manifest import Aside, Manifest, beside, hash_of
from consent.archive.parts import NONCE_BYTES, SALT_BYTES, Part, PartFile
from consent.archive.store import begin_of, end_of, month_before, month_of, use_archive
from consent.archive.tampered import (
    CONTENT_IS_ANOTHER,
    Fault,
    Finding,
    as_published,
    examine,
)
from consent.data_use import UseEntry, bound, subject_chain, subject_key
from consent.errors import ArchiveError
from consent.ledger import chain
from consent.ledger.note import Signer
from consent.log_state import LogState

PART_PEOPLE = 65_536
"""People in one file at most."""
COMMON_TO = 10
"""What fewer people have in common is spelled in no dictionary, which everybody can read."""
_SAMPLE = 5_000
_LETTING_GO = {"sqlite": 50, "postgresql": 500}
"""Chains a transaction: on SQLite everybody else waits for that long."""
_LOCK = ".lock"


class NotYetError(Exception):
    """A month cannot be archived now; the message says why."""


@dataclass(frozen=True)
class Archived:
    """A month that was moved: so many files, with so many people's so many uses in so many bytes;
    ``aside`` of them are not as they were published.
    """

    month: str
    files: int
    people: int
    entries: int
    size: int
    aside: int = 0


@dataclass(frozen=True)
class Listed:
    """A file as the database lists it."""

    month: str
    part: int
    file: str
    sha256: str
    people: int
    entries: int
    least: bytes
    noted_at: datetime


def listed(db: Connection) -> list[Listed]:
    """Return the files there have to be, oldest first."""
    found = db.execute(select(use_archive).order_by(use_archive.c.month, use_archive.c.part))
    return [
        Listed(
            row.month, row.part, row.file, row.sha256, row.people, row.entries,
            bytes.fromhex(row.least), row.noted_at,
        )
        for row in found
    ]  # fmt: skip


class Archiver:
    """Moves months. ``signers`` sign the manifests; ``reader`` is the engine for reading."""

    def __init__(
        self,
        engine: Engine,
        reader: Engine,
        clock: Clock,
        chance: Chance,
        vault: Vault,
        folder: Path,
        signers: Callable[[], Sequence[Signer]],
        *,
        part_people: int = PART_PEOPLE,
    ) -> None:
        self._engine = engine
        self._reader = reader
        self._clock = clock
        self._chance = chance
        self._vault = vault
        self._folder = folder
        self._signers = signers
        self._part_people = part_people

    def run(self, keep_months: int) -> Iterator[Archived]:
        """Move every month that ended ``keep_months`` whole months ago or earlier, oldest first, and
        yield each when it is moved. Does nothing where another process is at it.

        Raises:
            ArchiveError: an entry is not what its commitment or the logs say, the folder lacks files
                that are listed, or a file could not be written as it should be.
            NotYetError: uses of the month are not in the published logs.
            OSError: the folder cannot be used.
        """
        until = month_before(month_of(self._clock()), keep_months)
        with self._reader.begin() as db:
            due = [month for month in self._due(db) if month.month < until]
        if not due:
            return
        with self._alone() as is_ours:
            if not is_ours:
                return
            with self._reader.begin() as db:
                self._check_folder(listed(db))
            for month in due:
                moved = self._move(month)
                if moved is not None:
                    yield moved

    def set_aside(self, month: str, reference: str, keep_months: int) -> Archived:
        """Move the month that is due next although entries of it are not what the published logs bind. The
        file has the logs' commitments and, under them, the rows as they were found, so everybody who
        reads or proves them sees that they do not fit; the manifest names each with the ``reference``.

        Raises:
            ArchiveError: as for ``run``; the month is not the next one, nothing stands in its way, or
                what does cannot be kept, because the key it would be sealed by is gone.
            NotYetError: uses of the month are not in the published logs.
            OSError: the folder cannot be used.
        """
        until = month_before(month_of(self._clock()), keep_months)
        with self._reader.begin() as db:
            due = [one for one in self._due(db) if one.month < until]
            with_rows = (one for one in due if self._has_rows(db, one))
            following = next(with_rows, None)
        if following is None or following.month != month:
            says = f"{following.month} is the next" if following else "nothing is old enough"
            raise ArchiveError(f"{month} cannot be set aside: {says}")
        with self._alone() as is_ours:
            if not is_ours:
                raise ArchiveError("another process is moving uses")
            with self._reader.begin() as db:
                self._check_folder(listed(db))
            moved = self._move(following, reference)
        assert moved is not None  # noqa: S101 - it has rows
        return moved

    def waiting(self, keep_months: int | None = None) -> list[Month]:
        """Return the months of which the database holds uses, oldest first; with ``keep_months`` those
        that ought to be in the archive by now.
        """
        until = month_before(month_of(self._clock()), keep_months or 0)
        with self._reader.begin() as db:
            return [
                month
                for month in self._due(db)
                if (keep_months is None or month.month < until) and self._has_rows(db, month)
            ]

    def let_go(self, before: datetime) -> int:
        """Remove the months that ended before the moment: from the chains, which keep how many entries
        they were and the head after them, and then the files. Return how many entries went.

        It is the published logs that say which they were, so a file that was lost keeps nobody's.

        Raises:
            ArchiveError: the logs are not as they were signed.
        """
        with self._reader.begin() as db:
            due = [one for one in listed(db) if end_of(one.month) <= before]
        if not due:
            return 0
        gone = 0
        with self._alone() as is_ours:
            for month in sorted({one.month for one in due}) if is_ours else ():
                files = [one for one in due if one.month == month]
                gone += self._shorten(month, [one.least for one in files], before)
                with self._engine.begin() as db:
                    db.execute(delete(use_archive).where(use_archive.c.month == month))
                for one in files:
                    _remove(self._folder / one.file)
        return gone

    def _due(self, db: Connection) -> list[Month]:
        """Return the months of which the database holds uses, as far as they are not listed."""
        known = set(db.execute(select(use_archive.c.month)).scalars())
        found = checking.months(LogState(db))
        # Chains are cut from their beginnings, so nothing is older than the oldest of them.
        oldest = db.execute(select(func.min(subject_chain.c.oldest_at))).scalar()
        return [
            month
            for name, month in sorted(found.items())
            if name not in known and oldest is not None and name >= month_of(oldest)
        ]

    @staticmethod
    def _has_rows(db: Connection, month: Month) -> bool:
        return rows.are_there(db, begin_of(month.month), end_of(month.month))

    def _move(self, month: Month, reference: str | None = None) -> Archived | None:
        begin, end = begin_of(month.month), end_of(month.month)
        with self._reader.begin() as db:
            rows.read_whole(db)
            if not self._has_rows(db, month):
                return None
            if late := rows.unpublished(db, begin, end):
                raise NotYetError(f"{month.month}: {late} uses are not in the published logs")
            state = LogState(db)
            checking.check_roots(state, month)
            found = [] if reference is None else self._tampered(db, month)
            written = list(self._write(db, month, begin, end, found))
            bounds = checking.bounds([PartFile(path).least for _, path in written])
            made = [
                self._checked(db, state, month, part, path, answers_for, len(written), found)
                for (part, path), answers_for in zip(written, bounds, strict=True)
            ]
        made = [replace(one, reference=reference or "") for one in made]
        self._publish(made, [path for _, path in written])
        self._note(made, begin, end)
        _sweep(self._folder, month.month, {one.file for one in made})
        return Archived(
            month.month, len(made), sum(one.rows for one in made),
            sum(one.entries for one in made), sum(one.size for one in made),
            sum(len(one.aside) for one in made),
        )  # fmt: skip

    def _tampered(self, db: Connection, month: Month) -> list[Finding]:
        found = list(examine(db, self._vault, month))
        if not found:
            raise ArchiveError(f"nothing of {month.month} was tampered with")
        if any(one.fault is Fault.NO_KEY for one in found):
            raise ArchiveError(
                f"{month.month}: a key is gone, so what it should seal cannot be kept; put it back "
                "by 'sen ledger mend --backup'"
            )
        if unseen := rows.unseen(db, begin_of(month.month), end_of(month.month)):
            raise ArchiveError(
                f"{month.month}: {unseen} rows are nobody's, or what they have in common with "
                "others is gone; put it back by 'sen ledger mend --backup'"
            )
        return found

    def _write(
        self, db: Connection, month: Month, begin: datetime, end: datetime, found: list[Finding]
    ) -> Iterator[tuple[Part, Path]]:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        number = 0
        with closing(rows.by_person(db, self._vault, begin, end)) as people:
            own = self._as_found(db, people, found, begin, end) if found else self._proved(people)
            while sample := list(islice(own, min(_SAMPLE, self._part_people))):
                part = Part(month.month, number, self._chance(SALT_BYTES), _dictionary(sample))
                rest = islice(own, self._part_people - len(sample))
                path = self._folder / f".uses-{month.month}-{number:03}.new"
                with path.open("wb") as file:
                    os.fchmod(file.fileno(), 0o600)
                    blocks = (
                        part.block(person.who, entries, key)
                        for person, entries, key in one_after_another(sample, rest)
                    )
                    parts.write(file, part, blocks)
                    file.flush()
                    os.fsync(file.fileno())
                yield part, path
                number += 1

    def _as_found(
        self, db: Connection, people: Iterable[tuple[rows.Person, list[UseEntry]]],
        found: Sequence[Finding], begin: datetime, end: datetime,
    ) -> Iterator[tuple[rows.Person, list[UseEntry], bytes]]:  # fmt: skip
        """Let through whatever is to be set aside; the file is held against the logs afterwards."""
        findings: dict[bytes, list[Finding]] = {}
        for one in found:
            findings.setdefault(one.who, []).append(one)
        known = rows.people(db, self._vault, findings, begin.year)
        seen = rows.with_uses(db, (one.subject_id for one in known.values()), begin, end)
        gone = {who: one for who, one in known.items() if one.subject_id not in seen}
        for person, entries in as_published(people, gone, findings, begin):
            if person.key is None:
                raise ArchiveError("a key went meanwhile")
            yield person, entries, person.key

    @staticmethod
    def _proved(
        people: Iterable[tuple[rows.Person, list[UseEntry]]],
    ) -> Iterator[tuple[rows.Person, list[UseEntry], bytes]]:
        """Let through what its commitments bind, and nothing else: what was tampered with stays where it
        can be looked at.
        """
        for person, entries in people:
            month, first = month_of(entries[0].at), entries[0].position
            for place, entry in enumerate(entries):
                if person.key is None or entry.position != first + place:
                    raise ArchiveError(f"{month}: a chain has gaps, or its key is gone")
                if bound(entry, person.key) != entry.commitment:
                    raise ArchiveError(f"{month}: an entry is not the one its commitment binds")
            assert person.key is not None  # noqa: S101 - there is an entry
            yield person, entries, person.key

    def _checked(
        self, db: Connection, state: LogState, month: Month, part: Part, path: Path,
        answers_for: tuple[bytes, bytes], count: int, findings: Sequence[Finding],
    ) -> Manifest:  # fmt: skip
        file = PartFile(path)
        if file.part != part:
            raise ArchiveError(f"{path.name} was not written as it should be")
        wanted = checking.expected(state, month, *answers_for)
        own = [one for one in findings if answers_for[0] <= one.who < answers_for[1]]
        others = {(one.who, one.position) for one in own if one.fault in CONTENT_IS_ANOTHER}
        found = checking.check_part(db, self._vault, file, wanted, others)
        if found.shredded:
            raise ArchiveError(f"{month.month}: a key went meanwhile")
        return Manifest(
            aside=tuple(self._asides(db, part, own)),
            month=month.month,
            part=part.number,
            parts=count,
            file=f"uses-{month.month}-{part.number:03}.parquet",
            size=path.stat().st_size,
            sha256=hash_of(path),
            rows=found.people,
            entries=found.entries,
            removed=found.removed,
            least=file.least,
            greatest=file.greatest,
            logs=month.logs,
            made_at=self._clock(),
        )

    def _asides(self, db: Connection, part: Part, found: Sequence[Finding]) -> Iterator[Aside]:
        known = rows.people(db, self._vault, (one.who for one in found), part.year)
        for one in found:
            row, sealed = one.found, None
            if row is not None and one.fault is Fault.ADDED:
                key = known[one.who].key
                assert key is not None  # noqa: S101 - without it nothing is set aside
                sealed = part.sealed_row(one.who, row, key, self._chance(NONCE_BYTES))
            yield Aside(one.who, one.position, one.fault, row.commitment if row else None, sealed)

    def _publish(self, made: Sequence[Manifest], written: Sequence[Path]) -> None:
        """Give the files their names, with what is said of them."""
        signers = self._signers()
        for manifest, path in zip(made, written, strict=True):
            final = self._folder / manifest.file
            path.replace(final)
            new = beside(path)
            with new.open("wb") as file:
                file.write(manifest.signed_by(signers))
                file.flush()
                os.fsync(file.fileno())
            new.replace(beside(final))
        parts.sync_folder(self._folder)

    def _note(self, made: Sequence[Manifest], begin: datetime, end: datetime) -> None:
        with self._engine.begin() as db:
            for one in made:
                db.execute(
                    insert(use_archive).values(
                        month=one.month, part=one.part, file=one.file, sha256=one.sha256,
                        people=one.rows, entries=one.entries, least=one.least.hex(),
                        greatest=one.greatest.hex(), noted_at=self._clock(),
                    )
                )  # fmt: skip
            if rows.take_out(db, begin, end) != sum(map(_rows_of, made)):
                raise ArchiveError(f"{made[0].month}: the database's uses changed meanwhile")

    def _shorten(self, name: str, leasts: list[bytes], before: datetime) -> int:
        """Take a month's entries from the chains; those that were taken before, if it was interrupted,
        are left alone.
        """
        gone = 0
        with self._reader.begin() as db:
            month = checking.months(LogState(db))[name]
            checking.check_roots(LogState(db), month)
        for answers_for in checking.bounds(leasts):
            with self._reader.begin() as db:
                wanted = iter(checking.expected(LogState(db), month, *answers_for).items())
            while some := dict(islice(wanted, _LETTING_GO[self._engine.dialect.name])):
                with self._engine.begin() as db:
                    for person in rows.people(db, self._vault, some, begin_of(name).year).values():
                        gone += _cut(db, person.subject_id, some[person.who], end_of(name), before)
        return gone

    def _check_folder(self, known: Sequence[Listed]) -> None:
        """Check that the folder is the one that holds what is listed.

        Raises:
            ArchiveError: it is not.
        """
        missing = [one.file for one in known if not (self._folder / one.file).is_file()]
        if missing:
            raise ArchiveError(
                f"{missing[0]} is missing; is SEN_ARCHIVE_DIR the same folder for all servers?"
            )

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        """Hold the folder for as long as this lasts; False where another process holds it."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self._folder / _LOCK).open("wb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True


def _rows_of(made: Manifest) -> int:
    """Return how many rows of the database a file stands for."""
    faults = Counter(one.fault for one in made.aside)
    return made.entries - faults[Fault.MISSING] + faults[Fault.ADDED]


def _dictionary(sample: Sequence[tuple[rows.Person, list[UseEntry], bytes]]) -> bytes:
    """Return what at least so many people's uses have in common."""
    counted = Counter(
        term for _, entries, _ in sample for term in {spelling.common(one) for one in entries}
    )
    return spelling.dictionary(t for t, count in counted.most_common() if count >= COMMON_TO)


def _cut(
    db: Connection,
    subject_id: str,
    entries: Mapping[int, bytes],
    month_end: datetime,
    before: datetime,
) -> int:
    columns = subject_chain.c
    row = db.execute(
        select(columns.removed, columns.removed_head)
        .where(columns.subject_id == subject_id)
        .with_for_update()
    ).one()
    rest = sorted(position for position in entries if position > row.removed)
    if not rest:
        return 0
    if rest != list(range(row.removed + 1, rest[-1] + 1)):
        raise ArchiveError("a chain does not go on where it was cut")
    head = chain.fold((entries[position] for position in rest), row.removed_head or chain.EMPTY)
    db.execute(
        update(subject_chain)
        .where(columns.subject_id == subject_id)
        .values(removed=rest[-1], removed_head=head, oldest_at=month_end)
    )
    db.execute(
        delete(subject_key).where(
            subject_key.c.subject_id == subject_id, subject_key.c.year < before.year
        )
    )
    return len(rest)


def _remove(path: Path) -> None:
    for one in (path, beside(path)):
        one.unlink(missing_ok=True)


def _sweep(folder: Path, month: str, kept: set[str]) -> None:
    """Remove what earlier runs of the month that were interrupted left behind."""
    for path in folder.glob(f"*uses-{month}-*"):
        if path.with_suffix(".parquet").name not in kept:
            path.unlink(missing_ok=True)
