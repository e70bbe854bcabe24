"""Holds files against the published logs: every entry of the month is there once, and as it was signed."""

from collections import defaultdict
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

from sqlalchemy import Connection

from accounts.vault import Vault
from consent.archive import rows
from consent.archive.parts import WHO_BYTES, Block, Part, PartFile
from consent.data_use import bound
from consent.errors import ArchiveError
from consent.ledger import tiles
from consent.ledger.tree import leaf_hash, root_of
from consent.log_state import STREAM, STREAM_BYTES, LogState

LEAST = bytes(WHO_BYTES)
BEYOND = b"\xff" * WHO_BYTES + b"\xff"
"""After whatever anybody is found by."""
_AT_ONCE = 512


@dataclass
class Found:
    """What a file holds. ``shredded`` people's keys are gone, so that nobody can read their entries;
    ``removed`` entries were gone before the file was made.
    """

    people: int = 0
    entries: int = 0
    shredded: int = 0
    removed: int = 0


Expected = dict[bytes, dict[int, bytes]]
"""Commitments by person and position."""


@dataclass
class Month:
    """The entry logs of a month as they are published: size and root by name."""

    month: str
    logs: dict[str, tuple[int, bytes]] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """How many entries they have."""
        return sum(size for size, _ in self.logs.values())


def months(state: LogState) -> dict[str, Month]:
    """Return the months there are entry logs of, oldest first."""
    found: dict[str, Month] = {}
    for name, log in sorted(state.logs().items()):
        kind, _, rest = name.partition("/")
        if kind == "entries":
            month = rest[:7]
            found.setdefault(month, Month(month)).logs[name] = (log.size, log.root)
    return found


def leaves(state: LogState, name: str, size: int) -> Iterator[tuple[bytes, int, bytes]]:
    """Yield by what each entry's person is found, its position and its commitment.

    Raises:
        ArchiveError: the stored log is cut short.
    """
    for number in range(-(-size // tiles.WIDTH)):
        width = tiles.width_at(size, 0, number)
        whose = state.tile(name, STREAM, number)
        try:
            entries = tiles.unbundle(state.tile(name, tiles.ENTRIES, number))[:width]
        except ValueError:
            entries = []
        if len(entries) != width or len(whose) < width * STREAM_BYTES:
            raise ArchiveError(f"{name} is cut short; see 'sen ledger check'")
        for place, entry in enumerate(entries):
            one = whose[place * STREAM_BYTES : (place + 1) * STREAM_BYTES]
            yield one[:WHO_BYTES], int.from_bytes(one[32:], "big"), entry


def check_roots(state: LogState, month: Month) -> None:
    """Check that the stored entries of a month are those whose roots were signed.

    Raises:
        ArchiveError: they are not.
    """
    for name, (size, root) in month.logs.items():
        if root_of(leaf_hash(entry) for _, _, entry in leaves(state, name, size)) != root:
            raise ArchiveError(f"{name} does not have its signed root; see 'sen ledger check'")


def expected(state: LogState, month: Month, least: bytes, beyond: bytes) -> Expected:
    """Return what the logs say of the people from ``least`` to before ``beyond``."""
    found: Expected = defaultdict(dict)
    for name, (size, _) in month.logs.items():
        for own, position, entry in leaves(state, name, size):
            if least <= own < beyond:
                found[own][position] = entry
    return found


def check_part(
    db: Connection,
    vault: Vault,
    file: PartFile,
    wanted: Expected,
    others: Container[tuple[bytes, int]] = frozenset(),
) -> Found:
    """Check every block of a file: that it holds just the entries ``wanted`` has for the person, but for
    those whose time was over, and that each opens in its place to what its commitment binds; but those
    at the places ``others``, which were set aside, to something else.

    Raises:
        ArchiveError: something is missing, changed, added, or in another's place.
    """
    found, part, before = Found(), file.part, b""
    blocks = file.blocks()
    while some := list(islice(blocks, _AT_ONCE)):
        known = rows.people(db, vault, (block.who for block in some), part.year)
        for block in some:
            if block.who <= before:
                raise ArchiveError(f"{part.month}: blocks are not in their order")
            before = block.who
            person = known.get(block.who)
            if person is None:
                raise ArchiveError(f"{part.month}: a block belongs to nobody")
            found.removed += _compare(part, block, wanted.pop(block.who, {}), person.removed)
            _open(part, block, person, others)
            found.people += 1
            found.entries += len(block.commitments)
            found.shredded += person.key is None
    found.removed += _left(db, part, wanted)
    return found


def check_gone(db: Connection, state: LogState, month: Month) -> None:
    """Check that a month's uses are gone from their chains, all of them.

    Raises:
        ArchiveError: there must be some still.
    """
    latest: dict[bytes, int] = {}
    for name, (size, _) in month.logs.items():
        for own, position, _ in leaves(state, name, size):
            latest[own] = max(position, latest.get(own, 0))
    begun = rows.removed(db, latest)
    left = sum(position > begun.get(own, 0) for own, position in latest.items())
    if left:
        raise ArchiveError(f"uses of {left} people are neither in the database nor in the archive")


def _compare(part: Part, block: Block, wanted: Mapping[int, bytes], removed: int) -> int:
    own = dict(enumerate(block.commitments, block.first))
    # What was removed, was removed from a chain's beginning.
    earlier = [position for position in wanted if position < block.first]
    rest = {position: entry for position, entry in wanted.items() if position >= block.first}
    if own != rest or max(earlier, default=0) > removed:
        raise ArchiveError(
            f"{part.month}: a block is not what the published log says of its person"
        )
    return len(earlier)


def _left(db: Connection, part: Part, wanted: Expected) -> int:
    """Return how many entries of people without a block are gone lawfully."""
    begun = rows.removed(db, wanted)
    for own, entries in wanted.items():
        if max(entries) > begun.get(own, 0):
            raise ArchiveError(f"{part.month}: a person's uses are missing")
    return sum(map(len, wanted.values()))


def _open(
    part: Part, block: Block, person: rows.Person, others: Container[tuple[bytes, int]]
) -> None:
    if person.key is None:
        return
    for entry in part.entries(block, person.subject_id, person.key):
        is_bound = bound(entry, person.key) == entry.commitment
        if is_bound == ((block.who, entry.position) in others):
            raise ArchiveError(
                f"{part.month}: an entry that was set aside is as it was recorded"
                if is_bound
                else f"{part.month}: an entry is not the one its commitment binds"
            )


def bounds(leasts: list[bytes]) -> list[tuple[bytes, bytes]]:
    """Return which people a month's parts answer for, from the first person of each: nobody is left
    between two.
    """
    begins = [LEAST, *leasts[1:]]
    return list(zip(begins, [*leasts[1:], BEYOND], strict=True))
