"""Reads a published log: epochs and entries by their tiles, and for auditors whose each entry is."""

import http.client
from collections.abc import Callable, Iterator
from typing import TypeVar
from urllib.parse import urlsplit

from consent.ledger.epoch import ROOT_LOG, Epoch
from consent.ledger.tiles import ENTRIES, WIDTH, Tile, hash_in, unbundle, width_at
from consent.ledger.tree import ProofError, inclusion_proof, leaf_hash, verify_inclusion

Found = TypeVar("Found")
GREATEST = 32 * 1024 * 1024
STREAM_BYTES = 32 + 4
"""An index and a position."""

Fetch = Callable[[str, Callable[[str], str] | None], bytes]
"""Returns what is at a path below the log's address; raises OSError where nothing is. The second
argument makes the ``Authorization`` for the whole path.
"""


class Published:
    """A log as everybody sees it."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch

    def epochs(self, begin: int, end: int, size: int) -> list[tuple[bytes, Epoch]]:
        """Return the root log's leaves from ``begin`` to before ``end``, spelled and read.

        Raises:
            OSError: they cannot be had.
            ValueError: they are none.
        """
        leaves = self.entries(ROOT_LOG, begin, end, size)
        return [(leaf, Epoch.parse(leaf)) for leaf in leaves]

    def entries(self, name: str, begin: int, end: int, size: int) -> list[bytes]:
        """Return entries of a log that has the size."""
        found: list[bytes] = []
        for number, width in _tiles(begin, end, size):
            path = f"{name}/{Tile(ENTRIES, number, width).path}"
            found += unbundle(self._fetch(path, None))[:width]
        return _part(found, begin, end)

    def checkpoint(self, name: str) -> str:
        """Return a log's newest checkpoint with whatever signatures it has."""
        return self._fetch(f"{name}/checkpoint", None).decode()

    def leaf(self, name: str, number: int, size: int, root: bytes) -> bytes:
        """Return one entry of a log that has the size and root.

        Raises:
            OSError: it cannot be had.
            ValueError: it, or the way from it to the root, is another.
        """

        def read(level: int, tile: int) -> bytes:
            width = width_at(size, level, tile)
            return self._fetch(f"{name}/{Tile(level, tile, width).path}", None) if width else b""

        (entry,) = self.entries(name, number, number + 1, size)
        proof = inclusion_proof(number, size, lambda level, n: hash_in(read, level, n))
        try:
            verify_inclusion(leaf_hash(entry), number, size, proof, root)
        except ProofError as error:
            raise ValueError("the entry is not in the log that was signed") from error
        return entry

    def whose(
        self, name: str, begin: int, end: int, size: int, authorize: Callable[[str], str]
    ) -> list[tuple[bytes, int]]:
        """Return index and position of a log's entries."""
        data = b"".join(
            self._fetch(f"stream/{name}/{number}.p/{width}", authorize)
            for number, width in _tiles(begin, end, size)
        )
        ones = [data[i : i + STREAM_BYTES] for i in range(0, len(data), STREAM_BYTES)]
        found = [(one[:32], int.from_bytes(one[32:], "big")) for one in ones]
        return _part(found, begin, end)


def _tiles(begin: int, end: int, size: int) -> Iterator[tuple[int, int]]:
    for number in range(begin // WIDTH, -(-end // WIDTH)):
        yield number, min(WIDTH, size - number * WIDTH)


def _part(found: list[Found], begin: int, end: int) -> list[Found]:
    first = begin - begin % WIDTH
    part = found[begin - first : end - first]
    if len(part) != end - begin:
        raise ValueError("the log holds less than it signed")
    return part


def over_http(url: str, seconds: float = 10.0) -> Fetch:
    """Return what fetches from a log's address."""
    parts = urlsplit(url.rstrip("/"))
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection

    def fetch(path: str, authorize: Callable[[str], str] | None) -> bytes:
        whole = f"{parts.path}/{path}"
        connection = kind(parts.netloc, timeout=seconds)
        try:
            headers = {"Authorization": authorize(whole)} if authorize else {}
            connection.request("GET", whole, headers=headers)
            answer = connection.getresponse()
            body = answer.read(GREATEST)
            if answer.status != http.client.OK:
                raise OSError(f"{whole} was answered {answer.status}")
            return body
        except http.client.HTTPException as error:
            raise OSError(f"{whole} was not answered") from error
        finally:
            connection.close()

    return fetch
