"""Months with rows that somebody tampered with: each is named, put right where a backup proves what it
said, or set aside as it was found, told as altered for ever.
"""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, delete, insert, select, update

from accounts.schema import metadata
from accounts.subject import subject
from consent.archive.manifest import Manifest, beside
from consent.archive.parts import PartFile
from consent.archive.tampered import Fault
from consent.data_use import Channel, data_use, subject_key
from consent.errors import ArchiveError
from consent.use_terms import use_terms
from idp import archiving
from idp.database import connect
from idp.services import Installation
from tests.support.clock import Clock
from tests.support.shelf import MOVED, Shelf, filled, run
from tests.support.stores import Templates

COPIED = (subject, subject_key, use_terms, data_use)


@pytest.fixture
def shelf(installation: Installation, clock: Clock) -> Shelf:
    return filled(installation, clock)


def at(shelf: Shelf, number: int, position: int) -> tuple[Any, ...]:
    return data_use.c.subject_id == shelf.people[number], data_use.c.position == position


def tamper(shelf: Shelf) -> set[tuple[int, int, Fault]]:
    """Do all that the owner of the database can do to rows; return by number what was done to whom."""
    with shelf.installation.engine.begin() as db:
        db.execute(update(data_use).where(*at(shelf, 1, 7)).values(correlation="x"))
        # With its commitment, as who has no key of hers would make one up.
        other = {"detail": '{"reason":"ended"}', "commitment": bytes(32)}
        db.execute(update(data_use).where(*at(shelf, 1, 6)).values(**other))
        db.execute(update(data_use).where(*at(shelf, 1, 2)).values(commitment=bytes(32)))
        db.execute(delete(data_use).where(*at(shelf, 0, 2)))
        # All that she had in the month.
        db.execute(delete(data_use).where(*at(shelf, 2, 1)))
        row = db.execute(select(data_use).where(*at(shelf, 0, 1))).one()
        invented = {**row._asdict(), "subject_id": shelf.people[3], "position": 99}
        db.execute(insert(data_use).values(invented))
    return {
        (1, 7, Fault.CHANGED), (1, 6, Fault.CHANGED), (1, 2, Fault.COMMITMENT),
        (0, 2, Fault.MISSING), (2, 1, Fault.MISSING), (3, 99, Fault.ADDED),
    }  # fmt: skip


def found(shelf: Shelf, *, due: bool = True) -> set[tuple[int, int, Fault]]:
    return {
        (shelf.people.index(one.subject_id), one.position, one.fault)
        for one in archiving.tampered(shelf.installation, due=due)
    }


def test_what_was_tampered_with_is_set_aside_as_it_was_found(shelf: Shelf) -> None:
    before, i = shelf.everything(), shelf.installation
    assert found(shelf, due=False) == set()
    done = tamper(shelf)
    assert (found(shelf), found(shelf, due=False)) == (set(), done)
    shelf.clock.advance(days=MOVED)
    assert found(shelf) == done
    with pytest.raises(ArchiveError):
        run(i)
    month, later = (one.month for one in archiving.archiver(i).waiting(13))
    with pytest.raises(ArchiveError, match=f"{month} is the next"):
        archiving.set_aside(i, later, "7/2026")
    moved = archiving.set_aside(i, month, "7/2026")
    assert moved.aside == 6
    # The way is free, the files agree with the logs, and say what is wrong with them.
    assert len(run(i)) == 1
    assert (shelf.rows(), found(shelf)) == (0, set())
    assert shelf.is_all_good()
    path = shelf.folder / shelf.files[0]
    assert "6 set aside (7/2026)" in " ".join(one.said for one in archiving.check(i))
    assert len(archiving.told_aside(i, path.name)) == 6
    # Nothing is lost: each row is there as it was found, under the commitment that was published.
    for number in (0, 1, 2, 3):
        entries = {one.position: one for one in shelf.told(number)[0]}
        for one in before[number][0]:
            same = entries.pop(one.position)
            assert same.commitment == one.commitment
            was_changed = {fault for who, p, fault in done if (who, p) == (number, one.position)}
            if not was_changed or was_changed == {Fault.COMMITMENT}:
                assert same == one
            assert same.is_lost == (was_changed == {Fault.MISSING})
        assert not entries
    changed = {one.position: one.use for one in shelf.told(1)[0]}
    assert (changed[7].correlation, changed[6].detail) == ("x", {"reason": "ended"})
    manifest = Manifest.parse(beside(path).read_bytes(), archiving.manifest_signer(i).verifier)
    aside = {(one.fault, one.position): one for one in manifest.aside}
    assert aside[Fault.CHANGED, 6].commitment == bytes(32)
    added = aside[Fault.ADDED, 99]
    assert added.sealed is not None
    with i.engine.begin() as db:
        key = i.services(db).use_log._find_key(shelf.people[3], PartFile(path).part.year)
    assert key is not None
    row = PartFile(path).part.opened_row(added.who, added.sealed, key)["row"]
    assert (row["position"], row["subject"]) == (99, shelf.people[3])
    evidence = archiving.evidence(i, path.name)
    assert [bool(one["row_found"]) for one in evidence].count(False) == 2
    assert {one["row_found"]["correlation"] for one in evidence if one["position"] == 7} == {"x"}
    shelf.publish()
    for one in shelf.people:
        with i.engine.begin() as db:
            look = i.services(db).use_log.of_subject(one)[0]
        assert look.use.channel is Channel.OPERATOR_VIEW
    # Whose entries were altered is told so by every check; the others' proofs verify.
    assert [shelf.told(number)[2] for number in range(4)] == [False, False, False, True]
    assert [shelf.proves(number).is_good for number in range(4)] == [False, False, False, True]


