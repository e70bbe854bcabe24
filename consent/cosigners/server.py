"""The HTTP side of witnesses and auditors, and their keys."""

import os
import sqlite3
import sys
import time
from contextlib import closing
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from consent.cosigners.auditor import Auditor
from consent.cosigners.published import Published, over_http
from consent.cosigners.witness import GREATEST, Answer, Witness
from consent.ledger.note import Kind, Signer, VerifierKey

_PRIVATE = 0o600
_SEED_BYTES = 32
ROLES = {"witness": Witness, "auditor": Auditor}


def own_key(folder: Path, name: str, kind: Kind) -> Signer:
    """Return the key in the folder, made by chance if there is none."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / "key"
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(os.urandom(_SEED_BYTES))
    seed = path.read_bytes()
    if kind is Kind.ML_DSA_44:
        return Signer(name, kind, MLDSA44PrivateKey.from_seed_bytes(seed))
    return Signer(name, Kind.COSIGNATURE, Ed25519PrivateKey.from_private_bytes(seed))


def make(role: str, folder: Path, signer: Signer, log_key: VerifierKey, url: str) -> Witness:
    """Return the witness or auditor whose memory is in the folder."""
    published = Published(over_http(url))
    memory = folder / "memory.db"
    return ROLES[role](signer, log_key, memory, published, lambda: int(time.time()))


def kept_evidence(folder: Path) -> list[tuple[int, str, str, str, str]]:
    """Return what was refused and speaks against the log: when, of which log, why, and both states."""
    memory = folder / "memory.db"
    if not memory.exists():
        return []
    with closing(sqlite3.connect(memory)) as db:
        rows = db.execute("SELECT at, origin, why, note, seen FROM evidence ORDER BY rowid")
        return list(rows)


def server(watching: Witness, host: str, port: int) -> ThreadingHTTPServer:
    """Return a server that is not serving yet."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            if self.path != "/add-checkpoint":
                self.close_connection = True
                self._answer(Answer(404, "not found\n"))
            elif not length.isdecimal() or int(length) > GREATEST:
                self.close_connection = True
                self._answer(Answer(400, "not understood\n"))
            else:
                self._answer(watching.add_checkpoint(self.rfile.read(int(length))))

        def do_GET(self) -> None:
            is_asked = self.path == "/healthz"
            self._answer(Answer(200, "alive\n") if is_asked else Answer(404, "not found\n"))

        def log_message(self, *_given: object) -> None:
            """Say nothing of requests: only what was refused matters."""

        def _answer(self, answer: Answer) -> None:
            if answer.status != HTTPStatus.OK:
                print(f"{answer.status} {answer.body.strip()}", file=sys.stderr, flush=True)  # noqa: T201
            body = answer.body.encode()
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return ThreadingHTTPServer((host, port), Handler)
