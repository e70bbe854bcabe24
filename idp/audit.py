"""Structured logs: one JSON line an event, secrets taken out, people never named."""

import logging
import re
import sys
import time
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
REDACTED = "[redacted]"
_requests_are_logged = False


def configure_logging(level: str = "INFO") -> None:
    """Send every log line, ours and the libraries', to standard error as JSON."""
    global _requests_are_logged  # noqa: PLW0603 - set once, when the process starts
    _requests_are_logged = logging.getLevelName(level) <= logging.INFO
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            redact,
            structlog.processors.JSONRenderer(ensure_ascii=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level)),
        logger_factory=lambda *_names: structlog.WriteLogger(sys.stderr),
        cache_logger_on_first_use=True,
    )


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
    """Record an answered request: by far the most frequent line, so it is written directly.

    ``endpoint`` is one of our own names and ``correlation`` hexadecimal; ``method`` comes from
    outside and is cut to letters.
    """
    if not _requests_are_logged:
        return
    now = datetime.fromtimestamp(time.time(), UTC).isoformat()
    sys.stderr.write(
        f'{{"event": "request", "endpoint": "{endpoint}", '
        f'"method": "{"".join(filter(str.isalpha, method[:16]))}", "status_code": {status}, '
        f'"milliseconds": {seconds * 1000:.1f}, "correlation": "{correlation}", '
        f'"level": "info", "timestamp": "{now}"}}\n'
    )


def note(kind: str, **facts: str | float | bool | None) -> None:
    """Record an ordinary event."""
    structlog.get_logger("sen").info(kind, **facts)