def test_a_way_is_no_way_for_what_can_still_be_moved(shelf: Shelf) -> None:
    shelf.clock.advance(days=MOVED)
    (first, _) = (one.month for one in archiving.archiver(shelf.installation).waiting(13))
    with pytest.raises(ArchiveError, match="was tampered with"):
        archiving.set_aside(shelf.installation, first, "7/2026")
    with shelf.installation.engine.begin() as db:
        db.execute(delete(subject_key).where(subject_key.c.subject_id == shelf.people[1]))
    with pytest.raises(ArchiveError, match="a key is gone"):
        archiving.set_aside(shelf.installation, first, "7/2026")
    assert not shelf.files


def back_up(shelf: Shelf, url: str) -> None:
    """Copy what a backup would have of uses into another database."""
    backup = connect(url)
    metadata.create_all(backup, list(COPIED))
    with shelf.installation.engine.begin() as db, backup.begin() as other:
        for table in COPIED:
            rows = [row._asdict() for row in db.execute(select(table))]
            other.execute(insert(table), rows)
    backup.dispose()


def without_a_key(shelf: Shelf, db: Connection) -> None:
    db.execute(delete(subject_key).where(subject_key.c.subject_id == shelf.people[1]))


def other_terms(_: Shelf, db: Connection) -> None:
    db.execute(update(use_terms).where(use_terms.c.client_id == "b").values(client_id="c"))


def no_terms(_: Shelf, db: Connection) -> None:
    db.execute(delete(use_terms).where(use_terms.c.client_id == "b"))


@pytest.mark.parametrize("more", [None, without_a_key, other_terms, no_terms])
def test_what_a_backup_proves_is_put_right(
    shelf: Shelf,
    templates: Templates,
    kind: str,
    more: Callable[[Shelf, Connection], None] | None,
) -> None:
    before, i = shelf.everything(), shelf.installation
    with templates.copy(kind, empty=True) as url:
        back_up(shelf, url)
        tamper(shelf)
        if more is not None:
            with i.engine.begin() as db:
                more(shelf, db)
        backup = connect(url)
        mended = list(archiving.mend(i, backup))
        backup.dispose()
    # What was added is no entry of anybody's, and stays to be looked at.
    assert [one.finding.position for one in mended if not one.is_mended] == [99]
    assert found(shelf, due=False) == {(3, 99, Fault.ADDED)}
    with i.engine.begin() as db:
        db.execute(delete(data_use).where(*at(shelf, 3, 99)))
    assert shelf.everything() == before
    assert [shelf.proves(number).is_good for number in range(4)] == [True] * 4
    shelf.clock.advance(days=MOVED)
    assert len(run(i)) == 2
    assert shelf.is_all_good()


def test_a_backup_is_not_believed(shelf: Shelf, templates: Templates, kind: str) -> None:
    """What it has must be what was published; by the logs alone a wrong commitment is put right."""
    with templates.copy(kind, empty=True) as url:
        done = tamper(shelf)
        back_up(shelf, url)
        backup = connect(url)
        mended = list(archiving.mend(shelf.installation, backup))
        backup.dispose()
    assert [one.finding.position for one in mended if one.is_mended] == [2]
    assert found(shelf, due=False) == done - {(1, 2, Fault.COMMITMENT)}
