"""Opening audits: which entries of the logs have to be opened, drawn so that neither side chooses.

The auditor first announces a hash over what it will ask for and a secret number; the draw is made with
that number and the first epoch that follows the announcement. So the provider does not know the number
when it makes the epoch, and the auditor does not know the epoch when it fixes the number.
"""

import hashlib
import re
from dataclasses import dataclass

from consent.ledger.epoch import Epoch, Heads, hash_of_all

_TAG = b"sen-id/opening-audit/v1\x00"
_DRAW = b"sen-id/opening-draw/v1\x00"
_MONTH = re.compile(r"[0-9]{4}-[0-9]{2}", re.ASCII)
NONCE_BYTES = 32
MOST_ENTRIES = 5000
Leaf = tuple[str, int]
"""A log's name and a leaf's number in it."""


@dataclass(frozen=True)
class Terms:
    """What an auditor asks for: so many entries, of logs from a month on (YYYY-MM)."""

    nonce: bytes
    count: int
    since: str

    def __post_init__(self) -> None:
        """Check the terms.

        Raises:
            ValueError: they make no sense.
        """
        if len(self.nonce) != NONCE_BYTES or not 0 < self.count <= MOST_ENTRIES:
            raise ValueError(f"a nonce of {NONCE_BYTES} bytes and 1 to {MOST_ENTRIES} entries")
        if not _MONTH.fullmatch(self.since):
            raise ValueError("since is a month, YYYY-MM")

    @property
    def announcement(self) -> str:
        """The hash by which the auditor is bound to them beforehand."""
        said = self.nonce + self.count.to_bytes(4, "big") + self.since.encode()
        return hashlib.sha256(_TAG + said).hexdigest()

    def draw(self, epoch: Epoch, heads: Heads) -> list[Leaf]:
        """Return the leaves to be opened, in the order in which they were drawn, each once.

        ``heads`` are all logs as they were at the epoch, which is the first after the announcement.

        Raises:
            ValueError: the heads are not those of the epoch.
        """
        if hash_of_all(heads) != epoch.all_logs:
            raise ValueError("these are not the logs of the epoch")
        logs = [
            (name, size)
            for name, (size, _) in sorted(heads.items())
            if name.startswith("entries/") and name.split("/")[1] >= self.since
        ]
        total = sum(size for _, size in logs)
        drawn: dict[Leaf, None] = {}
        number = 0
        while len(drawn) < min(self.count, total):
            seed = _DRAW + self.nonce + epoch.leaf + number.to_bytes(4, "big")
            # Of 256 bits, so that no leaf is noticeably likelier than another.
            place = int.from_bytes(hashlib.sha256(seed).digest(), "big") % total
            drawn[_at(logs, place)] = None
            number += 1
        return list(drawn)


def _at(logs: list[tuple[str, int]], place: int) -> Leaf:
    for name, size in logs:
        if place < size:
            return name, place
        place -= size
    raise AssertionError
