"""Style sheets, scripts and pictures: text among them is sent packed to whoever takes it so.

Each file is packed once in a process and is the same for everybody. Pages are never packed here: they
hold a form's token beside what an address says, which a length would tell apart (docs/decisions/0029).
"""

import gzip
import hashlib
import mimetypes
from functools import cache
from pathlib import Path
from typing import NamedTuple

import flask

FOLDER = Path(__file__).resolve().parent / "static"
_TEXT = frozenset({".css", ".js", ".json", ".svg", ".txt"})


class Packed(NamedTuple):
    """A file as it is sent packed. ``etag`` is another than that of the file itself (RFC 9110 §8.8.3)."""

    body: bytes
    etag: str
    mimetype: str


def install(app: flask.Flask) -> None:
    """Serve the folder's files under ``/static``."""
    app.add_url_rule("/static/<path:filename>", "static", serve, methods=["GET"])


def serve(filename: str) -> flask.Response:
    """Send a file, packed where that is shorter and the client takes it."""
    packed = _packed(filename) if filename in _names() else None
    if packed is None:
        return flask.send_from_directory(FOLDER, filename)
    if flask.request.accept_encodings["gzip"]:
        response = flask.Response(packed.body, mimetype=packed.mimetype)
        response.headers["Content-Encoding"] = "gzip"
        response.set_etag(packed.etag)
        response.make_conditional(flask.request)
    else:
        response = flask.send_from_directory(FOLDER, filename)
    response.headers.add("Vary", "Accept-Encoding")
    return response


@cache
def _names() -> frozenset[str]:
    """The files that can be packed; no other name reaches the disk here."""
    return frozenset(
        path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.suffix in _TEXT
    )


@cache
def _packed(name: str) -> Packed | None:
    plain = (FOLDER / name).read_bytes()
    # Without the time of packing, so that every server's bytes and tags are the same.
    body = gzip.compress(plain, 9, mtime=0)
    if len(body) >= len(plain):
        return None
    mimetype = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return Packed(body, hashlib.sha256(body).hexdigest()[:32], mimetype)
