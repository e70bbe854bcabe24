"""The files: a month, or a part of it, in one Parquet file; a row is one person's uses of the month.

A row (block) holds by what she is found, where in her chain it begins, the commitments in plain, and the
entries sealed by a key that comes from her key of the year: when that goes, the entries are gone from
every copy of the file, and the commitments still prove everybody's chain.

Blocks stand in the order of what they are found by, in small groups that tell their bounds, so looking
for one person reads one group.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import IO, Any

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from consent.archive import spelling
from consent.data_use import UseEntry, content_of
from consent.errors import ArchiveError
from consent.ledger.canonical import canonical
from consent.ledger.tree import HASH_BYTES

FORMAT = "sen-id/use-archive/1"
WHO_BYTES = 16
"""A person is found by so much of her index in the head map: it names nobody."""
SALT_BYTES = 32
GROUP = 512
"""Blocks that are read at once."""
_GROUP_BYTES = 1 << 20
_COLUMNS = ("who", "first", "commitments", "content")
_META = b"sen-id"
NONCE_BYTES = 12
# A key seals one block and nothing else, so it needs no nonce that differs.
_NONCE = bytes(NONCE_BYTES)


@dataclass(frozen=True)
class Block:
    """One person's uses of a month. ``first`` is the position of the first of them."""

    who: bytes
    first: int
    commitments: tuple[bytes, ...]
    content: bytes

    @property
    def last(self) -> int:
        """The position of the last of them."""
        return self.first + len(self.commitments) - 1


@dataclass(frozen=True)
class Part:
    """What all blocks of a file have in common. ``month`` is written YYYY-MM; ``known`` is the
    dictionary that their content is spelled with.
    """

    month: str
    number: int
    salt: bytes
    known: bytes = b""

    @property
    def begin(self) -> datetime:
        """The first moment of the month."""
        return datetime(int(self.month[:4]), int(self.month[5:]), 1, tzinfo=UTC)

    @property
    def year(self) -> int:
        """The year whose keys the content is sealed by."""
        return self.begin.year

    def block(self, who: bytes, entries: Sequence[UseEntry], use_key: bytes) -> Block:
        """Return the block of a person's entries, sealed; they follow one another in her chain."""
        first, commitments = entries[0].position, tuple(entry.commitment for entry in entries)
        plain = spelling.spell(entries, self.begin, self.known)
        cipher, place = self._cipher(use_key, who, first), self._place(who, first, commitments)
        return Block(who, first, commitments, cipher.encrypt(_NONCE, plain, place))

    def entries(self, block: Block, subject_id: str, use_key: bytes) -> list[UseEntry]:
        """Return the entries of a block.

        Raises:
            ArchiveError: it was changed, stands in another's place, or the key is another's.
        """
        cipher = self._cipher(use_key, block.who, block.first)
        place = self._place(block.who, block.first, block.commitments)
        try:
            plain = cipher.decrypt(_NONCE, block.content, place)
            return spelling.read(
                plain, subject_id, block.first, block.commitments, self.begin, self.known
            )
        except (InvalidTag, ValueError) as error:
            raise ArchiveError(f"{self.month}: a block does not open in its place") from error

    def sealed_row(self, who: bytes, row: UseEntry, use_key: bytes, nonce: bytes) -> bytes:
        """Return a row that no published log has, as it was found, sealed like a block: it goes when the
        key of its person goes.
        """
        content = content_of(row.id, row.position, row.at, row.use)
        plain = canonical({"row": content, "commitment": row.commitment.hex()})
        return nonce + self._row_cipher(use_key, who).encrypt(nonce, plain, self.month.encode())

    def opened_row(self, who: bytes, sealed: bytes, use_key: bytes) -> dict[str, Any]:
        """Return what ``sealed_row`` sealed: ``row``, spelled as an entry is, and its ``commitment``.

        Raises:
            ArchiveError: it was changed, or the key is another's.
        """
        nonce, rest = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        try:
            plain = self._row_cipher(use_key, who).decrypt(nonce, rest, self.month.encode())
        except InvalidTag as error:
            raise ArchiveError(f"{self.month}: a row that was set aside does not open") from error
        found: dict[str, Any] = orjson.loads(plain)
        return found

    def _cipher(self, use_key: bytes, who: bytes, first: int) -> AESGCM:
        info = b"sen-id/use-archive/v1\x00" + self.month.encode() + who + first.to_bytes(4, "big")
        return AESGCM(HKDF(SHA256(), 32, self.salt, info).derive(use_key))

    def _row_cipher(self, use_key: bytes, who: bytes) -> AESGCM:
        info = b"sen-id/use-archive/row/v1\x00" + self.month.encode() + who
        return AESGCM(HKDF(SHA256(), 32, self.salt, info).derive(use_key))

    def _place(self, who: bytes, first: int, commitments: Sequence[bytes]) -> bytes:
        return b"".join((self.month.encode(), who, first.to_bytes(4, "big"), *commitments))


