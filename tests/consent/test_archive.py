"""The archive: old uses read as before, a crash loses none of them, and whatever is done to a file is found."""

import random
import secrets
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from accounts.schema import new_id
from consent.archive import parts, spelling
from consent.archive.manifest import Manifest, beside, hash_of
from consent.archive.moving import Archiver, NotYetError
from consent.archive.parts import Block, PartFile
from consent.archive.store import use_archive
from consent.data_use import UseEntry, data_use, subject_key
from consent.errors import ArchiveError
from consent.rebuild import rebuild
from idp import archiving
from idp.database import for_reading
from idp.retention import purge
from idp.services import Installation
from tests.support.clock import Clock
from tests.support.shelf import MOVED, USE, Shelf, filled, run
from tests.support.stores import settings_for

sqlite_only = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)


@pytest.fixture
def shelf(installation: Installation, clock: Clock) -> Shelf:
    return filled(installation, clock)


def test_a_block_is_taken_apart_into_the_very_same_entries() -> None:
    """Whatever an entry says, and whatever its identifiers are."""
    chance, begin = random.Random(8), datetime(2025, 3, 1, tzinfo=UTC)

    def some_id() -> str | None:
        return chance.choice(
            [None, "", "k", "AB" * 16, "ab" * 16, secrets.token_hex(16), "][,[", "0"]
        )

    for _ in range(300):
        entries = []
        for number in range(chance.randint(1, 8)):
            at = begin + timedelta(microseconds=chance.randrange(31 * 86_400_000_000))
            use = replace(
                USE, subject_id="s", correlation=some_id() or "", consent_id=some_id(),
                grant_id=some_id(), other_party=some_id(),
                attributes=tuple(chance.sample(["sub", "tên", 'a"b', "x\\"], 2)),
                detail={"a": some_id() or ""} if chance.random() < 0.3 else {},
            )  # fmt: skip
            own = chance.choice([new_id(at, secrets.token_bytes), secrets.token_hex(16), "no-id"])
            entries.append(UseEntry(own, 7 + number, at, use, secrets.token_bytes(32)))
        known = spelling.dictionary([spelling.common(one) for one in entries[:2]])
        spelled = spelling.spell(entries, begin, known)
        commitments = [one.commitment for one in entries]
        assert spelling.read(spelled, "s", 7, commitments, begin, known) == entries
        with pytest.raises(ValueError, match=r".+"):
            spelling.read(spelled, "s", 7, [*commitments, bytes(32)], begin, known)
        with pytest.raises(ValueError, match=r".+"):
            spelling.read(spelled[:1], "s", 7, commitments, begin, known)


def test_whole_months_are_moved_and_everybody_reads_as_before(shelf: Shelf) -> None:
    before, rows = shelf.everything(), shelf.rows()
    shelf.clock.advance(days=MOVED - 31)
    (moved,) = run(shelf.installation)
    assert shelf.files == [f"uses-{moved.month}-000.parquet"]
    assert (shelf.folder / shelf.files[0]).stat().st_mode & 0o077 == 0
    assert shelf.rows() == rows - moved.entries == 6
    assert shelf.everything() == before
    assert shelf.is_all_good()
    assert run(shelf.installation) == []
    # What came in the month after is moved when its time has come, and the chains go on.
    shelf.use(0)
    shelf.publish()
    before = shelf.everything()
    shelf.clock.advance(days=31)
    (later,) = run(shelf.installation)
    assert (later.entries, later.people, shelf.rows()) == (6, 3, 1)
    assert shelf.everything() == before
    assert [shelf.proves(number).is_good for number in range(4)] == [True] * 4
    assert shelf.is_all_good()
    with shelf.installation.engine.begin() as db:
        services = shelf.installation.services(db)
        found = rebuild(db, shelf.installation.ledger_index, services.archive, write=False)
        assert (found.lost, found.mended) == ([], [])
        log = services.use_log
        assert log.find(shelf.people[1], 7) == before[1][0][2]
        assert log.find(shelf.people[1], 10) is None
        # A page ends at the border, and the next goes on beyond it.
        assert [e.position for e in log.of_subject(shelf.people[0])] == [6]
        assert [e.position for e in log.of_subject(shelf.people[0], before=6)] == [5, 4, 3, 2, 1]


