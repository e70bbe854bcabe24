"""What is said of a file, beside it, signed by the log: its hash, its numbers, and the logs it agrees with."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from consent.archive.parts import FORMAT, WHO_BYTES
from consent.archive.tampered import CONTENT_IS_ANOTHER, Fault
from consent.errors import ArchiveError
from consent.ledger.note import Note, NoteError, Signer, VerifierKey, signed

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Aside:
    """An entry of a file that is not as it was published: its place, what is wrong with it, the commitment
    that its row had, and a row that no log has, sealed (``Part.sealed_row``).
    """

    who: bytes
    position: int
    fault: Fault
    commitment: bytes | None = None
    sealed: bytes | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """What is signed, as JSON values."""
        return {
            "who": self.who.hex(),
            "position": self.position,
            "fault": self.fault.value,
            "commitment_found": self.commitment.hex() if self.commitment else None,
            "row_found": self.sealed.hex() if self.sealed else None,
        }

    @classmethod
    def parse(cls, facts: Mapping[str, Any]) -> "Aside":
        """Return it from ``facts``; any of the usual errors where they are none."""
        commitment, sealed = facts["commitment_found"], facts["row_found"]
        return cls(
            bytes.fromhex(facts["who"]), facts["position"], Fault(facts["fault"]),
            bytes.fromhex(commitment) if commitment else None,
            bytes.fromhex(sealed) if sealed else None,
        )  # fmt: skip


@dataclass(frozen=True)
class Manifest:
    """What is said of one file. ``logs`` are the entry logs of its month with their final sizes and
    roots, the entries of which all parts of the month together hold; ``removed`` of them were gone
    already, their time being over. ``aside`` are the entries that are not as they were published, and
    ``reference`` says under which inquiry the operator let them pass.
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
    aside: tuple[Aside, ...] = ()
    reference: str = ""

    @property
    def others(self) -> frozenset[tuple[bytes, int]]:
        """Where, by person and position, the file has something else than what was recorded."""
        return frozenset(
            (one.who, one.position) for one in self.aside if one.fault in CONTENT_IS_ANOTHER
        )

    @property
    def facts(self) -> dict[str, Any]:
        """What is signed, as JSON values."""
        facts = {
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
        if self.aside:
            entries = [one.facts for one in self.aside]
            facts["set_aside"] = {"reference": self.reference, "entries": entries}
        return facts

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
            aside = facts.get("set_aside", {"reference": "", "entries": ()})
            found = cls(
                facts["month"], facts["part"], facts["parts"], facts["file"], facts["bytes"],
                facts["sha256"], facts["rows"], facts["entries"], facts["removed_before"],
                bytes.fromhex(facts["least"]), bytes.fromhex(facts["greatest"]),
                {one["name"]: (one["size"], bytes.fromhex(one["root"])) for one in facts["logs"]},
                datetime.fromisoformat(facts["made_at"]),
                tuple(Aside.parse(one) for one in aside["entries"]), aside["reference"],
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


def manifest_of(path: Path, key: VerifierKey) -> Manifest:
    """Return the manifest of a file.

    Raises:
        ArchiveError: it is missing or damaged, or the key did not sign it.
    """
    try:
        document = beside(path).read_bytes()
    except OSError as error:
        raise ArchiveError(f"the manifest of {path.name} cannot be read") from error
    return Manifest.parse(document, key)


def _text(facts: Mapping[str, Any]) -> str:
    return orjson.dumps(facts, option=orjson.OPT_SORT_KEYS).decode() + "\n"
