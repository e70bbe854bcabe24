"""Tiles: a tree's hashes in pieces of 256, named and spelled as C2SP tlog-tiles says.

A piece only ever grows, so the narrower one that an older checkpoint needs is its beginning.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from consent.ledger.tree import HASH_BYTES, Frontier, node_hash

WIDTH = 256
_HEIGHT = 8
_NUMBER = r"(?:x[0-9]{3}/)*[0-9]{3}"
_PATH = re.compile(
    rf"tile/(?P<level>entries|[0-9]|[1-5][0-9]|6[0-3])/(?P<number>{_NUMBER})(?:\.p/(?P<width>[1-9][0-9]{{0,2}}))?",
    re.ASCII,
)
ENTRIES = -1
"""Stands for a level: the entries themselves."""

Read = Callable[[int, int], bytes]
"""Returns what there is of the tile at a level and number, empty if nothing is."""


@dataclass(frozen=True)
class Tile:
    """Which tile: its level (``ENTRIES`` for the entries), number, and how many of 256 it holds."""

    level: int
    number: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        """Where it is, below the log's own address."""
        digits = f"{self.number:03d}"
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        groups = [digits[i : i + 3] for i in range(0, len(digits), 3)]
        place = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
        level = "entries" if self.level == ENTRIES else str(self.level)
        return f"tile/{level}/{place}" + (f".p/{self.width}" if self.width != WIDTH else "")

    @classmethod
    def parse(cls, path: str) -> "Tile | None":
        """Return the tile at the path, None if that is the path of none."""
        found = _PATH.fullmatch(path)
        if found is None:
            return None
        level = ENTRIES if found["level"] == "entries" else int(found["level"])
        number = int(found["number"].replace("x", "").replace("/", ""))
        tile = cls(level, number, int(found["width"] or WIDTH))
        return tile if tile.path == path else None


def bundle(entries: Iterable[bytes]) -> bytes:
    """Spell log entries, each after its length."""
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def unbundle(data: bytes) -> list[bytes]:
    """Return the entries of a bundle.

    Raises:
        ValueError: it ends in the middle of one.
    """
    entries, place = [], 0
    while place < len(data):
        length = int.from_bytes(data[place : place + 2], "big")
        entry = data[place + 2 : place + 2 + length]
        if place + 2 > len(data) or len(entry) != length:
            raise ValueError("the bundle is cut short")
        entries.append(entry)
        place += 2 + length
    return entries


def hashes(data: bytes) -> list[bytes]:
    """Return the hashes of a tile."""
    return [data[i : i + HASH_BYTES] for i in range(0, len(data), HASH_BYTES)]


def width_at(size: int, level: int, number: int) -> int:
    """Return how many hashes a tile holds in a tree of the size."""
    complete = size >> (_HEIGHT * max(level, 0))
    return max(0, min(WIDTH, complete - number * WIDTH))


def whole_root(row: Sequence[bytes]) -> bytes:
    """Return the root of a whole subtree over a power of two of hashes."""
    while len(row) > 1:
        row = [node_hash(row[i], row[i + 1]) for i in range(0, len(row), 2)]
    return row[0]


def hash_in(read: Read, level: int, number: int) -> bytes:
    """Return the root of the whole subtree at a level and number of the tree, from its tiles.

    Raises:
        ValueError: the tiles do not reach that far.
    """
    tile_level, height = divmod(level, _HEIGHT)
    first = number << height
    tile, place = divmod(first, WIDTH)
    data = read(tile_level, tile)
    row = hashes(data[place * HASH_BYTES : (place + (1 << height)) * HASH_BYTES])
    if len(row) != 1 << height or len(row[-1]) != HASH_BYTES:
        raise ValueError("a tile is missing or cut short")
    return whole_root(row)


def begun(size: int) -> list[tuple[int, int]]:
    """Return level and number of the tiles that a tree of the size has begun and not filled: all that
    appending to it reads.
    """
    found, level = [], 0
    while size:
        size, width = divmod(size, WIDTH)
        if width:
            found.append((level, size))
        level += 1
    return found


def append(
    size: int, leaves: Sequence[bytes], read: Read
) -> tuple[dict[tuple[int, int], bytes], Frontier]:
    """Append leaf hashes to a tree of the size; return the tiles that changed, and the tree."""
    changed: dict[tuple[int, int], bytes] = {}
    level, begin, row = 0, size, list(leaves)
    while row:
        upper: list[bytes] = []
        upper_begin = begin // WIDTH
        while row:
            number, place = divmod(begin, WIDTH)
            taken, row = row[: WIDTH - place], row[WIDTH - place :]
            held = read(level, number)[: place * HASH_BYTES] if place else b""
            if len(held) != place * HASH_BYTES:
                raise ValueError("a tile is missing or cut short")
            data = changed[level, number] = held + b"".join(taken)
            if len(data) == WIDTH * HASH_BYTES:
                upper.append(whole_root(hashes(data)))
            begin += len(taken)
        level, begin, row = level + 1, upper_begin, upper
    total = size + len(leaves)
    return changed, edge(total, lambda a, b: changed.get((a, b)) or read(a, b))


def edge(size: int, read: Read) -> Frontier:
    """Return the frontier of a tree of the size, from the tiles at its edge."""
    peaks: list[bytes] = []
    for level in range(max(size.bit_length() - 1, 0) // _HEIGHT, -1, -1):
        complete = size >> (_HEIGHT * level)
        number, width = divmod(complete, WIDTH)
        row = hashes(read(level, number)[: width * HASH_BYTES]) if width else []
        if len(row) != width or (row and len(row[-1]) != HASH_BYTES):
            raise ValueError("a tile is missing or cut short")
        for height in range(_HEIGHT - 1, -1, -1):
            if width >> height & 1:
                peaks.append(whole_root(row[: 1 << height]))
                row = row[1 << height :]
    return Frontier(size, peaks)