@sqlite_only
def test_a_large_month_has_several_files(shelf: Shelf) -> None:
    before = shelf.everything()
    shelf.clock.advance(days=MOVED)
    archiver = archiving.archiver(shelf.installation)
    archiver._part_people = 2
    moved = list(archiver.run(13))
    assert moved[0].files > 1
    assert len(shelf.files) == sum(one.files for one in moved)
    assert shelf.everything() == before
    assert shelf.is_all_good()
    with shelf.installation.engine.begin() as db:
        one = db.execute(select(use_archive).where(use_archive.c.part == 1)).first()
        assert one is not None
        db.execute(delete(use_archive).where(use_archive.c.file == one.file))
    assert "a part of the month is not listed" in shelf.complaints()
    assert f"{one.file}: is not listed" in shelf.complaints()


class CrashError(Exception):
    """The power went."""


class Dying:
    """An engine on which the n-th transaction, at its very end, does not come to be."""

    def __init__(self, engine: Any, dies_at: int) -> None:
        self._engine = engine
        self._left = dies_at

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    @contextmanager
    def begin(self) -> Iterator[Any]:
        self._left -= 1
        with self._engine.begin() as db:
            yield db
            if self._left == 0:
                raise CrashError


def crash(*_: object) -> Any:
    raise CrashError


@pytest.mark.parametrize("step", ["writing", "signing", "noting"])
@sqlite_only
def test_a_crash_at_any_step_loses_nothing(shelf: Shelf, step: str) -> None:
    before, rows, i = shelf.everything(), shelf.rows(), shelf.installation
    shelf.clock.advance(days=MOVED)
    salts = iter([secrets.token_bytes(32)])
    broken = Archiver(
        Dying(i.engine, 1) if step == "noting" else i.engine,  # type: ignore[arg-type]
        for_reading(i.engine),
        i.clock,
        # The first file of the month is written, the second is not.
        (lambda _size: next(salts, None) or crash()) if step == "writing" else i.chance,
        i.vault,
        shelf.folder,
        crash if step == "signing" else lambda: [archiving.manifest_signer(i)],
        part_people=2,
    )
    with pytest.raises(CrashError):
        list(broken.run(13))
    assert shelf.rows() == rows
    assert shelf.everything() == before
    assert list(shelf.folder.glob("*uses*"))
    moved = run(i)
    assert sum(one.entries for one in moved) == rows
    assert shelf.everything() == before
    assert shelf.is_all_good()
    # Nothing of the first try is left lying about.
    assert len(list(shelf.folder.glob("*uses*"))) == 2 * len(shelf.files)


@sqlite_only
def test_what_is_not_published_or_was_tampered_with_stays(shelf: Shelf) -> None:
    shelf.use(2)
    shelf.clock.advance(days=MOVED)
    with pytest.raises(NotYetError, match="1 uses are not in the published logs"):
        run(shelf.installation)
    shelf.publish()
    victim = (data_use.c.subject_id == shelf.people[1], data_use.c.position == 8)
    with shelf.installation.engine.begin() as db:
        changed = db.execute(select(data_use.c.correlation).where(*victim)).scalar_one()
        db.execute(update(data_use).where(*victim).values(correlation="x"))
    rows = shelf.rows()
    with pytest.raises(ArchiveError, match="not the one its commitment binds"):
        run(shelf.installation)
    assert shelf.rows() == rows
    with shelf.installation.engine.begin() as db:
        db.execute(update(data_use).where(*victim).values(correlation=changed))
        first = db.execute(select(data_use).where(*victim)).one()
        db.execute(delete(data_use).where(*victim))
    with pytest.raises(ArchiveError, match="published log says"):
        run(shelf.installation)
    with shelf.installation.engine.begin() as db:
        db.execute(data_use.insert().values(first._asdict()))
    assert run(shelf.installation)
    assert shelf.is_all_good()


@pytest.fixture
def archived(shelf: Shelf) -> Shelf:
    shelf.clock.advance(days=MOVED)
    assert len(run(shelf.installation)) == 2
    assert shelf.is_all_good()
    return shelf


def flip(archived: Shelf, path: Path) -> None:
    for place in random.Random(4).sample(range(path.stat().st_size), 12):
        data = bytearray(path.read_bytes())
        data[place] ^= 1
        path.write_bytes(data)
        assert archived.complaints()
        data[place] ^= 1
        path.write_bytes(data)
    assert archived.is_all_good()
    data[place] ^= 1
    path.write_bytes(data)


def forge(archived: Shelf, path: Path, change: Callable[[list[Block]], list[Block]]) -> None:
    """Write a file anew, with all that the operator has: the log's key and the database."""
    file = PartFile(path)
    blocks = change(list(file.blocks()))
    with path.open("wb") as written:
        parts.write(written, file.part, sorted(blocks, key=lambda block: block.who))
    signer = archiving.manifest_signer(archived.installation)
    said = Manifest.parse(beside(path).read_bytes(), signer.verifier)
    entries = sum(len(block.commitments) for block in blocks)
    said = replace(
        said, sha256=hash_of(path), size=path.stat().st_size, rows=len(blocks), entries=entries
    )
    beside(path).write_bytes(said.signed_by([signer]))
    with archived.installation.engine.begin() as db:
        listed = update(use_archive).where(use_archive.c.file == path.name)
        db.execute(listed.values(sha256=said.sha256, people=said.rows, entries=entries))


