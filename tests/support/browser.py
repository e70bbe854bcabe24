"""A person's browser without JavaScript: keeps cookies, reads the served HTML, fills and sends forms.

It speaks to an application in this process or to a real server alike, and behaves as browsers do in
what matters to safety: `Origin` and `Sec-Fetch-Site` on what pages send, no `SameSite=Lax` cookie on
a cross-site POST.
"""

import io
import sys
from dataclasses import dataclass, field
from functools import cached_property
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes, urljoin, urlsplit

import flask
import httpx

from tests.support.phone import HONEST, Phone, Twist

LOCAL = "127.0.0.1"


@dataclass
class Form:
    """A form as served: what it would send if nothing were filled in, and its buttons by id."""

    action: str
    method: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    choices: dict[str, list[str]] = field(default_factory=dict)
    buttons: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def values(self) -> dict[str, str]:
        return dict(self.fields)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.forms: list[Form] = []
        self._open: Form | None = None
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._open = Form(values.get("action", ""), values.get("method", "get").lower())
            self.forms.append(self._open)
        elif self._open is not None and tag == "input":
            self._input(self._open, values)
        elif self._open is not None and tag == "button" and values.get("type") != "button":
            self._open.buttons[values.get("id", "")] = values

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = None

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    @staticmethod
    def _input(form: Form, values: dict[str, str]) -> None:
        name, kind = values.get("name"), values.get("type", "text")
        if not name:
            return
        if kind in {"checkbox", "radio"}:
            form.choices.setdefault(name, []).append(values.get("value", "on"))
            if "checked" not in values:
                return
        form.fields.append((name, values.get("value", "")))


@dataclass(frozen=True)
class Page:
    """One answer."""

    url: str
    status: int
    headers: httpx.Headers
    html: str
    body: bytes = b""

    @property
    def location(self) -> str:
        """Where it redirects to, or an empty text."""
        return str(self.headers.get("Location", ""))

    @property
    def query(self) -> dict[str, str]:
        """The parameters of the redirect."""
        return dict(parse_qsl(urlsplit(self.location).query, keep_blank_values=True))

    @property
    def forms(self) -> list[Form]:
        return self._content.forms

    @property
    def text(self) -> str:
        return " ".join("".join(self._content.text).split())

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    def form(self, action: str) -> Form:
        """Return the form that posts to this path."""
        found = [form for form in self.forms if urlsplit(form.action).path == action]
        assert found, f"no form for {action} on {self.path} ({self.status}): {self.text[:300]}"
        return found[0]

    def has_form(self, action: str) -> bool:
        return any(urlsplit(form.action).path == action for form in self.forms)

    @cached_property
    def _content(self) -> _Reader:
        reader = _Reader()
        reader.feed(self.html)
        return reader


def connect(target: flask.Flask | str, issuer: str, address: str = LOCAL) -> httpx.Client:
    """Return a client for an application in this process, or for a server at its address."""
    transport: httpx.BaseTransport
    if isinstance(target, str):
        transport = httpx.HTTPTransport(verify=False)
    else:
        transport = InProcess(target, address)
    return httpx.Client(
        base_url=issuer,
        transport=transport,
        timeout=20,
        follow_redirects=False,
        headers={"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"},
    )


class InProcess(httpx.BaseTransport):
    """Calls an application as a WSGI server does (PEP 3333): path and query as their raw bytes."""

    def __init__(self, app: flask.Flask, address: str) -> None:
        self._app = app
        self._address = address

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        body = request.read()
        path, _, query = request.url.raw_path.partition(b"?")
        environ: dict[str, Any] = {
            "REQUEST_METHOD": request.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
            "QUERY_STRING": query.decode("latin-1"),
            "SERVER_NAME": request.url.host,
            "SERVER_PORT": str(request.url.port or 443),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": self._address,
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": request.url.scheme,
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
        }
        for name, value in request.headers.raw:
            key = name.decode("latin-1").upper().replace("-", "_")
            plain = key in {"CONTENT_TYPE", "CONTENT_LENGTH"}
            environ[key if plain else f"HTTP_{key}"] = value.decode("latin-1")
        begun: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(
            status: str, headers: list[tuple[str, str]], exc_info: object = None
        ) -> Any:
            begun.append((status, headers))

        sent = self._app(environ, start_response)
        try:
            content = b"".join(sent)
        finally:
            close = getattr(sent, "close", None)
            if close is not None:
                close()
        status, headers = begun[-1]
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        return httpx.Response(int(status.split()[0]), headers=raw, content=content)


