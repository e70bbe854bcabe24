"""Structured logs: one JSON line an event, secrets taken out, people never named."""

import logging
import re
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any

import structlog

_SECRET_KEYS = re.compile(
    r"password|secret|token|code|cookie|authorization|assertion|credential|verifier|state|nonce"
    r"|login|personal_number|passport|name|email|phone|hint",
    re.IGNORECASE,
)
_ALLOWED_KEYS = frozenset({"status_code", "error_code", "event", "channel_name"})
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_MOST_CAUSES = 5
REDACTED = "[redacted]"
_GATHERING_SECONDS = 0.05
"""So long a request's line waits for others."""
_LOOKING_SECONDS = 0.2
"""So soon it is seen that the process ends, where nothing waits."""
_requests_are_logged = False
_gathered: "_RequestLines | None" = None


def configure_logging(level: str = "INFO") -> None:
    """Send every log line, ours and the libraries', to standard error as JSON."""
    global _requests_are_logged  # noqa: PLW0603 - set once, when the process starts
    level_number = logging.getLevelNamesMapping()[level]
    _requests_are_logged = level_number <= logging.INFO
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            place_of_exception,
            redact,
            structlog.processors.JSONRenderer(ensure_ascii=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level_number),
        logger_factory=lambda *_names: structlog.WriteLogger(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(
        handlers=[_Libraries()], level=max(logging.WARNING, level_number), force=True
    )


def gather_requests() -> None:
    """From now on, write requests' lines together, a moment later, by a thread of this process.

    A line is written without Python's lock, and whoever answered a request would wait to have it again: a
    tenth of what an introspection costs. What a process that is killed has not written is lost; events
    other than answered requests never wait.
    """
    global _gathered  # noqa: PLW0603 - set once, when a server starts
    if _gathered is None:
        _gathered = _RequestLines()
        # No daemon: the process waits for its last lines.
        threading.Thread(target=_gathered.write_on, name="request-lines").start()


class _RequestLines:
    """Lines on their way to standard error, in their order."""

    def __init__(self) -> None:
        self._waiting: deque[str] = deque()
        self._has_some = threading.Event()

    def add(self, line: str) -> None:
        self._waiting.append(line)
        if not self._has_some.is_set():
            self._has_some.set()

    def write(self) -> None:
        """Write what waits."""
        lines = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if lines:
            sys.stderr.write("".join(lines))
            sys.stderr.flush()

    def write_on(self) -> None:
        """Write for as long as the process runs, and what is left then."""
        process = threading.main_thread()
        while process.is_alive():
            if self._has_some.wait(_LOOKING_SECONDS):
                time.sleep(_GATHERING_SECONDS)
                self._has_some.clear()
                self.write()
        self.write()


class _Libraries(logging.Handler):
    """Passes a library's warnings on: its name and its message's fixed words, never the values."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record as an event of ours."""
        structlog.get_logger(record.name).log(
            record.levelno, "library", library=record.name, said=str(record.msg)
        )


def place_of_exception(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Replace ``exc_info`` by where it happened and the exceptions' types.

    What an exception says, and what its frames hold, may be a secret or somebody's data.
    """
    found = event.pop("exc_info", None)
    error = found if isinstance(found, BaseException) else sys.exc_info()[1] if found else None
    told: list[str] = []
    while error is not None and len(told) < _MOST_CAUSES:
        frames = "".join(traceback.format_tb(error.__traceback__))
        told.append(f"{frames}{type(error).__module__}.{type(error).__qualname__}")
        error = error.__cause__ or error.__context__
    if told:
        event["exception"] = "\ncaused by\n".join(told)
    return event


def redact(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Replace values that could be secrets or personal, and flatten control characters."""
    for key, value in list(event.items()):
        if key not in _ALLOWED_KEYS and _SECRET_KEYS.search(key):
            event[key] = REDACTED
        elif isinstance(value, str) and key != "exception":
            event[key] = _CONTROL.sub(" ", value)[:500]
    return event


def security_event(kind: str, **facts: str | int | bool | None) -> None:
    """Record a security event: what happened, to which account or relying party, from where."""
    structlog.get_logger("security").warning(kind, audit="security", **facts)


def note_request(endpoint: str, method: str, status: int, seconds: float, correlation: str) -> None:
    """Record an answered request: by far the most frequent line, so it is spelled directly.

    ``endpoint`` is one of our own names and ``correlation`` hexadecimal; ``method`` comes from
    outside and is cut to letters.
    """
    if not _requests_are_logged:
        return
    now = datetime.fromtimestamp(time.time(), UTC).isoformat()
    line = (
        f'{{"event": "request", "endpoint": "{endpoint}", '
        f'"method": "{"".join(filter(str.isalpha, method[:16]))}", "status_code": {status}, '
        f'"milliseconds": {seconds * 1000:.1f}, "correlation": "{correlation}", '
        f'"level": "info", "timestamp": "{now}"}}\n'
    )
    if _gathered is None:
        sys.stderr.write(line)
    else:
        _gathered.add(line)


def note(kind: str, **facts: str | float | bool | None) -> None:
    """Record an ordinary event."""
    structlog.get_logger("sen").info(kind, **facts)
