"""Checks the published logs against what they are made of, and makes them anew from it.

What cannot be derived is the order of the entries: their bundles, and whose each is. Everything else
(hashes, heads, the map, roots) follows, and has to agree with what was signed. A damaged bundle is
made anew from the rows of uses.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from sqlalchemy import Connection, delete, select

from consent.data_use import data_use, subject_chain
from consent.errors import ArchiveError
from consent.ledger import chain, head_map, tiles
from consent.ledger.epoch import ROOT_LOG, Epoch
from consent.ledger.tree import leaf_hash
from consent.log_state import (
    STREAM,
    STREAM_BYTES,
    Head,
    Log,
    LogState,
    ledger_piece,
    ledger_tile,
)
from consent.old_uses import Old, old_uses_at


@dataclass
class Findings:
    """What is not as it was signed: ``lost`` cannot be made anew, ``mended`` can (or was)."""

    mended: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


class Rebuild:
    """One run, within one transaction; ``write`` says whether the differences are mended."""

    def __init__(
        self,
        db: Connection,
        index_of: Callable[[str], bytes],
        old: Old | None = None,
        *,
        write: bool,
    ) -> None:
        self._db = db
        self._old = old
        self._state = LogState(db)
        self._write = write
        self._findings = Findings()
        self._heads: dict[bytes, Head] = {}
        chains = db.execute(select(subject_chain.c.subject_id)).scalars()
        self._subjects = {index_of(subject_id): subject_id for subject_id in chains}

    def run(self) -> Findings:
        """Go through everything; nothing is written where anything is lost for good."""
        logs = self._state.logs()
        made = {name: self._log(log) for name, log in sorted(logs.items())}
        pieces = self._map(logs.get(ROOT_LOG))
        if self._write and not self._findings.lost:
            for name, changed in made.items():
                self._db.execute(
                    delete(ledger_tile).where(ledger_tile.c.log == name, ledger_tile.c.level >= 0)
                )
                self._state.save_tiles({name: changed})
            self._db.execute(delete(ledger_piece))
            self._state.save_pieces(pieces)
            self._state.save_heads(self._heads.values())
        return self._findings

    def _log(self, log: Log) -> dict[tuple[int, int], bytes]:
        entries = [entry for number in self._numbers(log) for entry in self._entries(log, number)]
        made, tree = tiles.append(0, [leaf_hash(entry) for entry in entries], lambda _l, _n: b"")
        if (tree.size, tree.root()) != (log.size, log.root):
            self._findings.lost.append(f"{log.name}: the entries do not give the signed root")
            return made
        for (level, number), data in made.items():
            if self._state.tile(log.name, level, number) != data:
                self._findings.mended.append(f"{log.name}: tile {level}/{number}")
        for number in self._numbers(log):
            bundle = tiles.bundle(entries[number * tiles.WIDTH : (number + 1) * tiles.WIDTH])
            if self._state.tile(log.name, tiles.ENTRIES, number) != bundle:
                self._findings.mended.append(f"{log.name}: entries {number}")
                made[tiles.ENTRIES, number] = bundle
        for (index, position), commitment in zip(self._whose(log), entries, strict=False):
            before: Head | None = self._heads.get(index)
            head = chain.advance(before.head if before else chain.EMPTY, commitment)
            subject = self._subjects.get(index, "")
            if position != (before.length if before else 0) + 1 or not subject:
                self._findings.lost.append(f"{log.name}: whose entries they are")
                break
            bucket = head_map.bucket_of(index)
            self._heads[index] = Head(subject, bucket, index, position, head)
        return made

    def _map(self, root: Log | None) -> dict[tuple[int, int], bytes]:
        known = {
            head.index: head for head in self._state.heads_of(self._subjects.values()).values()
        }
        for index, head in self._heads.items():
            if known.get(index) != head:
                self._findings.mended.append(f"head {index.hex()[:16]}")
        if len(known) > len(self._heads):
            self._findings.lost.append("heads that no entry leads to")
        buckets: dict[int, list[head_map.Item]] = {}
        for _, head in sorted(self._heads.items()):
            buckets.setdefault(head.bucket, []).append(head.item)
        hashes = {number: head_map.bucket_hash(items) for number, items in buckets.items()}
        map_root, pieces = head_map.update(lambda _places: {}, hashes)
        # What the root log says is believed only if it is what was signed.
        if root is not None and not self._findings.lost:
            last = self._entries(root, (root.size - 1) // tiles.WIDTH)[-1]
            if Epoch.parse(last).map_root != map_root:
                self._findings.lost.append("the map does not have the signed root")
        stored = self._state.pieces(pieces)
        self._findings.mended += [f"map {p}" for p, data in pieces.items() if stored.get(p) != data]
        return pieces

    @staticmethod
    def _numbers(log: Log) -> range:
        return range(-(-log.size // tiles.WIDTH))

    def _entries(self, log: Log, number: int) -> list[bytes]:
        """Return the entries of a bundle; if their hashes are others, those of the rows of uses."""
        wanted = tiles.width_at(log.size, 0, number)
        hashes = tiles.hashes(self._state.tile(log.name, 0, number))
        try:
            entries = tiles.unbundle(self._state.tile(log.name, tiles.ENTRIES, number))[:wanted]
        except ValueError:
            entries = []
        if [leaf_hash(entry) for entry in entries] == hashes[:wanted] or "/" not in log.name:
            return entries
        first = number * tiles.WIDTH
        whose = list(self._whose(log))[first : first + wanted]
        rows = [self._commitment(index, position) for index, position in whose]
        if [leaf_hash(row) for row in rows] == hashes[:wanted]:
            return rows
        # Which of the two is right is told by the root.
        return entries if len(entries) == wanted else rows

    def _whose(self, log: Log) -> Iterator[tuple[bytes, int]]:
        if "/" not in log.name:
            return
        for number in self._numbers(log):
            data = self._state.tile(log.name, STREAM, number)
            for place in range(0, len(data), STREAM_BYTES):
                one = data[place : place + STREAM_BYTES]
                yield one[:32], int.from_bytes(one[32:], "big")

    def _commitment(self, index: bytes, position: int) -> bytes:
        subject_id = self._subjects.get(index)
        if subject_id is None:
            return b""
        found: bytes | None = self._db.execute(
            select(data_use.c.commitment).where(
                data_use.c.subject_id == subject_id, data_use.c.position == position
            )
        ).scalar()
        if found is not None:
            return found
        try:
            old = old_uses_at(self._db, self._old, subject_id, position)
        except ArchiveError:
            old = None
        return old.commitments[position - old.first] if old is not None else b""


def rebuild(
    db: Connection, index_of: Callable[[str], bytes], old: Old | None = None, *, write: bool
) -> Findings:
    """Check everything, and with ``write`` mend what can be, from rows of uses and from ``old`` ones."""
    return Rebuild(db, index_of, old, write=write).run()
