"""Holds the whole archive against what was signed and published, file by file, in plain words."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from sqlalchemy import Connection

from accounts.vault import Vault
from consent.archive import checking, rows
from consent.archive.checking import Month
from consent.archive.manifest import Manifest, beside, hash_of
from consent.archive.moving import Listed, listed
from consent.archive.parts import Part, PartFile
from consent.archive.store import begin_of, end_of
from consent.errors import ArchiveError
from consent.ledger.note import VerifierKey
from consent.log_state import LogState


@dataclass(frozen=True)
class Told:
    """What is said of a file, or of a month that none is listed of."""

    about: str
    said: str
    is_good: bool = True


def verify(db: Connection, vault: Vault, folder: Path, key: VerifierKey) -> Iterator[Told]:
    """Say of every file whether it is as it was signed and as the published logs say, and of every month
    whose uses are neither here nor there.
    """
    state = LogState(db)
    published, known = checking.months(state), listed(db)
    for name, files in groupby(known, key=lambda one: one.month):
        month = published.get(name)
        if month is None:
            yield Told(name, "no published log is of this month", is_good=False)
            continue
        yield from _month(db, vault, folder, key, month, list(files))
    yield from _unlisted(db, state, folder, published, known)


def _month(
    db: Connection, vault: Vault, folder: Path, key: VerifierKey, month: Month,
    files: Sequence[Listed],
) -> Iterator[Told]:  # fmt: skip
    state = LogState(db)
    try:
        checking.check_roots(state, month)
    except ArchiveError as error:
        yield Told(month.month, error.detail, is_good=False)
        return
    are_good, entries, removed = True, 0, 0
    for one, answers_for in zip(files, checking.bounds([o.least for o in files]), strict=True):
        try:
            manifest = _signed(folder, key, one, month, len(files))
            wanted = checking.expected(state, month, *answers_for)
            file = PartFile(folder / one.file)
            found = checking.check_part(db, vault, file, wanted, manifest.others)
            _compare(manifest, one, found)
            _open_asides(db, vault, file.part, manifest)
        except ArchiveError as error:
            are_good = False
            yield Told(one.file, error.detail, is_good=False)
            continue
        entries, removed = entries + found.entries, removed + found.removed
        aside = (
            f"; {len(manifest.aside)} set aside ({manifest.reference})" if manifest.aside else ""
        )
        shredded = f", of {found.shredded} nobody can read them" if found.shredded else ""
        yield Told(
            one.file,
            f"{found.entries} uses of {found.people} people{shredded}, as signed and published"
            f"{aside}",
        )
    if are_good and entries + removed != month.size:
        said = f"{month.size} uses are published, {entries} are here and {removed} were removed"
        yield Told(month.month, said, is_good=False)


def _signed(folder: Path, key: VerifierKey, one: Listed, month: Month, count: int) -> Manifest:
    """Return a file's manifest, which says of the file, the list and the logs what they are.

    Raises:
        ArchiveError: one of them is another.
    """
    path = folder / one.file
    try:
        manifest = Manifest.parse(beside(path).read_bytes(), key)
        size, digest = path.stat().st_size, hash_of(path)
    except FileNotFoundError as error:
        what = "the file" if str(error.filename) == str(path) else "its manifest"
        raise ArchiveError(f"{what} is missing") from error
    except OSError as error:
        raise ArchiveError(f"it cannot be read ({error.strerror})") from error
    if (manifest.size, manifest.sha256) != (size, digest) or digest != one.sha256:
        raise ArchiveError("the file is not the one that was signed")
    if (manifest.month, manifest.part, manifest.parts) != (month.month, one.part, count):
        raise ArchiveError("the manifest is another file's, or a part of the month is not listed")
    if dict(manifest.logs) != month.logs:
        raise ArchiveError("the month's logs have changed since")
    return manifest


def _open_asides(db: Connection, vault: Vault, part: Part, manifest: Manifest) -> None:
    """Check that the rows that were set aside open, as far as their people's keys are there.

    Raises:
        ArchiveError: one does not.
    """
    known = rows.people(db, vault, (one.who for one in manifest.aside), part.year)
    for one in manifest.aside:
        key = known[one.who].key if one.who in known else None
        if one.sealed is not None and key is not None:
            part.opened_row(one.who, one.sealed, key)


def _compare(manifest: Manifest, one: Listed, found: checking.Found) -> None:
    said = {(manifest.rows, manifest.entries), (one.people, one.entries)}
    if said != {(found.people, found.entries)}:
        raise ArchiveError("it holds another number of uses than the manifest and the list say")


def _unlisted(
    db: Connection, state: LogState, folder: Path, published: dict[str, Month],
    known: Sequence[Listed],
) -> Iterator[Told]:  # fmt: skip
    for name, month in published.items():
        if any(one.month == name for one in known):
            continue
        # Without rows and without files, everybody's uses of the month have to be over.
        if not rows.are_there(db, begin_of(name), end_of(name)):
            try:
                checking.check_gone(db, state, month)
            except ArchiveError as error:
                yield Told(name, error.detail, is_good=False)
    files = {one.file for one in known}
    for path in sorted(folder.glob("uses-*.parquet")):
        if path.name not in files:
            said = "is not listed: left by a run that was interrupted, or the database is older"
            yield Told(path.name, said, is_good=False)
