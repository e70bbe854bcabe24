"""The one HTTP client by which anything leaves this machine.

Only addresses on the operator's allow-list are ever contacted, so no relying party's metadata can
point us at an inner service (SSRF). No redirects, short time limits, small answers.
"""

import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpcore

from connectors.errors import OutboundRefusedError

TIMEOUT_SECONDS = 3.0
GREATEST_ANSWER = 256 * 1024
_FAULTS = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
    ssl.SSLError,
    OSError,
)


@dataclass(frozen=True)
class Reply:
    """An answer as it came; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Outbound:
    """Fetches documents from allowed hosts.

    ``allowed`` holds ``host`` or ``host:port`` entries; a bare host means the scheme's usual port.
    ``plain_on_loopback`` also permits http, to this very machine only.
    """

    allowed: frozenset[str] = frozenset()
    extra_ca_file: Path | None = None
    plain_on_loopback: bool = False

    def permits(self, url: str) -> bool:
        """True when the URL's scheme is https and its host and port are on the list."""
        try:
            parts = urlsplit(url)
            usual = 80 if parts.scheme == "http" else 443
            port = parts.port or usual
        except ValueError:
            return False
        if not parts.hostname or parts.username or parts.password:
            return False
        if parts.scheme != "https" and not (
            parts.scheme == "http" and self.plain_on_loopback and is_loopback(parts.hostname)
        ):
            return False
        names = {f"{parts.hostname}:{port}"} | ({parts.hostname} if port == usual else set())
        return bool(names & self.allowed)

    def get(self, url: str) -> bytes:
        """Return the body of a 200 answer.

        Raises:
            OutboundRefusedError: not allowed, not reachable, not 200, too slow or too large.
        """
        reply = self.exchange("GET", url)
        if reply.status != 200:
            raise OutboundRefusedError("unexpected-status")
        return reply.body

    def exchange(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        seconds: float = TIMEOUT_SECONDS,
    ) -> Reply:
        """Send one request and return whatever status was answered.

        ``seconds`` is for everything together, from connecting to the last byte (only the system's
        name resolution is outside of it).

        Raises:
            OutboundRefusedError: not allowed, not reachable, cut short, too slow or too large.
        """
        if not self.permits(url):
            raise OutboundRefusedError("address-not-allowed")
        try:
            with (
                httpcore.ConnectionPool(
                    ssl_context=self._trust, network_backend=_Hurried(seconds)
                ) as pool,
                pool.stream(
                    method,
                    url,
                    headers=[
                        ("Host", urlsplit(url).netloc),
                        ("Accept-Encoding", "identity"),
                        *((headers or {}).items()),
                    ],
                    content=body,
                ) as response,
            ):
                return _read(response)
        except httpcore.TimeoutException as error:
            raise OutboundRefusedError("answer-too-slow") from error
        except httpcore.ConnectError as error:
            raise OutboundRefusedError("not-reachable") from error
        except _FAULTS as error:
            raise OutboundRefusedError("answer-cut-short") from error

    @cached_property
    def _trust(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if self.extra_ca_file is not None:
            context.load_verify_locations(cafile=self.extra_ca_file)
        return context


def is_loopback(host: str) -> bool:
    """True for names and addresses that mean this very machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _read(response: httpcore.Response) -> Reply:
    headers = {
        name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers
    }
    # We ask for none, so that what is measured is what there is.
    if headers.get("content-encoding", "identity") != "identity":
        raise OutboundRefusedError("answer-encoded")
    body = b""
    for chunk in response.iter_stream():
        body += chunk
        if len(body) > GREATEST_ANSWER:
            raise OutboundRefusedError("answer-too-large")
    return Reply(response.status, headers, body)


class _Hurried(httpcore.NetworkBackend):
    """Connects, reads and writes under one deadline; a client's own limits are for each read, so
    that an answer that drips would never meet them.
    """

    def __init__(self, seconds: float) -> None:
        self._inner = httpcore.SyncBackend()
        self._ends = time.monotonic() + seconds

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        stream = self._inner.connect_tcp(host, port, self.left(), local_address, socket_options)
        return _HurriedStream(stream, self)

    def left(self) -> float:
        """Return the seconds left, or raise that there are none."""
        left = self._ends - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout
        return left


class _HurriedStream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream, backend: _Hurried) -> None:
        self._inner = inner
        self._backend = backend

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._backend.left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._backend.left())

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        stream = self._inner.start_tls(ssl_context, server_hostname, self._backend.left())
        return _HurriedStream(stream, self._backend)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
