"""A security server, the six registers and the face service behind it, in one process, with faults on
demand.

``POST /control/faults`` with ``{"register": "population", "fault": "slow"}`` switches a fault on,
with ``"fault": null`` off again; ``"*"`` means every register. It answers to this machine only.
"""

import base64
import hashlib
import json
import sqlite3
import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from accounts.attributes import Source
from connectors.face_match import NAME as FACE_MATCH
from connectors.registry import SERVICES
from connectors.simulation import receipts
from connectors.simulation.faces import SUBSYSTEM as FACE_SUBSYSTEM
from connectors.simulation.faces import compare
from connectors.simulation.receipts import BadReceiptError
from connectors.simulation.services import look_up
from connectors.simulation.store import events, opened
from connectors.xroad import is_subsystem

_GREATEST_REQUEST = 512 * 1024
_SLOW_SECONDS = 5.0
_DRIP_SECONDS = 0.25
_EVENTS_AT_ONCE = 1000
_BY_SUBSYSTEM = {
    **{service.subsystem: service.source.value for service in SERVICES},
    FACE_SUBSYSTEM: FACE_MATCH,
}
NAMES = tuple(_BY_SUBSYSTEM.values())
"""What answers here, by the names that faults are switched with."""


class Fault(StrEnum):
    """What can be wrong with a register."""

    SLOW = "slow"
    """Answers after five seconds."""
    DRIP = "drip"
    """Answers one byte at a time."""
    DOWN = "down"
    """Takes the call and hangs up."""
    ERROR = "error"
    """500 from the register itself."""
    X_ROAD_ERROR = "x-road-error"
    """500 from the register's security server, with its header."""
    TRUNCATED = "truncated"
    """Half of what it announced."""
    LARGE = "large"
    """Far more than any record is long."""
    GARBAGE = "garbage"
    """Not JSON."""
    WRONG_PERSON = "wrong-person"
    """Somebody else's record."""
    WRONG_ID = "wrong-id"
    """The answer to another message."""
    NO_RECEIPT = "no-receipt"
    """Answers whoever asks, with or without a receipt, and writes down what it saw."""


