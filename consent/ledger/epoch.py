"""Epochs: the leaves of the root log. Each binds together what every other log and the map were.

A leaf names the logs that grew in its epoch. All others are as the leaf before left them; a hash
over the list of all logs says so, and whoever follows the root log holds that list.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

_FIRST = "sen-id/epoch/v1"
_LOG = re.compile(r"log ([a-z0-9/-]{1,64}) ([1-9][0-9]{0,18}) ([A-Za-z0-9+/]{43}=)", re.ASCII)
ROOT_LOG = "root"
POLICY_LOG = "policy"

Heads = dict[str, tuple[int, bytes]]
"""Logs' sizes and roots by their names."""


@dataclass(frozen=True)
class Epoch:
    """One leaf: its number from 0 on, seconds of POSIX, the map's root, and the logs that grew."""

    number: int
    seconds: int
    map_root: bytes
    grown: Mapping[str, tuple[int, bytes]]
    all_logs: bytes

    @property
    def leaf(self) -> bytes:
        """The leaf's one spelling."""
        lines = [
            _FIRST,
            f"epoch {self.number}",
            f"time {self.seconds}",
            f"map {_spelled(self.map_root)}",
            f"all {_spelled(self.all_logs)}",
            *_lines(self.grown),
        ]
        return ("\n".join(lines) + "\n").encode()

    @classmethod
    def parse(cls, leaf: bytes) -> "Epoch":
        """Take a leaf apart.

        Raises:
            ValueError: it is not spelled as an epoch is.
        """
        lines = leaf.decode("ascii").split("\n")
        values = {line.partition(" ")[0]: line.partition(" ")[2] for line in lines[1:5]}
        grown: Heads = {}
        for line in lines[5:-1]:
            found = _LOG.fullmatch(line)
            if found is None:
                raise ValueError("a line tells of no log")
            grown[found[1]] = int(found[2]), base64.b64decode(found[3])
        try:
            epoch = cls(
                int(values["epoch"]),
                int(values["time"]),
                base64.b64decode(values["map"], validate=True),
                grown,
                base64.b64decode(values["all"], validate=True),
            )
        except KeyError as error:
            raise ValueError("a line is missing") from error
        if epoch.leaf != leaf:
            raise ValueError("spelled otherwise")
        return epoch


def hash_of_all(heads: Mapping[str, tuple[int, bytes]]) -> bytes:
    """Return the hash over the list of all logs but the root log."""
    return hashlib.sha256("\n".join(_lines(heads)).encode()).digest()


def _lines(heads: Mapping[str, tuple[int, bytes]]) -> list[str]:
    return [f"log {name} {size} {_spelled(root)}" for name, (size, root) in sorted(heads.items())]


def _spelled(data: bytes) -> str:
    return base64.b64encode(data).decode()
