"""A loaded installation kept in a folder, so that the hour of measuring need not begin with loading."""

import base64
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.ledger.world import Place, placed
from bench.postgres import copy

_FACTS = "loaded.json"
TENTH, WHOLE = "tenth", "whole"
"""The two states that are kept."""


@dataclass
class Loaded:
    """What is known of a load: the installation's secret, who has a record, the one with the long
    record first, of whom the first so many were loaded with the tenth, and entries a second.
    """

    secret: bytes
    entries: int
    people: list[str]
    tenth: int
    rate: float = 0


def keep(place: Place, state: str, folder: Path) -> None:
    """Copy the installation's database into the folder."""
    assert place.server is not None
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    place.installation.engine.dispose()
    place.server.copy_to(folder / state)


def note(loaded: Loaded, folder: Path) -> None:
    """Write down what is known of the load, once it is all kept."""
    secret = base64.b64encode(loaded.secret).decode()
    text = json.dumps({**vars(loaded), "secret": secret})
    (folder / _FACTS).write_text(text, "utf-8")


def find(folder: Path, entries: int) -> Loaded | None:
    """Return what is known of the load in the folder, if one is there, of so many entries."""
    facts = folder / _FACTS
    if not facts.exists():
        return None
    found = json.loads(facts.read_text("utf-8"))
    loaded = Loaded(**{**found, "secret": base64.b64decode(found["secret"])})
    if loaded.entries != entries:
        raise SystemExit(f"{folder} holds {loaded.entries:,} entries")
    return loaded


@contextmanager
def brought(loaded: Loaded, state: str, folder: Path) -> Iterator[Place]:
    """Let a copy of what is kept run in a temporary directory."""
    with tempfile.TemporaryDirectory() as name:
        copy(folder / state, Path(name) / "postgres")
        with placed(Path(name), postgres=True, secret=loaded.secret) as place:
            place.people = loaded.people
            yield place