class Browser:
    """One browser, with the cookies of the provider's site."""

    def __init__(self, client: httpx.Client, issuer: str) -> None:
        self.client = client
        self.issuer = issuer
        self.language = "en"

    def open(self, url: str, /, **headers: str) -> Page:
        """Follow a link or type an address."""
        return self._send("GET", url, headers=headers)

    def visit(self, url: str) -> Page:
        """Open an address and follow redirects for as long as they stay on this site."""
        return self.follow(self.open(url))

    def follow(self, page: Page) -> Page:
        for _ in range(10):
            if page.status not in {301, 302, 303} or not self.is_local(page.location):
                return page
            page = self.open(urljoin(page.url, page.location))
        raise AssertionError(f"redirects without end: {page.location}")

    def is_local(self, url: str) -> bool:
        return urljoin(self.issuer + "/", url).startswith(self.issuer + "/")

    def submit(self, form: Form, button: str = "", /, **values: str | list[str]) -> Page:
        """Fill the form in and press a button, by default its first."""
        pressed = form.buttons[button] if button else next(iter(form.buttons.values()), {})
        fields: dict[str, str | list[str]] = {**form.values, **values}
        if pressed.get("name"):
            fields[pressed["name"]] = pressed.get("value", "")
        return self.post(pressed.get("formaction") or form.action, fields)

    def post(
        self, url: str, fields: dict[str, Any], /, headers: dict[str, str] | None = None
    ) -> Page:
        """Send a form from a page of this site."""
        own = {"Origin": self.issuer, "Sec-Fetch-Site": "same-origin"}
        return self._send("POST", url, data=fields, headers=own | (headers or {}))

    def post_from_elsewhere(self, url: str, fields: dict[str, Any], origin: str) -> Page:
        """Send a form from a page of another site: no Lax cookie travels with it."""
        kept = self.client.cookies
        self.client.cookies = httpx.Cookies()
        try:
            page = self._send(
                "POST", url, data=fields, headers={"Origin": origin, "Sec-Fetch-Site": "cross-site"}
            )
        finally:
            kept.update(self.client.cookies)
            self.client.cookies = kept
        return page

    def call(self, url: str, document: object = None, **headers: str) -> Page:
        """Send JSON as this site's own script does."""
        own = {"Origin": self.issuer, "Sec-Fetch-Site": "same-origin"}
        return self._send("POST", url, json=document or {}, headers=own | headers)

    def use_passkey(
        self, phone: Phone, interaction: str = "", next_: str = "", twist: Twist = HONEST
    ) -> Page:
        """Sign in with a passkey; the answer is JSON."""
        options = self.call("/sign-in/passkey/options")
        credential = phone.sign(as_json(options)["publicKey"], twist)
        return self.call(
            "/sign-in/passkey/verify",
            {"credential": credential, "interaction": interaction, "next": next_},
        )

    def cookie(self, name: str) -> str | None:
        """Return one of the site's cookies by its plain name."""
        for cookie in self.client.cookies.jar:
            if cookie.name.removeprefix("__Host-") == name:
                return cookie.value
        return None

    def set_cookie(self, name: str, value: str) -> None:
        for cookie in list(self.client.cookies.jar):
            if cookie.name.removeprefix("__Host-") == name:
                cookie.value = value
                return
        secure = self.issuer.startswith("https://")
        host = urlsplit(self.issuer).hostname or ""
        self.client.cookies.set(f"__Host-{name}" if secure else name, value, domain=host)

    def _send(self, method: str, url: str, **request: Any) -> Page:
        headers = {"Accept-Language": self.language, **request.pop("headers", {})}
        answer = self.client.request(method, url, headers=headers, **request)
        return Page(
            str(answer.url), answer.status_code, answer.headers, answer.text, answer.content
        )


def as_json(page: Page) -> dict[str, Any]:
    """Return the page's JSON object."""
    document = httpx.Response(200, text=page.html).json()
    assert isinstance(document, dict)
    return document
