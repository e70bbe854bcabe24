"""A closed-loop load driver: some keep-alive connections, each with one request under way.

Raw sockets and epoll, so that the driver costs far less than the servers it drives. A work is a
generator that yields the bytes of a request and receives the `Response`; it returns when the work
is done and raises `ProtocolError` where an answer is not what the protocol asks for.
"""

import contextlib
import select
import socket
import time
from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass, field

MAX_ERRORS = 100
SILENCE = 10.0


class ProtocolError(Exception):
    """An answer that the protocol does not allow at this place."""


class Head:
    """The status and the header fields of an answer."""

    __slots__ = ("_lower", "_text", "status")

    def __init__(self, text: bytes) -> None:
        self.status = int(text[9:12])
        self._text = text
        self._lower = text.lower()

    def get(self, name: bytes) -> bytes:
        """The value of a field given by its lower-case name, empty where it is absent."""
        start = self._lower.find(b"\r\n" + name + b":")
        if start < 0:
            return b""
        start += len(name) + 3
        end = self._text.find(b"\r\n", start)
        return self._text[start : end if end >= 0 else len(self._text)].strip()


class Response:
    """One HTTP/1.1 answer."""

    __slots__ = ("body", "head", "status")

    def __init__(self, head: Head, body: bytes) -> None:
        self.status = head.status
        self.head = head
        self.body = body

    def expect(self, *statuses: int) -> None:
        """Raises ProtocolError unless the status is one of these."""
        if self.status not in statuses:
            raise ProtocolError(
                f"status {self.status}: {self.body[:120].decode('utf-8', 'replace')}"
            )


Work = Generator[bytes, Response, None]


def parse(buffer: bytes) -> Response | None:
    """The answer that fills the buffer; None while it is incomplete.

    Raises ProtocolError for bytes beyond it: only one request was sent.
    """
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = Head(buffer[:end])
    start = end + 4
    length = head.get(b"content-length")
    if length:
        stop = start + int(length)
        if len(buffer) > stop:
            raise ProtocolError("bytes after the answer")
        return Response(head, buffer[start:]) if len(buffer) == stop else None
    if head.get(b"transfer-encoding").lower() == b"chunked":
        return _chunked(head, buffer, start)
    if head.status in (204, 304):
        return Response(head, b"")
    raise ProtocolError("an answer without a length")


def _chunked(head: Head, buffer: bytes, start: int) -> Response | None:
    body = b""
    while True:
        line = buffer.find(b"\r\n", start)
        if line < 0:
            return None
        size = int(buffer[start:line].split(b";")[0], 16)
        chunk = line + 2
        if len(buffer) < chunk + size + 2:
            return None
        if size == 0:
            return Response(head, body)
        body += buffer[chunk : chunk + size]
        start = chunk + size + 2


@dataclass
class Slice:
    """What one stretch of load brought."""

    works: int = 0
    seconds: float = 0.0
    driver_cpu: float = 0.0
    latencies: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)

    def percentile(self, share: float) -> float:
        """The latency that this share of the works did not exceed, milliseconds."""
        if not self.latencies:
            return float("nan")
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000


class _Connection:
    __slots__ = ("budget", "buffer", "new_work", "socket", "started", "work")

    def __init__(self, new_work: Callable[[], Work]) -> None:
        self.new_work = new_work
        self.work: Work | None = None
        self.socket: socket.socket | None = None
        self.buffer = b""
        self.budget: int | None = None
        self.started = 0.0


class Load:
    """Drives works over keep-alive connections, one connection for each source of works."""

    def __init__(self, port: int, sources: list[Callable[[], Work]]) -> None:
        self._address = ("127.0.0.1", port)
        self._connections = [_Connection(source) for source in sources]
        self._poll = select.epoll()
        self._by_descriptor: dict[int, _Connection] = {}
        self._slice = Slice()
        self._deadline = 0.0

    def run(self, seconds: float, works_each: int | None = None) -> Slice:
        """Loads for some seconds (or that many works a connection) and waits for what is under way.

        Gives up early after `MAX_ERRORS` errors or `SILENCE` seconds without an answer.
        """
        self._slice = result = Slice()
        cpu = time.process_time()
        start = time.perf_counter()
        self._deadline = start + seconds
        try:
            for connection in self._connections:
                connection.budget = works_each
                self._connect(connection)
            active = sum(self._start(connection) for connection in self._connections)
            while active:
                events = self._poll.poll(SILENCE)
                if not events:
                    result.errors["no answer"] += active
                    break
                for descriptor, _ in events:
                    connection = self._by_descriptor[descriptor]
                    if not self._receive(connection) and not self._start(connection):
                        active -= 1
        finally:
            result.seconds = time.perf_counter() - start
            result.driver_cpu = time.process_time() - cpu
            for connection in self._connections:
                self._disconnect(connection)
                connection.work = None
        return result

    def close(self) -> None:
        self._poll.close()

    def _connect(self, connection: _Connection) -> None:
        connection.socket = socket.create_connection(self._address, timeout=SILENCE)
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        descriptor = connection.socket.fileno()
        self._by_descriptor[descriptor] = connection
        self._poll.register(descriptor, select.EPOLLIN)

    def _disconnect(self, connection: _Connection) -> None:
        if connection.socket is not None:
            descriptor = connection.socket.fileno()
            with contextlib.suppress(OSError):
                self._poll.unregister(descriptor)
            self._by_descriptor.pop(descriptor, None)
            connection.socket.close()
            connection.socket = None
        connection.buffer = b""

    def _start(self, connection: _Connection) -> bool:
        """Starts the connection's next work, if there is to be one."""
        connection.started = time.perf_counter()
        if connection.started >= self._deadline or self._slice.errors.total() >= MAX_ERRORS:
            return False
        if connection.budget is not None:
            if connection.budget <= 0:
                return False
            connection.budget -= 1
        connection.work = connection.new_work()
        self._send(connection, next(connection.work))
        return True

    def _send(self, connection: _Connection, request: bytes) -> None:
        if connection.socket is None:
            self._connect(connection)
        assert connection.socket is not None
        connection.socket.sendall(request)

    def _receive(self, connection: _Connection) -> bool:
        """Takes what has come; False when the connection's work has ended, well or badly."""
        assert connection.socket is not None
        assert connection.work is not None
        try:
            data = connection.socket.recv(262144)
            if not data:
                raise ProtocolError("connection closed without an answer")
            connection.buffer += data
            response = parse(connection.buffer)
            if response is None:
                return True
            connection.buffer = b""
            if response.head.get(b"connection").lower() == b"close":
                self._disconnect(connection)
            self._send(connection, connection.work.send(response))
            return True
        except StopIteration:
            self._slice.works += 1
            self._slice.latencies.append(time.perf_counter() - connection.started)
        except (ProtocolError, ValueError, KeyError, OSError) as error:
            self._slice.errors[f"{type(error).__name__}: {error}"[:200]] += 1
            self._disconnect(connection)
            self._connect(connection)
        return False
