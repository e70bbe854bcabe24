"""The head map: one small proof that a subject's chain of uses ends where it is said to end.

A Merkle tree of a fixed depth over 2^depth buckets. A subject's index (a keyed hash, so it names
nobody) tells the bucket; a bucket is the list of its items, each an index and a hash over the chain's
length and head. Whoever sees the whole bucket sees also that an index is not in it: presence and
absence have the same proof.

The tree is kept in pieces of 16 hashes, each below one hash of the next level's pieces.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from consent.ledger.tree import HASH_BYTES, ProofError, node_hash

DEPTH = 16
"""For an embedded database: 65,536 buckets. A nation would take 24."""
INDEX_BYTES = 32
_HEIGHT = 4
_WIDTH = 1 << _HEIGHT
_ITEM_TAG = b"sen-id/map-item/v1\x00"
_BUCKET_TAG = b"sen-id/map-bucket/v1\x00"

Item = tuple[bytes, bytes]
"""An index, and the hash of what the map says of it."""
Place = tuple[int, int]
"""The level and number of a piece of the tree."""


def item(index: bytes, length: int, head: bytes) -> Item:
    """Return the item of a chain. The hash hides both, because a head is unpredictable."""
    body = _ITEM_TAG + index + length.to_bytes(8, "big") + head
    return index, hashlib.sha256(body).digest()


def bucket_of(index: bytes, depth: int = DEPTH) -> int:
    """Return the number of the bucket an index belongs to."""
    return int.from_bytes(index[:8], "big") >> (64 - depth)


def bucket_hash(items: Sequence[Item]) -> bytes:
    """Return the hash of a bucket; its items are in the order of their indexes."""
    return hashlib.sha256(_BUCKET_TAG + b"".join(i + h for i, h in items)).digest()


@cache
def empty_hash(level: int) -> bytes:
    """Return the hash, so many levels above the buckets, where nobody is."""
    if level == 0:
        return bucket_hash(())
    below = empty_hash(level - 1)
    return node_hash(below, below)


def update(
    read: Callable[[Iterable[Place]], Mapping[Place, bytes]],
    buckets: Mapping[int, bytes],
    depth: int = DEPTH,
) -> tuple[bytes, dict[Place, bytes]]:
    """Give buckets new hashes; return the root and the pieces that changed.

    ``read`` returns those of the pieces that exist.
    """
    changed: dict[Place, bytes] = {}
    levels, above, row = [], set(buckets) or {0}, dict(buckets)
    for _ in range(depth // _HEIGHT):
        above = {number // _WIDTH for number in above}
        levels.append(sorted(above))
    known = read([(level, number) for level, numbers in enumerate(levels) for number in numbers])
    for level, numbers in enumerate(levels):
        upper: dict[int, bytes] = {}
        pieces = {n: bytearray(known.get((level, n)) or _empty_piece(level)) for n in numbers}
        for number, value in row.items():
            start = number % _WIDTH * HASH_BYTES
            pieces[number // _WIDTH][start : start + HASH_BYTES] = value
        for number, piece in pieces.items():
            changed[level, number] = bytes(piece)
            upper[number] = _rows(bytes(piece))[-1][0]
        row = upper
    return row[0], changed


def prove(
    read: Callable[[Iterable[Place]], Mapping[Place, bytes]], bucket: int, depth: int = DEPTH
) -> list[bytes]:
    """Return the siblings on the way from a bucket to the root."""
    siblings: list[bytes] = []
    places = [(level, bucket >> (_HEIGHT * (level + 1))) for level in range(depth // _HEIGHT)]
    known = read(places)
    for level, number in places:
        place = bucket >> (_HEIGHT * level) & (_WIDTH - 1)
        for row in _rows(known.get((level, number)) or _empty_piece(level))[:-1]:
            siblings.append(row[place ^ 1])
            place >>= 1
    return siblings


@dataclass(frozen=True)
class MapProof:
    """The whole bucket, and the way from it to the map's root."""

    items: tuple[Item, ...]
    siblings: tuple[bytes, ...]

    def verify(
        self, index: bytes, length: int, head: bytes, root: bytes, depth: int = DEPTH
    ) -> None:
        """Check that the map says this of the chain; of a chain without uses, that it has none.

        Raises:
            ProofError: it says something else.
        """
        indexes = [i for i, _ in self.items]
        if sorted(set(indexes)) != indexes or len(self.siblings) != depth:
            raise ProofError("bucket-disordered")
        bucket = bucket_of(index, depth)
        if any(len(i) != INDEX_BYTES or bucket_of(i, depth) != bucket for i in indexes):
            raise ProofError("bucket-disordered")
        found = bucket_hash(self.items)
        for sibling in self.siblings:
            found = node_hash(sibling, found) if bucket & 1 else node_hash(found, sibling)
            bucket >>= 1
        if found != root:
            raise ProofError("root-differs")
        expected = item(index, length, head)[1] if length else None
        if dict(self.items).get(index) != expected:
            raise ProofError("head-differs")


@cache
def _empty_piece(level: int) -> bytes:
    return empty_hash(level * _HEIGHT) * _WIDTH


def _rows(piece: bytes) -> list[list[bytes]]:
    """Return the piece's hashes, and the rows above them up to its one root."""
    rows = [[piece[i : i + HASH_BYTES] for i in range(0, len(piece), HASH_BYTES)]]
    while len(rows[-1]) > 1:
        row = rows[-1]
        rows.append([node_hash(row[i], row[i + 1]) for i in range(0, len(row), 2)])
    return rows
