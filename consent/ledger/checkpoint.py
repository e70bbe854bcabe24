"""Checkpoints (C2SP tlog-checkpoint): the size and root of a log, signed by it."""

import base64
import binascii
import re
from dataclasses import dataclass

from consent.ledger.note import Note, NoteError
from consent.ledger.tree import HASH_BYTES

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


@dataclass(frozen=True)
class Checkpoint:
    """How long a log is, and the root of its tree then."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    @classmethod
    def parse(cls, note: str) -> tuple["Checkpoint", Note]:
        """Return the checkpoint and the note that holds it; no signature is verified by that.

        Raises:
            NoteError: it is no checkpoint.
        """
        parsed = Note.parse(note)
        lines = parsed.text.split("\n")
        if len(lines) != 4 or not lines[0] or not _SIZE.fullmatch(lines[1]):
            raise NoteError("no-checkpoint")
        try:
            root = base64.b64decode(lines[2], validate=True)
        except (binascii.Error, ValueError) as error:
            raise NoteError("no-checkpoint") from error
        if len(root) != HASH_BYTES:
            raise NoteError("no-checkpoint")
        return cls(lines[0], int(lines[1]), root), parsed
