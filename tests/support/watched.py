"""Watches an application from outside: of each exchange, whose data stood in the answer, and which
entries of the record were committed by the time that it left.

The reader of answers is the tests' own: it knows formats (JSON, JWS, HTML, CSV, PDF) and the values
that the people of the test have, and nothing of how the product makes an answer or an entry.
"""

import base64
import gzip
import html
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import flask
import pytest
from sqlalchemy import Engine, event, select
from werkzeug.exceptions import HTTPException

from accounts import statements
from consent.data_use import Outcome, UseEntry, subject_chain
from idp.database import for_reading
from idp.services import Installation

VIEWER = "HTTP_X_VIEWER"
"""Who is looking, as the test's own browsers say in a header that the product does not know."""
_JWS = re.compile(rb"[\w-]{10,}\.[\w-]{2,}\.[\w-]{10,}")
_PDF_STREAM = re.compile(rb"stream\r?\n(.*?)endstream", re.DOTALL)
_PDF_FONT = re.compile(rb"/BaseFont /(\S+).*?/ToUnicode (\d+) 0 R", re.DOTALL)


@dataclass(frozen=True)
class Exchange:
    """One request with its answer."""

    method: str
    path: str
    endpoint: str
    viewer: str
    status: int
    body: bytes
    entries: tuple[UseEntry, ...]
    """Those that were committed since the exchange before."""

    @property
    def released(self) -> list[UseEntry]:
        return [one for one in self.entries if one.use.outcome is Outcome.RELEASED]

    @cached_property
    def text(self) -> str:
        """All that the answer says, however it is packed."""
        return "\n".join(unpacked(self.body))


@dataclass
class Watched:
    """A WSGI application that stands before the one watched."""

    app: flask.Flask
    installation: Installation
    faults: "Faults | None" = None
    exchanges: list[Exchange] = field(default_factory=list)
    _known: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.committed()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        statuses: list[str] = []

        def noted(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> Any:
            statuses.append(status)
            return start_response(status, headers, exc_info)

        with self.faults or nullcontext():
            sent = self.app(environ, noted)
            try:
                body = b"".join(sent)
            finally:
                close = getattr(sent, "close", None)
                if close is not None:
                    close()
        self.exchanges.append(
            Exchange(
                environ["REQUEST_METHOD"],
                environ["PATH_INFO"],
                self._endpoint(environ),
                environ.get(VIEWER, ""),
                int(statuses[-1].split()[0]),
                body,
                tuple(self.committed()),
            )
        )
        return [body]

    def committed(self) -> list[UseEntry]:
        """Return what was committed to the record since this was asked last, read on a connection
        that sees nothing else.
        """
        found = []
        with for_reading(self.installation.engine).begin() as db:
            lengths = db.execute(select(subject_chain.c.subject_id, subject_chain.c.length)).all()
            log = self.installation.services(db).use_log
            for subject, length in lengths:
                new = length - self._known.get(subject, 0)
                if new and self._known:
                    found += reversed(log.of_subject(subject, limit=new))
                self._known[subject] = length
        self._known.setdefault("", 0)
        return found

    def _endpoint(self, environ: dict[str, Any]) -> str:
        try:
            at = self.app.url_map.bind("id.example")
            return str(at.match(environ["PATH_INFO"], method=environ["REQUEST_METHOD"])[0])
        except HTTPException:
            return ""


class InjectedError(Exception):
    """What a test raises where a process could die."""


class Faults:
    """Counts the steps by which a request reaches the database, each statement and each commit before
    and after it, and lets one of them fail.
    """

    def __init__(self, patch: pytest.MonkeyPatch, engine: Engine) -> None:
        self.at = 0
        self.steps = 0
        self._counts = False
        for made in (statements._OnSQLite, statements._OnPostgreSQL):
            patch.setattr(made, "_run", self._around(made._run))
        around = self._around(statements.commit)
        patch.setattr("idp.door.commit", around)
        patch.setattr("idp.web.transaction.commit", around)
        for name in ("before_cursor_execute", "after_cursor_execute", "commit"):
            event.listen(engine, name, self._step)

    def __enter__(self) -> None:
        self.steps, self._counts = 0, True

    def __exit__(self, *failure: object) -> None:
        self._counts = False

    def _around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*given: Any) -> Any:
            self._step()
            made = function(*given)
            self._step()
            return made

        return run

    def _step(self, *_: Any) -> None:
        if self._counts:
            self.steps += 1
            if self.steps == self.at:
                raise InjectedError(f"step {self.at}")

    def forget(self, engine: Engine) -> None:
        """Leave the engine, which outlives the test."""
        for name in ("before_cursor_execute", "after_cursor_execute", "commit"):
            event.remove(engine, name, self._step)


