"""What is said of a file, beside it, signed by the log: its hash, its numbers, and the logs it agrees with."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from consent.archive.parts import FORMAT, WHO_BYTES
from consent.errors import ArchiveError
from consent.ledger.note import Note, NoteError, Signer, VerifierKey, signed

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Manifest:
    """What is said of one file. ``logs`` are the entry logs of its month with their final sizes and
    roots, the entries of which all parts of the month together hold; ``removed`` of them were gone
    already, their time being over.
    """

    month: str
    part: int
    parts: int
    file: str
    size: int
    sha256: str
    rows: int
    entries: int
    removed: int
    least: bytes
    greatest: bytes
    logs: Mapping[str, tuple[int, bytes]]
    made_at: datetime

    @property
    def facts(self) -> dict[str, Any]:
        """What is signed, as JSON values."""
        return {
            "format": FORMAT,
            "month": self.month,
            "part": self.part,
            "parts": self.parts,
            "file": self.file,
            "bytes": self.size,
            "sha256": self.sha256,
            "rows": self.rows,
            "entries": self.entries,
            "removed_before": self.removed,
            "least": self.least.hex(),
            "greatest": self.greatest.hex(),
            "logs": [
                {"name": name, "size": size, "root": root.hex()}
                for name, (size, root) in sorted(self.logs.items())
            ],
            "made_at": self.made_at.isoformat(timespec="seconds"),
        }

    def signed_by(self, signers: Sequence[Signer]) -> bytes:
        """Return the manifest as it is written down: the facts, and signatures over their canonical
        JSON followed by a newline (C2SP signed-note).
        """
        facts = self.facts
        note = signed(_text(facts), signers, 0)
        document = {"archive": facts, "signatures": note.rpartition("\n\n")[2]}
        return orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n"

    @classmethod
    def parse(cls, document: bytes, key: VerifierKey) -> "Manifest":
        """Return the manifest.

        Raises:
            ArchiveError: it is none, or the key did not sign it.
        """
        try:
            read = orjson.loads(document)
            facts, lines = read["archive"], read["signatures"]
            if facts["format"] != FORMAT:
                raise ArchiveError("a manifest has a format of another version")
            found = cls(
                facts["month"], facts["part"], facts["parts"], facts["file"], facts["bytes"],
                facts["sha256"], facts["rows"], facts["entries"], facts["removed_before"],
                bytes.fromhex(facts["least"]), bytes.fromhex(facts["greatest"]),
                {one["name"]: (one["size"], bytes.fromhex(one["root"])) for one in facts["logs"]},
                datetime.fromisoformat(facts["made_at"]),
            )  # fmt: skip
            is_signed, _ = Note.parse(f"{_text(facts)}\n{lines}").verify(key)
        except (NoteError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ArchiveError("a manifest is damaged, or not signed by this log") from error
        if not is_signed or found.facts != facts or len(found.least) != WHO_BYTES:
            raise ArchiveError("a manifest is damaged, or not signed by this log")
        return found


def hash_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def beside(path: Path) -> Path:
    """Return where the manifest of a file is."""
    return path.with_suffix(".json")


def _text(facts: Mapping[str, Any]) -> str:
    return orjson.dumps(facts, option=orjson.OPT_SORT_KEYS).decode() + "\n"