def write(file: IO[bytes], part: Part, blocks: Iterable[Block]) -> None:
    """Write the blocks, which come in the order of ``who``."""
    pa, pq = _arrow()
    meta = orjson.dumps(
        {"format": FORMAT, "month": part.month, "part": part.number, "salt": part.salt.hex(),
         "known": part.known.decode()}
    )  # fmt: skip
    schema = pa.schema(
        [("who", pa.binary(WHO_BYTES)), ("first", pa.int32()), ("commitments", pa.binary()),
         ("content", pa.binary())]
    )  # fmt: skip
    packed = {"first": "DELTA_BINARY_PACKED", "who": "PLAIN"}
    packed |= dict.fromkeys(("commitments", "content"), "DELTA_LENGTH_BYTE_ARRAY")
    with pq.ParquetWriter(
        file, schema, compression="none", use_dictionary=False, write_statistics=["who"],
        column_encoding=packed, store_schema=False,
    ) as writer:  # fmt: skip
        writer.add_key_value_metadata({_META: meta})
        for group in _groups(blocks):
            columns = [
                [block.who for block in group], [block.first for block in group],
                [b"".join(block.commitments) for block in group],
                [block.content for block in group],
            ]  # fmt: skip
            arrays = [pa.array(c, schema.field(n).type) for n, c in enumerate(columns)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


class PartFile:
    """A written file, for reading."""

    def __init__(self, path: Path) -> None:
        self._path = path
        _, pq = _arrow()
        with _told(path):
            self._metadata = pq.read_metadata(path)
            said = orjson.loads((self._metadata.metadata or {})[_META])
            if said["format"] != FORMAT:
                raise ArchiveError(f"{path.name} has a format of another version")
            self.part = Part(
                said["month"], said["part"], bytes.fromhex(said["salt"]), said["known"].encode()
            )

    @cached_property
    def _bounds(self) -> list[tuple[bytes, bytes]]:
        groups = (self._metadata.row_group(n) for n in range(self._metadata.num_row_groups))
        with _told(self._path):
            found = [group.column(0).statistics for group in groups]
            return [(one.min, one.max) for one in found]

    @property
    def least(self) -> bytes:
        """By what the first person in it is found."""
        return self._bounds[0][0]

    @property
    def greatest(self) -> bytes:
        """By what the last person in it is found."""
        return self._bounds[-1][1]

    def find(self, who: bytes) -> Block | None:
        """Return a person's block.

        Raises:
            ArchiveError: the file is damaged.
        """
        with _told(self._path):
            for number, (least, greatest) in enumerate(self._bounds):
                if least <= who <= greatest:
                    return _group(self, number).get(who)
        return None

    def blocks(self) -> Iterator[Block]:
        """Yield all blocks in their order.

        Raises:
            ArchiveError: the file is damaged.
        """
        for number in range(self._metadata.num_row_groups):
            with _told(self._path):
                group = self.group(number)
            yield from group

    def group(self, number: int) -> list[Block]:
        """Return the blocks of a group."""
        _, pq = _arrow()
        with pq.ParquetFile(self._path, metadata=self._metadata) as file:
            table = file.read_row_group(number, columns=list(_COLUMNS))
        columns = [table.column(name).to_pylist() for name in _COLUMNS]
        return [
            Block(who, first, _parted(commitments), content)
            for who, first, commitments, content in zip(*columns, strict=True)
        ]


def opened(path: Path) -> PartFile:
    """Return a file for reading; what was read of it before is remembered while it does not change.

    Raises:
        ArchiveError: it is missing or damaged.
    """
    with _told(path):
        state = path.stat()
    return _opened(path, state.st_mtime_ns, state.st_ino)


@lru_cache(maxsize=256)
def _opened(path: Path, _changed: int, _inode: int) -> PartFile:
    return PartFile(path)


@lru_cache(maxsize=32)
def _group(file: PartFile, number: int) -> dict[bytes, Block]:
    return {block.who: block for block in file.group(number)}


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Say of whatever goes wrong in reading which file it is."""
    try:
        yield
    except FileNotFoundError as error:
        raise ArchiveError(f"{path.name} is missing") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArchiveError(f"{path.name} is damaged ({type(error).__name__})") from error


def _parted(commitments: bytes) -> tuple[bytes, ...]:
    if not commitments or len(commitments) % HASH_BYTES:
        raise ValueError("no list of commitments")
    return tuple(
        commitments[place : place + HASH_BYTES] for place in range(0, len(commitments), HASH_BYTES)
    )


def _groups(blocks: Iterable[Block]) -> Iterator[list[Block]]:
    group: list[Block] = []
    size = 0
    for block in blocks:
        group.append(block)
        size += len(block.content) + HASH_BYTES * len(block.commitments)
        if len(group) == GROUP or size >= _GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _arrow() -> tuple[Any, Any]:
    """Return the library, which takes a third of a second and 50 MB: only who needs it pays."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    return pa, pq


def sync_folder(folder: Path) -> None:
    """Let the names of a folder's files survive a crash."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