def swap_contents(blocks: list[Block]) -> list[Block]:
    a, b, *rest = blocks
    return [replace(a, content=b.content), replace(b, content=a.content), *rest]


def swap_people(blocks: list[Block]) -> list[Block]:
    a, b, *rest = blocks
    return [replace(a, who=b.who), replace(b, who=a.who), *rest]


def without_one(blocks: list[Block]) -> list[Block]:
    return blocks[1:]


def shortened(blocks: list[Block]) -> list[Block]:
    long = max(blocks, key=lambda block: len(block.commitments))
    rest = [block for block in blocks if block is not long]
    return [*rest, replace(long, commitments=long.commitments[:-1])]


def other_commitment(blocks: list[Block]) -> list[Block]:
    a, *rest = blocks
    return [replace(a, commitments=(bytes(32), *a.commitments[1:])), *rest]


DRILLS: dict[str, tuple[Callable[[Shelf, Path], object], str]] = {
    "a bit is flipped": (flip, ""),
    "the file is gone": (lambda _, path: path.unlink(), "is missing"),
    "what is said of it is gone": (lambda _, path: beside(path).unlink(), "is missing"),
    "what is said of it is changed": (
        lambda _, p: beside(p).write_bytes(
            beside(p).read_bytes().replace(b'"part": 0', b'"part": 1')
        ),
        "not signed by this log",
    ),
    "two people's uses are swapped": (lambda s, p: forge(s, p, swap_people), "published log says"),
    "two people's contents are swapped": (lambda s, p: forge(s, p, swap_contents), "does not open"),
    "a person is left out": (lambda s, p: forge(s, p, without_one), "uses are missing"),
    "a use is left out": (lambda s, p: forge(s, p, shortened), "published log says"),
    "a commitment is another": (lambda s, p: forge(s, p, other_commitment), "published log says"),
}


@pytest.mark.parametrize("drill", DRILLS)
@sqlite_only
def test_whatever_is_done_to_a_file_is_found(archived: Shelf, drill: str) -> None:
    path = archived.folder / archived.files[-1]
    act, said = DRILLS[drill]
    act(archived, path)
    assert said in archived.complaints()
    assert archived.files[0] not in archived.complaints()


@sqlite_only
def test_a_month_that_is_nowhere_is_found(archived: Shelf) -> None:
    month = archived.files[-1][5:12]
    for path in archived.folder.glob(f"uses-{month}*"):
        path.unlink()
    with archived.installation.engine.begin() as db:
        db.execute(delete(use_archive).where(use_archive.c.month == month))
    assert f"{month}: uses of 3 people are neither in the database nor" in archived.complaints()
    # People notice too: what is left is not what was confirmed.
    assert not archived.told(0)[2]
    assert archived.proves(0).failed == "list"


@sqlite_only
def test_another_folder_is_not_written_to(archived: Shelf) -> None:
    """Servers of one installation have one archive; one with a folder of its own would part it."""
    archived.use(0)
    archived.publish()
    archived.clock.advance(days=MOVED)
    archived.folder.rename(archived.folder.with_name("elsewhere"))
    with pytest.raises(ArchiveError, match="the same folder for all servers"):
        run(archived.installation)
    with pytest.raises(ArchiveError, match="is missing"):
        archived.told(1)