class Simulator(ThreadingHTTPServer):
    """The server; ``serve_forever`` runs it, one thread a connection."""

    daemon_threads = True

    def __init__(
        self, file: Path, address: tuple[str, int], keys: Iterable[Mapping[str, Any]]
    ) -> None:
        super().__init__(address, _Handler)
        self.file = file
        self.auditors: set[str] = set()
        """Who may ask whether there is somebody: subsystems on X-Road."""
        self.receipt_keys = list(keys)
        """Whose receipts are believed: JWKs (RFC 7517)."""
        self.released = threading.Event()
        self._lock = threading.Lock()
        self._faults: dict[str, Fault] = {}
        self.asked: dict[str, int] = dict.fromkeys(NAMES, 0)
        """How many calls each register has had."""
        self.log: deque[dict[str, str]] = deque(maxlen=1000)
        """What the registers' owners see of the latest look-ups, kept in memory only."""

    def set_fault(self, name: str | None, fault: Fault | None) -> None:
        """Switch a fault on or, with None, off; without a name, at every register."""
        with self._lock:
            for one in [name] if name else NAMES:
                self._faults.pop(one, None)
                if fault is not None:
                    self._faults[one] = fault

    def fault(self, name: str) -> Fault | None:
        """Return the register's present fault, and count the call."""
        with self._lock:
            self.asked[name] += 1
            return self._faults.get(name)

    def server_close(self) -> None:
        """Stop listening, and let slow answers go."""
        self.released.set()
        super().server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a caller that hangs up is what faults are for."""


class _RefusedError(Exception):
    """Answered with an X-Road error."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Simulator

    def do_GET(self) -> None:
        if self.path == "/healthz":
            self._send(200, {"status": "ok"})
        else:
            self._send(404, {"status": "there is nothing here"})

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > _GREATEST_REQUEST:
            self.close_connection = True
            self._send(413, {"status": "too large"})
            return
        body = self.rfile.read(int(length))
        if self.path == "/control/faults":
            self._control(body)
        else:
            self._message(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the library has it
        """Write no log: requests are about people."""

    def _control(self, body: bytes) -> None:
        if not ip_address(self.client_address[0]).is_loopback:
            self._send(403, {"status": "from this machine only"})
            return
        try:
            wanted = json.loads(body)
            name, fault = wanted["register"], wanted["fault"]
            if name not in {*NAMES, "*"}:
                raise ValueError(name)
            self.server.set_fault(
                None if name == "*" else name, None if fault is None else Fault(fault)
            )
        except (ValueError, KeyError, TypeError):
            self._send(400, {"status": "register and fault are needed"})
            return
        self._send(200, {"status": "ok"})

    def _message(self, body: bytes) -> None:
        try:
            path = unquote(self.path.removeprefix("/r1/"))
            subsystem, _, service = path.rpartition("/")
            place = _BY_SUBSYSTEM.get(subsystem.rpartition("/")[2])
            if not self.path.startswith("/r1/") or not is_subsystem(subsystem) or place is None:
                raise _RefusedError(500, "Server.ServerProxy.UnknownService", "no such service")
            if not is_subsystem(self._client()):
                raise _RefusedError(400, "Client.MissingHeader", "X-Road-Client is needed")
            self._answer(place, service, body)
        except _RefusedError as error:
            self._refuse(error)

    def _answer(self, name: str, service: str, body: bytes) -> None:
        fault = self.server.fault(name)
        if fault in _BEFORE:
            _BEFORE[fault](self)
            if self.close_connection:
                return
        try:
            asked = json.loads(body)
            with opened(self.server.file) as db:
                answer = self._served(db, name, service, asked, body, fault)
        except BadReceiptError as error:
            # By the register itself: its security server handed the message on.
            self._send(403, {"status": "no receipt, no data", "reason": str(error)})
            return
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise _RefusedError(
                400, "Client.BadRequest", "the request is not understood"
            ) from error
        if fault is Fault.WRONG_PERSON:
            answer = {**answer, **dict.fromkeys(_NUMBERS & answer.keys(), "000000000000")}
            answer.pop("events", None)
        self._send(200, answer, self._evidence(body, fault), fault)

    def _served(
        self,
        db: sqlite3.Connection,
        name: str,
        service: str,
        asked: dict[str, Any],
        body: bytes,
        fault: Fault | None,
    ) -> dict[str, Any]:
        if service == ("compare" if name == FACE_MATCH else "look-up"):
            self._log(name)
            self._take_receipt(db, name, body, fault)
            return compare(db, asked) if name == FACE_MATCH else look_up(db, Source(name), asked)
        if service == "receipts":
            after, limit = int(asked["after"]), min(int(asked["limit"]), _EVENTS_AT_ONCE)
            return {"receipts": receipts.listed(db, name, str(asked["day"]), after, limit)}
        if service == "changes" and name != FACE_MATCH:
            limit = min(int(asked["limit"]), _EVENTS_AT_ONCE)
            return {"events": events(db, name, int(asked["after"]), limit)}
        if service == "confirm" and name != FACE_MATCH:
            # Yes or no, and no data: for auditors whom the register's owner has let in.
            if self._client() not in self.server.auditors:
                raise _RefusedError(403, "Server.ServerProxy.AccessDenied", "not allowed")
            return {"found": look_up(db, Source(name), {**asked, "fields": ["x"]})["found"]}
        raise _RefusedError(500, "Server.ServerProxy.UnknownService", service)

    def _client(self) -> str:
        return unquote(self.headers.get("X-Road-Client", ""))

    def _take_receipt(
        self, db: sqlite3.Connection, name: str, body: bytes, fault: Fault | None
    ) -> None:
        try:
            given = self.headers.get("Use-Receipt", "")
            receipt = receipts.verified(self.server.receipt_keys, given, name, body)
        except BadReceiptError:
            if fault is not Fault.NO_RECEIPT:
                raise
            receipt = receipts.NONE
        receipts.keep(db, name, receipt, body)

    def _log(self, register: str) -> None:
        names = ("X-Road-Client", "X-Road-UserId", "X-Road-Represented-Party", "X-Road-Issue")
        told = {name: unquote(self.headers.get(name, "")) for name in names}
        self.server.log.append({"register": register, **told})

    def _evidence(self, body: bytes, fault: Fault | None) -> dict[str, str]:
        """Return the headers that a provider's security server adds (PR-REST §4.3)."""
        sent = hashlib.sha512(self.headers.as_bytes()).digest()
        digest = hashlib.sha512(sent + hashlib.sha512(body).digest()).digest()
        message = self.headers.get("X-Road-Id") or str(uuid.uuid4())
        service = "/".join(self.path.removeprefix("/r1/").split("/")[:5])
        return {
            "X-Road-Id": str(uuid.uuid4()) if fault is Fault.WRONG_ID else message,
            "X-Road-Client": self.headers["X-Road-Client"],
            "X-Road-Service": service,
            "X-Road-Request-Id": str(uuid.uuid4()),
            "X-Road-Request-Hash": base64.b64encode(digest).decode(),
        }

    def _refuse(self, error: _RefusedError) -> None:
        document = {"type": error.kind, "message": str(error), "detail": str(uuid.uuid4())}
        self._send(error.status, document, {"X-Road-Error": error.kind})

    def _send(
        self,
        status: int,
        document: dict[str, Any],
        headers: dict[str, str] | None = None,
        fault: Fault | None = None,
    ) -> None:
        body = json.dumps(document, ensure_ascii=False).encode()
        if fault is Fault.GARBAGE:
            body = b"<html>Service temporarily confused</html>"
        elif fault is Fault.LARGE:
            body = json.dumps({**document, "padding": "x" * 2_000_000}).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if fault is Fault.TRUNCATED:
            self.close_connection = True
            body = body[: len(body) // 2]
        if fault is not Fault.DRIP:
            self.wfile.write(body)
            return
        for index in range(len(body)):
            if self.server.released.wait(_DRIP_SECONDS):
                return
            self.wfile.write(body[index : index + 1])

    def _hang_up(self) -> None:
        self.close_connection = True

    def _dawdle(self) -> None:
        if self.server.released.wait(_SLOW_SECONDS):
            self.close_connection = True

    def _fail(self) -> None:
        self._send(500, {"status": "the register has a fault"})
        self.close_connection = True

    def _fail_on_the_way(self) -> None:
        raise _RefusedError(500, "Server.ServerProxy.ServiceFailed.HttpError", "no connection")


_NUMBERS = frozenset({"personal_number", "passport", "tax_code"})
_BEFORE: dict[Fault | None, Callable[[_Handler], None]] = {
    Fault.DOWN: _Handler._hang_up,  # noqa: SLF001 - the table belongs to the class
    Fault.SLOW: _Handler._dawdle,  # noqa: SLF001
    Fault.ERROR: _Handler._fail,  # noqa: SLF001
    Fault.X_ROAD_ERROR: _Handler._fail_on_the_way,  # noqa: SLF001
}


def serve(file: Path, host: str, port: int, keys: Iterable[Mapping[str, Any]]) -> Simulator:
    """Return a simulator that listens already, and answers under receipts by these keys (JWKs).

    Raises:
        FileNotFoundError: there is no such file.
        OSError: the address cannot be used.
    """
    with opened(file) as db:
        receipts.prepare(db)
    return Simulator(file, (host, port), keys)


def run(simulator: Simulator, stop: threading.Event) -> None:
    """Answer until the event is set."""
    thread = threading.Thread(target=simulator.serve_forever, args=(0.1,), daemon=True)
    thread.start()
    try:
        stop.wait()
    finally:
        simulator.shutdown()
        simulator.server_close()
