"""A client of the X-Road message protocol for REST (PR-REST 1.0), by way of our security server.

Vietnam's data exchange layer is built on X-Road. Personal data travels in bodies and in the
protocol's own headers, never in a path or query, where servers log it.
"""

import base64
import binascii
import json
import re
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from accounts.schema import Chance
from connectors.errors import OutboundRefusedError, RegisterFaultError
from connectors.outbound import TIMEOUT_SECONDS, Outbound, Reply

ATTEMPTS = 2
"""A look-up changes nothing at the register, so it may be sent again, within the same deadline."""
_WORTH_ANOTHER = frozenset({"not-reachable", "answer-cut-short", "server-error"})
_MEMBER = re.compile(r"[^/\s;%\\\x00-\x1f]{1,64}(/[^/\s;%\\\x00-\x1f]{1,64}){3}")
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,255}", re.ASCII)
_HASH_BYTES = 64
_LEAST_SECONDS = 0.05


def is_subsystem(text: str) -> bool:
    """True for an identifier of a subsystem: instance/class/member/subsystem (PR-REST §4.8)."""
    return _MEMBER.fullmatch(text) is not None and not {".", ".."} & set(text.split("/"))


@dataclass(frozen=True)
class Cause:
    """Why a message is sent, told to the register in headers.

    ``user`` is who made us ask and ``represented`` the class and code of the party that he acts
    for. ``issue`` is the id of the use entry, so that the register's log can be laid beside ours;
    ``receipt`` signs, for the very body that is sent, that the entry is in the log.
    """

    user: str = ""
    represented: str = ""
    issue: str = ""
    receipt: Callable[[bytes], str] | None = None

    def headers(self, body: bytes) -> dict[str, str]:
        """Return the headers that are not empty. ``Use-Receipt`` is none of the protocol's own, so
        security servers hand it on (PR-REST §4.3).
        """
        told = {
            "X-Road-UserId": _encoded(self.user),
            "X-Road-Represented-Party": _encoded(self.represented),
            "X-Road-Issue": _encoded(self.issue),
            "Use-Receipt": self.receipt(body) if self.receipt else "",
        }
        return {name: value for name, value in told.items() if value}


@dataclass(frozen=True)
class SecurityServer:
    """Our security server, and who we are to it: ``client`` is instance/class/member/subsystem."""

    url: str
    client: str
    outbound: Outbound
    chance: Chance

    def ask(self, service: str, document: Mapping[str, Any], cause: Cause) -> dict[str, Any]:
        """POST a look-up to a service (instance/class/member/subsystem/service) and return its
        answer.

        Raises:
            RegisterFaultError: nothing came that may be believed.
        """
        ends = time.monotonic() + TIMEOUT_SECONDS
        for attempt in range(ATTEMPTS):
            try:
                return self._exchange(service, document, cause, ends - time.monotonic())
            except RegisterFaultError as error:
                is_last = attempt + 1 == ATTEMPTS or time.monotonic() > ends - _LEAST_SECONDS
                if is_last or error.detail not in _WORTH_ANOTHER:
                    raise
        raise AssertionError("unreachable")

    def _exchange(
        self, service: str, document: Mapping[str, Any], cause: Cause, seconds: float
    ) -> dict[str, Any]:
        message = str(uuid.UUID(bytes=self.chance(16), version=4))
        body = json.dumps(document, ensure_ascii=False).encode()
        headers = {
            "X-Road-Client": _encoded(self.client),
            "X-Road-Id": message,
            "Content-Type": "application/json; charset=utf-8",
            "Accept": "application/json",
            **cause.headers(body),
        }
        url = f"{self.url}/r1/{_encoded(service)}"
        try:
            reply = self.outbound.exchange(
                "POST",
                url,
                headers={**headers, "Content-Length": str(len(body))},
                body=body,
                seconds=seconds,
            )
        except OutboundRefusedError as error:
            raise RegisterFaultError(error.detail) from error
        _check_standing(reply)
        self._check_headers(reply, message, service)
        return _document(reply)

    def _check_headers(self, reply: Reply, message: str, service: str) -> None:
        """Check that this answers that (PR-REST §4.3).

        The request's hash covers headers that only the security servers see, and ours has compared
        it before it let the answer through; we make sure that there is one to keep as evidence.
        """
        expected = {
            "x-road-id": message,
            "x-road-client": _encoded(self.client),
            "x-road-service": _encoded(service),
        }
        for name, value in expected.items():
            if reply.headers.get(name) != value:
                raise RegisterFaultError("wrong-answer")
        if not _REQUEST_ID.fullmatch(reply.headers.get("x-road-request-id", "")):
            raise RegisterFaultError("wrong-answer")
        try:
            digest = base64.b64decode(reply.headers.get("x-road-request-hash", ""), validate=True)
        except binascii.Error as error:
            raise RegisterFaultError("wrong-answer") from error
        if len(digest) != _HASH_BYTES:
            raise RegisterFaultError("wrong-answer")


def _check_standing(reply: Reply) -> None:
    """Map the protocol's errors (PR-REST §4.6) to our reasons."""
    flag = reply.headers.get("x-road-error")
    if flag is not None:
        # `Client.*` is said of what we sent: wrong identifiers, no right to the service.
        raise RegisterFaultError("refused" if flag.lower().startswith("client") else "server-error")
    if reply.status >= 500:
        raise RegisterFaultError("server-error")
    if reply.status != 200:
        raise RegisterFaultError("refused")


def _document(reply: Reply) -> dict[str, Any]:
    kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise RegisterFaultError("wrong-answer")
    try:
        document = json.loads(reply.body)
    except (ValueError, RecursionError) as error:
        raise RegisterFaultError("wrong-answer") from error
    if not isinstance(document, dict):
        raise RegisterFaultError("wrong-answer")
    return document


def _encoded(path: str) -> str:
    """Percent-encode the parts between slashes (PR-REST §4.2)."""
    return "/".join(quote(part, safe="") for part in path.split("/"))