@sqlite_only
def test_a_key_that_goes_takes_the_content_of_every_copy(archived: Shelf, tmp_path: Path) -> None:
    """Measure 19: unreadable from rows, archive, and a copy of both of 31 days before without keys; the
    commitments go on proving, everybody else's as before.
    """
    victim, i = archived.people[1], archived.installation
    hers = archived.told(1)[0]
    others = [archived.told(number) for number in (0, 2, 3)]
    copy = _copied(archived, tmp_path / "copy")
    archived.clock.advance(days=31)
    with i.engine.begin() as db:
        db.execute(delete(subject_key).where(subject_key.c.subject_id == victim))
    # Here nothing of hers can be read, and everything can be proved.
    entries, spellings, is_intact, begin = archived.told(1)
    assert (entries, spellings, is_intact, begin[0]) == ([], [], True, len(hers))
    assert [archived.told(number) for number in (0, 2, 3)] == others
    archived.publish()
    assert [archived.proves(number).is_good for number in range(4)] == [True] * 4
    assert archived.proves(1).removed == len(hers)
    told = archiving.check(i)
    assert all(one.is_good for one in told)
    assert "of 1 nobody can read them" in " ".join(one.said for one in told)
    # Nor in the copy: not by the program with the installation's secret, nor anywhere in its bytes.
    with copy.engine.begin() as db:
        log = copy.services(db).use_log
        assert (log.of_subject(victim), list(log.spelled(victim, 10**6))) == ([], [])
    copied = b"".join(p.read_bytes() for p in (tmp_path / "copy").rglob("*") if p.is_file())
    for entry in hers:
        assert entry.commitment in copied
        assert entry.id.encode() not in copied
        assert bytes.fromhex(entry.id)[6:] not in copied
    # It is the keys that count: with one that was kept longer than 30 days, all would be there.
    with copy.engine.begin() as db:
        db.execute(subject_key.insert(), archived.kept_keys)
        assert copy.services(db).use_log.of_subject(victim, limit=2) == hers[:2]
    copy.engine.dispose()


def _copied(shelf: Shelf, folder: Path) -> Installation:
    """Copy database and archive as docs/deployment.md says, for a backup that is kept for long."""
    folder.mkdir()
    shutil.copytree(shelf.folder, folder / "archive")
    with closing(sqlite3.connect(str(shelf.installation.engine.url.database))) as db:
        db.execute("VACUUM INTO ?", [str(folder / "sen.db")])
    copy = Installation(settings_for(f"sqlite:///{folder / 'sen.db'}", folder), clock=shelf.clock)
    with copy.engine.begin() as db:
        shelf.kept_keys = [row._asdict() for row in db.execute(select(subject_key))]
    with closing(sqlite3.connect(str(folder / "sen.db"))) as db:
        db.execute("DELETE FROM subject_key")
        db.commit()
        db.execute("VACUUM")
    return copy


def test_months_whose_time_is_over_go_with_their_files(archived: Shelf) -> None:
    archived.use(0)
    archived.use(3)
    archived.publish()
    intact, i = archived.everything(), archived.installation
    # Five years after the first month: its days are over only when all of it is.
    archived.clock.set(_years_later(archived, 5, day=1))
    assert purge(i)["use entries"] == 0
    assert archived.everything() == intact
    archived.clock.set(_years_later(archived, 5, day=1, months=1))
    before = archived.clock().replace(year=archived.clock().year - 5)
    # Interrupted after the chains were cut, before the month was struck from the list.
    dying = archiving.archiver(i)
    dying._engine = Dying(i.engine, 2)  # type: ignore[assignment]
    with pytest.raises(CrashError):
        dying.let_go(before)
    first, second = archived.files
    purge(i)
    assert archived.files == [second]
    assert not beside(archived.folder / first).exists()
    assert purge(i)["use entries"] == 0
    told = archived.everything()
    assert [(len(one[0]), one[2], one[3][0]) for one in told] == [
        (3, True, 3), (2, True, 7), (0, True, 1), (3, True, 0),
    ]  # fmt: skip
    # Later the second month, though its file was lost, and after that what was never moved.
    (archived.folder / second).unlink()
    archived.clock.advance(days=40)
    purge(i)
    assert archived.files == []
    assert [len(one[0]) for one in archived.everything()] == [1, 0, 0, 1]
    archived.clock.advance(days=5 * 366)
    assert purge(i)["use entries"] >= 2
    assert all(one[2] for one in archived.everything())
    archived.publish()
    assert archived.is_all_good()


def _years_later(shelf: Shelf, years: int, *, day: int, months: int = 0) -> datetime:
    number = int(shelf.files[0][5:9]) * 12 + int(shelf.files[0][10:12]) - 1 + months
    return shelf.clock().replace(year=number // 12 + years, month=number % 12 + 1, day=day)


def test_an_entry_of_the_archive_takes_110_bytes_at_most(tmp_path: Path) -> None:
    """Measure 20, with three uses of a person and month on two grants; of more it takes less."""
    from bench.ledger.archived import bytes_an_entry  # noqa: PLC0415

    assert 60 < bytes_an_entry(tmp_path, people=3000, uses=3, grants=2) <= 110
    assert bytes_an_entry(tmp_path, people=1000, uses=10, grants=3) <= 90
    # Two by one agency; a single one has 128 bytes that nothing compresses.
    assert bytes_an_entry(tmp_path, people=1500, uses=2, grants=1) <= 110
    assert bytes_an_entry(tmp_path, people=1500, uses=1, grants=1) <= 150
