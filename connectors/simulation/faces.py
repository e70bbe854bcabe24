"""The simulated service that compares faces: it looks at the picture, by a rule that is easily explained.

Nobody's face is involved: everybody of the population has a drawn portrait of a few grey tones
(``portrait``), and a picture shows her when it has these tones in the same places. A real service
judges real faces, and whether somebody alive stood before the camera.
"""

import base64
import io
import sqlite3
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from PIL import Image, ImageChops, ImageStat, UnidentifiedImageError

from accounts.face_checks import Verdict
from connectors.simulation.portrait import HEIGHT, WIDTH, portrait
from connectors.simulation.store import name_key

SUBSYSTEM = "face-match"
_TOLERANCE = 5.0
"""So many of 256 grey levels two pictures of the same face may differ on average."""
_LEAST_CONTRAST = 8.0
_CAPTURE = (WIDTH * 8, HEIGHT * 8)
_PREFIXES = ("data:image/jpeg;base64,", "data:image/png;base64,")


def compare(db: sqlite3.Connection, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Answer a comparison in the service's own words.

    Raises:
        ValueError: the request is not one that this service takes.
    """
    number, text = str(asked["personal_number"]), asked["picture"]
    if not isinstance(text, str) or not text.startswith(_PREFIXES):
        raise ValueError("a picture is needed")
    picture = base64.b64decode(text.partition(",")[2], validate=True)
    row = db.execute("SELECT * FROM person WHERE number = ?", (number,)).fetchone()
    named = (name_key(str(asked.get("full_name", ""))), asked.get("birth_date"))
    if row is None or named != (row["name_key"], row["birthdate"]):
        return {"found": False}
    has_card = db.execute("SELECT 1 FROM card WHERE number = ?", (number,)).fetchone()
    verdict = _verdict(picture, portrait(number)) if has_card else Verdict.NO_PORTRAIT
    return {
        "found": True,
        "personal_number": number,
        "verdict": verdict.value,
        "reference": str(uuid.uuid4()),
        "judged_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def capture(number: str) -> bytes:
    """Return what a camera sees that this person stands before: a PNG, larger than the portrait."""
    seen = Image.open(io.BytesIO(portrait(number))).resize(_CAPTURE, Image.Resampling.BICUBIC)
    written = io.BytesIO()
    seen.save(written, "PNG", optimize=True)
    return written.getvalue()


def difference(number: str, other: str) -> float:
    """Return by how many grey levels two people's portraits differ on average."""
    return _difference(portrait(number), portrait(other))


def _difference(one: bytes, other: bytes) -> float:
    return ImageStat.Stat(ImageChops.difference(_plain(one), _plain(other))).mean[0]


def _verdict(picture: bytes, held: bytes) -> Verdict:
    try:
        seen = _plain(picture)
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError):
        return Verdict.UNUSABLE
    if ImageStat.Stat(seen).stddev[0] < _LEAST_CONTRAST:
        return Verdict.UNUSABLE
    if picture == held:
        # The register's own file, byte by byte: nobody stood before a camera.
        return Verdict.NOT_LIVE
    return Verdict.MATCH if _difference(picture, held) < _TOLERANCE else Verdict.NO_MATCH


def _plain(picture: bytes) -> Image.Image:
    """Return the middle of the picture, as upright as a portrait, in grey and of a portrait's size."""
    with Image.open(io.BytesIO(picture), formats=("JPEG", "PNG")) as seen:
        wide, high = seen.size
        across = min(wide, high * WIDTH // HEIGHT)
        down = min(high, wide * HEIGHT // WIDTH)
        left, top = (wide - across) // 2, (high - down) // 2
        middle = seen.crop((left, top, left + across, top + down)).convert("L")
        return middle.resize((WIDTH, HEIGHT), Image.Resampling.BOX)
