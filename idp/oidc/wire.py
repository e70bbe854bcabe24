"""A protocol request and answer without any web framework, and the strict reading of parameters."""

import re
from dataclasses import dataclass, field
from urllib.parse import quote_plus, unquote_to_bytes

import orjson

Pairs = list[tuple[str, str]]

GREATEST_PARAMETER = 8192
_MOST_PARAMETERS = 64
_UNRESERVED = re.compile(r"[A-Za-z0-9_.~-]*", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class MalformedError(Exception):
    """The request cannot be read: wrong encoding, control characters, doubled or endless input."""


@dataclass(frozen=True)
class Request:
    """What arrived. ``headers`` has lower-case names; ``query`` and ``body`` are raw bytes."""

    method: str
    path: str
    query: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def query_pairs(self) -> Pairs:
        """Return the query's parameters in order."""
        return parse(self.query)

    def form_pairs(self) -> Pairs:
        """Return the form body's parameters in order.

        Raises:
            MalformedError: the body is not form-encoded.
        """
        kind = self.headers.get("content-type", "").split(";")[0].strip().lower()
        if kind != "application/x-www-form-urlencoded":
            raise MalformedError("the body must be application/x-www-form-urlencoded")
        return parse(self.body)

    def bearer(self) -> str | None:
        """Return the token of a Bearer Authorization header (RFC 6750 §2.1)."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else None


@dataclass(frozen=True)
class Response:
    """What is answered. ``location`` is kept apart because browsers' answers are checked by it."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


def parse(data: bytes) -> Pairs:
    """Read ``application/x-www-form-urlencoded`` bytes strictly.

    Raises:
        MalformedError: not UTF-8, NUL or other control characters, too many or too long parameters.
    """
    if data.count(b"&") >= _MOST_PARAMETERS:
        raise MalformedError("there are too many parameters")
    pairs: Pairs = []
    try:
        text = data.decode("ascii").replace("+", " ")
        _refuse_control(text)
        for part in text.split("&"):
            if part:
                name, _, value = part.partition("=")
                # Most are plain already, and decoding them is most of the work.
                pairs.append((_plain(name), _plain(value)) if "%" in part else (name, value))
    except ValueError as error:
        raise MalformedError("the parameters cannot be read") from error
    for name, value in pairs:
        if len(value) > GREATEST_PARAMETER or len(name) > 256:
            raise MalformedError("a parameter is too long")
    return pairs


def _plain(text: str) -> str:
    plain = unquote_to_bytes(text).decode()
    _refuse_control(plain)
    return plain


def _refuse_control(text: str) -> None:
    if _CONTROL.search(text):
        raise MalformedError("a parameter holds control characters")


def once(pairs: Pairs) -> dict[str, str]:
    """Return the parameters as a mapping; empty values count as absent (RFC 6749 §3.1).

    Raises:
        MalformedError: a parameter is included more than once.
    """
    values: dict[str, str] = {}
    for name, value in pairs:
        if name in values:
            raise MalformedError("a parameter is included more than once")
        values[name] = value
    return {name: value for name, value in values.items() if value}


def first(pairs: Pairs, name: str) -> str | None:
    """Return the parameter's value if it is there exactly once."""
    found = [value for key, value in pairs if key == name]
    return found[0] if len(found) == 1 and found[0] else None


def json_response(status: int, document: object, headers: dict[str, str] | None = None) -> Response:
    """Return a JSON answer that nobody may store (RFC 6749 §5.1)."""
    return Response(
        status,
        {
            "Content-Type": "application/json",
            "Cache-Control": "no-store",
            "Pragma": "no-cache",
            **(headers or {}),
        },
        orjson.dumps(document),
    )


def with_query(uri: str, parameters: Pairs) -> str:
    """Return the URI with parameters appended to its query; what it already holds is kept.

    No URI that is registered here has a fragment.
    """
    extra = "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in parameters)
    joint = "?" if "?" not in uri else "" if uri.endswith(("?", "&")) else "&"
    return f"{uri}{joint}{extra}"


def _quoted(text: str) -> str:
    return text if _UNRESERVED.fullmatch(text) else quote_plus(text)
