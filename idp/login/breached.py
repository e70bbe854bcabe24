"""Passwords of known breaches, looked up in a file on this machine: nobody outside is asked.

The file is the one that Have I Been Pwned offers: SHA-1 in hexadecimal and a count, one a line, sorted
by hash. It is searched where it lies, in some thirty small readings, so its size costs no memory.
"""

import hashlib
import os
from pathlib import Path
from typing import BinaryIO


class BreachedPasswords:
    """The passwords of the file; without a file there are none."""

    def __init__(self, file: Path | None) -> None:
        self._file = file

    def has(self, plain: str) -> bool:
        """True when the password was in a breach."""
        if self._file is None:
            return False
        # SHA-1 is the format of the list, and hides nothing here.
        wanted = hashlib.sha1(plain.encode(), usedforsecurity=False).hexdigest().upper().encode()
        with self._file.open("rb") as file:
            return _find(file, wanted)


def _find(file: BinaryIO, wanted: bytes) -> bool:
    low, high = 0, file.seek(0, os.SEEK_END)
    while low < high:
        middle = (low + high) // 2
        line = _line_at(file, middle)
        if not line or line[:40] >= wanted:
            high = middle
        else:
            low = middle + 1
    return _line_at(file, low)[:40] == wanted


def _line_at(file: BinaryIO, place: int) -> bytes:
    """Return the first whole line that begins at the place or after it; empty behind the last."""
    file.seek(max(place - 1, 0))
    if place:
        file.readline()
    return file.readline().strip().upper()
