"""What stands in the way of moving a month: rows of uses that are not what the published logs bind.

The logs say how many entries there are, whose, and each one's commitment; a row that does not fit was
changed, removed or added after it was published. None of it is ever made to fit: a row is put right
only by a copy that fits (``mending``), or goes to the archive as it is, told as that (``moving``).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from heapq import merge
from itertools import islice

from sqlalchemy import Connection

from accounts.vault import Vault
from consent.archive import checking, rows
from consent.archive.checking import BEYOND, LEAST, Month
from consent.archive.store import begin_of, end_of, key_of
from consent.data_use import UseEntry, bound, lost
from consent.log_state import LogState

_PEOPLE = 16_384
"""Whose rows are laid beside the logs at once."""


class Fault(StrEnum):
    """What is wrong with one entry."""

    CHANGED = "changed"
    """It says something else than what was recorded."""
    COMMITMENT = "commitment"
    """It says what was recorded; only the commitment beside it is another."""
    MISSING = "missing"
    """Its row is gone."""
    ADDED = "added"
    """A row that the published logs do not have."""
    NO_KEY = "no-key"
    """The person's key of the year is gone, so nobody can tell what was recorded."""


CONTENT_IS_ANOTHER = frozenset({Fault.CHANGED, Fault.MISSING})
"""The faults after which what the archive has at the entry's place is not what was recorded."""


@dataclass(frozen=True)
class Finding:
    """One entry that is not as it was published: by what its person is found, its place in her chain,
    the commitment that the logs have, and the row as it was found.
    """

    month: str
    who: bytes
    subject_id: str
    position: int
    fault: Fault
    published: bytes | None = None
    found: UseEntry | None = None


def examine(db: Connection, vault: Vault, month: Month) -> Iterator[Finding]:
    """Yield everything in which the rows of a month differ from its published logs, by people.

    Rows that are to be published yet are left out.

    Raises:
        ArchiveError: the stored logs are not as they were signed.
    """
    state = LogState(db)
    checking.check_roots(state, month)
    begin, end = begin_of(month.month), end_of(month.month)
    with closing(rows.by_person(db, vault, begin, end)) as people:
        some, least = list(islice(people, _PEOPLE)), LEAST
        while True:
            following = next(people, None)
            beyond = following[0].who if following else BEYOND
            wanted = checking.expected(state, month, least, beyond)
            found = [(person, own, wanted.pop(person.who, {})) for person, own in some]
            without_rows = rows.people(db, vault, wanted, begin.year)
            found += [(without_rows[who], [], wanted[who]) for who in wanted if who in without_rows]
            for person, own, published in sorted(found, key=lambda one: one[0].who):
                yield from _of_person(month.month, person, own, published)
            if following is None:
                return
            some, least = [following, *islice(people, _PEOPLE - 1)], beyond


def _of_person(
    month: str, person: rows.Person, own: Iterable[UseEntry], published: Mapping[int, bytes]
) -> Iterator[Finding]:
    at_place: dict[int, list[UseEntry]] = defaultdict(list)
    for entry in own:
        is_to_come = person.published < entry.position <= person.length
        if entry.position in published or not is_to_come:
            at_place[entry.position].append(entry)
    lasting = (position for position in published if position > person.removed)
    for position in sorted({*at_place, *lasting}):
        commitment = published.get(position)
        for fault, row in _faults(at_place.get(position, []), commitment, person.key):
            yield Finding(month, person.who, person.subject_id, position, fault, commitment, row)


def _faults(
    found: list[UseEntry], commitment: bytes | None, key: bytes | None
) -> Iterator[tuple[Fault, UseEntry | None]]:
    """Yield what is wrong at one place, with the row: PostgreSQL may have several, of different moments."""
    if key is None:
        yield Fault.NO_KEY, found[0] if found else None
        return
    rest = list(found)
    if commitment is not None:
        row = next((one for one in found if bound(one, key) == commitment), None)
        is_right = row is not None
        row = row or (found[0] if found else None)
        if row is None:
            yield Fault.MISSING, None
            return
        rest.remove(row)
        if not is_right:
            yield Fault.CHANGED, row
        elif row.commitment != commitment:
            yield Fault.COMMITMENT, row
    for row in rest:
        yield Fault.ADDED, row


def told_apart(
    db: Connection, vault: Vault, subject_id: str, entries: Iterable[UseEntry]
) -> Iterator[tuple[UseEntry, bool]]:
    """Yield a person's entries, each with whether it is altered: not what its commitment binds, or its
    key is gone, so that nobody can tell.
    """
    keys: dict[int, bytes | None] = {}
    for entry in entries:
        year = entry.at.year
        if year not in keys:
            keys[year] = key_of(db, vault, subject_id, year)
        key = keys[year]
        yield entry, key is None or bound(entry, key) != entry.commitment


def as_published(
    people: Iterable[tuple[rows.Person, list[UseEntry]]],
    without_rows: Mapping[bytes, rows.Person],
    findings: Mapping[bytes, list[Finding]],
    begin: datetime,
) -> Iterator[tuple[rows.Person, list[UseEntry]]]:
    """Yield people with as many entries as the logs have, each with the logs' commitment: what a row says
    is left as it was found, and where it is gone stands a ``lost`` one. ``findings`` are those of
    ``examine``, ``without_rows`` the people in them who have no row, ``begin`` the month's first moment.
    """
    gone = ((without_rows[who], list[UseEntry]()) for who in sorted(without_rows))
    for person, own in merge(people, gone, key=lambda one: one[0].who):
        of_hers = findings.get(person.who, [])
        added = [one.found for one in of_hers if one.fault is Fault.ADDED]
        kept = {entry.position: entry for entry in own if entry not in added}
        for one in of_hers:
            if one.fault is Fault.ADDED:
                continue
            assert one.published is not None  # noqa: S101 - all but added ones are published
            row = one.found or _gap(kept, one, begin)
            kept[one.position] = replace(row, commitment=one.published)
        if kept:
            yield person, [entry for _, entry in sorted(kept.items())]


def _gap(kept: Mapping[int, UseEntry], one: Finding, begin: datetime) -> UseEntry:
    before = [position for position in kept if position < one.position]
    at = kept[max(before)].at if before else begin
    return lost(one.subject_id, one.position, at, one.published or b"")
