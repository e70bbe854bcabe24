"""A person at a browser, as far as signing in goes: follows redirects, fills in forms."""

import http.client
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlencode, urljoin, urlsplit

MAX_STEPS = 20


class SignInError(Exception):
    """The provider's pages did not lead to the relying party."""


@dataclass
class Form:
    """One HTML form: where it goes, and its fields by name with type and value."""

    action: str = ""
    method: str = "get"
    fields: list[tuple[str, str, str]] = field(default_factory=list)

    def has(self, kind: str) -> bool:
        return any(field_kind == kind for field_kind, _, _ in self.fields)

    def offers(self, name: str, value: str) -> bool:
        return any(entry[1:] == (name, value) for entry in self.fields)


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._open: Form | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._open = Form(values.get("action", ""), values.get("method", "get").lower())
            self.forms.append(self._open)
        elif tag in ("input", "button") and self._open is not None and "name" in values:
            kind = values.get("type", "text" if tag == "input" else "submit")
            self._open.fields.append((kind.lower(), values["name"], values.get("value", "")))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = None


class Browser:
    """Signs one person in at a provider on loopback and keeps the cookies."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self._origin = f"http://localhost:{port}"
        self._host = f"localhost:{port}"
        self._cookies: dict[tuple[str, str], str] = {}

    def sign_in(self, url: str, redirect_uri: str, login: str, password: str) -> str:
        """Opens an authorization request, signs in, allows all; the URL that goes to the party.

        Raises SignInError when a page is none of these, or after too many of them.
        """
        method, data = "GET", None
        for _ in range(MAX_STEPS):
            status, location, page = self._request(method, url, data)
            if status in (301, 302, 303, 307):
                url = urljoin(url, location)
                if url.startswith(redirect_uri):
                    return url
                method, data = "GET", None
                continue
            if status != 200:
                raise SignInError(f"{urlsplit(url).path} answered {status}: {page[:300]}")
            form, data = self._fill(page, login, password)
            url = urljoin(url, form.action) if form.action else url
            method = "POST"
        raise SignInError(f"not signed in after {MAX_STEPS} pages, now at {urlsplit(url).path}")

    def cookies_for(self, path: str) -> str:
        """The Cookie header for a path."""
        return "; ".join(
            f"{name}={value}"
            for (scope, name), value in self._cookies.items()
            if path == scope or path.startswith(scope.rstrip("/") + "/")
        )

    def close(self) -> None:
        self._connection.close()

    def _fill(self, page: str, login: str, password: str) -> tuple[Form, str]:
        parser = _Forms()
        parser.feed(page)
        for form in parser.forms:
            if form.has("password"):
                return form, self._values(form, {"login": login, "password": password})
        for form in parser.forms:
            if form.offers("decision", "allow"):
                return form, self._values(form, {"decision": "allow"})
        raise SignInError(f"a page with neither a password nor a decision: {page[:300]}")

    def _values(self, form: Form, answers: dict[str, str]) -> str:
        """Hidden fields as they came, every box ticked, and the answers."""
        values = [
            (name, value or "on")
            for kind, name, value in form.fields
            if kind in ("hidden", "checkbox") and name not in answers
        ]
        return urlencode(values + list(answers.items()))

    def _request(self, method: str, url: str, data: str | None) -> tuple[int, str, str]:
        parts = urlsplit(url)
        if parts.netloc != self._host:
            raise SignInError(f"led away to {parts.netloc}")
        headers = {"Host": self._host, "Accept": "text/html", "Accept-Language": "en"}
        if cookies := self.cookies_for(parts.path):
            headers["Cookie"] = cookies
        if data is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            headers["Origin"] = self._origin
            headers["Sec-Fetch-Site"] = "same-origin"
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        self._connection.request(method, target, data, headers)
        response = self._connection.getresponse()
        page = response.read().decode("utf-8", "replace")
        for line in response.headers.get_all("Set-Cookie") or []:
            self._keep(line, parts.path)
        return response.status, response.headers.get("Location", ""), page

    def _keep(self, line: str, path: str) -> None:
        pair, *attributes = (part.strip() for part in line.split(";"))
        name, _, value = pair.partition("=")
        scope = path.rsplit("/", 1)[0] or "/"
        gone = not value
        for attribute in attributes:
            key, _, setting = attribute.partition("=")
            if key.lower() == "path" and setting:
                scope = setting
            elif key.lower() == "max-age" and setting.lstrip("-").isdigit():
                gone = gone or int(setting) <= 0
            elif key.lower() == "expires":
                gone = gone or "1970" in setting
        if gone:
            self._cookies.pop((scope, name), None)
        else:
            self._cookies[(scope, name)] = value