def found_in(text: str, values: Mapping[str, Iterable[str]]) -> set[str]:
    """Return the claims of which a value stands in the text, as it is or broken over lines."""
    dense = _dense(text)
    return {
        claim
        for claim, spellings in values.items()
        if any(_dense(one) in dense for one in spellings)
    }


@lru_cache(maxsize=512)
def _dense(text: str) -> str:
    return "".join(text.split())


def unpacked(body: bytes) -> Iterator[str]:
    """Yield what an answer's body says, in each way it can be read."""
    if body.startswith(b"\x1f\x8b"):
        body = gzip.decompress(body)
    if body.startswith(b"%PDF-"):
        yield from _pdf_texts(body)
        return
    text = body.decode("utf-8", "replace")
    yield text
    yield html.unescape(text)
    with suppress(ValueError):
        yield json.dumps(json.loads(text), ensure_ascii=False)
    for token in _JWS.findall(body):
        part = token.split(b".")[1]
        try:
            payload = json.loads(base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4)))
            yield json.dumps(payload, ensure_ascii=False)
        except ValueError:
            pass


def _pdf_texts(body: bytes) -> Iterator[str]:
    """Read a PDF's pages: streams of ASCII85 and Flate, texts in subsets of fonts, each with a map to
    Unicode.
    """
    objects = dict(re.findall(rb"(\d+) 0 obj(.*?)endobj", body, re.DOTALL))
    maps = {}
    for one in objects.values():
        named = _PDF_FONT.search(one)
        if named:
            name = re.search(rb"/Name /(\S+)", one)
            maps[name[1] if name else named[1]] = _pdf_map(_pdf_stream(objects[named[2]]))
    for one in objects.values():
        content = _pdf_stream(one)
        if b" Tf" not in content:
            continue
        font: dict[int, str] = {}
        said = []
        for name, shown in re.findall(
            rb"/(F\S+) [\d.]+ Tf|\(((?:\\.|[^\\)])*)\) Tj", content, re.DOTALL
        ):
            if name:
                font = maps.get(name, {})
            else:
                said.append("".join(font.get(sign, chr(sign)) for sign in _pdf_string(shown)))
        yield "".join(said)


def _pdf_stream(one: bytes) -> bytes:
    found = _PDF_STREAM.search(one)
    if found is None:
        return b""
    raw = found[1].strip()
    try:
        if b"ASCII85Decode" in one:
            raw = base64.a85decode(raw.removesuffix(b"~>"))
        return zlib.decompress(raw) if b"FlateDecode" in one else raw
    except (ValueError, zlib.error):
        return b""


def _pdf_map(cmap: bytes) -> dict[int, str]:
    found = {}
    for block in re.findall(rb"beginbfchar(.*?)endbfchar", cmap, re.DOTALL):
        for code, sign in re.findall(rb"<(\w+)>\s*<(\w+)>", block):
            found[int(code, 16)] = bytes.fromhex(sign.decode()).decode("utf-16-be")
    for block in re.findall(rb"beginbfrange(.*?)endbfrange", cmap, re.DOTALL):
        for first, _last, signs in re.findall(rb"<(\w+)>\s*<(\w+)>\s*\[([^\]]*)\]", block):
            for n, sign in enumerate(re.findall(rb"<(\w+)>", signs)):
                found[int(first, 16) + n] = bytes.fromhex(sign.decode()).decode("utf-16-be")
    return found


def _pdf_string(raw: bytes) -> bytes:
    named = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}

    def plain(escape: re.Match[bytes]) -> bytes:
        sign = escape[1]
        return bytes([int(sign, 8)]) if sign.isdigit() else named.get(sign, sign)

    return re.sub(rb"\\([0-7]{1,3}|.)", plain, raw, flags=re.DOTALL)
