"""What a request is made of: its services, the browser it came from, and who is signed in there."""

import hashlib
import re
import secrets

import flask

from accounts.sessions import BrowserSession
from idp.login.known_browsers import LIFETIME as KNOWN_LIFETIME
from idp.login.known_browsers import KnownBrowsers
from idp.login.sign_in import Visitor
from idp.oidc import wire
from idp.services import Installation, Services
from idp.web import transaction

_BROWSER_COOKIE = "sen_browser"
_SESSION_COOKIE = "sen_session"
_KNOWN_COOKIE = "sen_known"
_OWN_PAGES = ("/me", "/desk", "/regulator")
LANGUAGE_COOKIE = "sen_language"
_COOKIE_VALUE = re.compile(r"[0-9a-f]{64}", re.ASCII)
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


def installation() -> Installation:
    """Return what this process holds."""
    found: Installation = flask.current_app.extensions["sen"]
    return found


def services() -> Services:
    """Return the objects that work within this request's transaction."""
    db = transaction.connection()
    held: Services | None = flask.g.get("services")
    if held is None or held.db is not db:
        held = installation().services(
            db, correlation=flask.g.correlation, address=flask.request.remote_addr or ""
        )
        flask.g.services = held
    return held


def wire_request() -> wire.Request:
    """Return the request without Flask."""
    request = flask.request
    return wire.Request(
        method=request.method,
        path=request.path,
        query=request.query_string,
        headers={name.lower(): value for name, value in request.headers.items()},
        body=request.get_data(cache=True),
    )


def respond(answer: wire.Response) -> flask.Response:
    """Return a protocol answer as Flask's."""
    return flask.Response(answer.body, answer.status, answer.headers)


def cookie_name(name: str) -> str:
    """Return the cookie's full name: ``__Host-`` wherever the connection is secure.

    Over plain http, which is allowed on loopback only, tools other than browsers would not send a
    Secure cookie back, so there the prefix and the flag are left out.
    """
    return f"__Host-{name}" if installation().settings.is_secure else name


def browser_secret() -> str:
    """Return the value that tells this browser from others, giving it one if it has none."""
    if "browser_secret" not in flask.g:
        known = flask.request.cookies.get(cookie_name(_BROWSER_COOKIE), "")
        if not _COOKIE_VALUE.fullmatch(known):
            known = secrets.token_hex(32)
            flask.g.new_browser_secret = known
        flask.g.browser_secret = known
    value: str = flask.g.browser_secret
    return value


def binding_of(secret: str) -> bytes:
    """Return what stands for a browser's secret in the database."""
    return hashlib.sha256(secret.encode()).digest()


def visitor() -> Visitor:
    """Return the browser this request comes from."""
    return Visitor(
        binding=binding_of(browser_secret()),
        browser=_browser_name(flask.request.headers.get("User-Agent", "")),
        address=flask.request.remote_addr or "",
        known=_known(),
    )


def _known() -> str:
    return flask.request.cookies.get(cookie_name(_KNOWN_COOKIE), "")


def is_phone() -> bool:
    """True when the browser says that it runs on a phone or tablet."""
    hint = flask.request.headers.get("Sec-CH-UA-Mobile", "")
    return hint == "?1" or visitor().browser.endswith(("Android", "iPhone", "iPad"))


def session_cookie() -> str:
    """Return the session cookie's value as it stands after this request, or nothing."""
    value: str = flask.g.get(
        "new_session_cookie", flask.request.cookies.get(cookie_name(_SESSION_COOKIE), "")
    )
    return value


def session() -> BrowserSession | None:
    """Return the browser session of the person who is signed in here."""
    if "session" not in flask.g:
        cookie = flask.request.cookies.get(cookie_name(_SESSION_COOKIE), "")
        own = flask.request.path.startswith(_OWN_PAGES)
        flask.g.session = (
            services().sessions.find(cookie, on_own_pages=own)
            if _COOKIE_VALUE.fullmatch(cookie)
            else None
        )
    found: BrowserSession | None = flask.g.session
    return found


def signed_in(started: tuple[BrowserSession, str]) -> None:
    """Let the browser carry the session that has just been started."""
    flask.g.session, flask.g.new_session_cookie = started
    held = installation()
    browsers = KnownBrowsers(held.vault, held.clock)
    flask.g.new_known = browsers.remember(_known(), started[0].account_id)
    if "new_language" in flask.g or flask.request.cookies.get(cookie_name(LANGUAGE_COOKIE)):
        # Chosen by her, or by the service that sent her: no browser's default.
        services().accounts.remember_language(started[0].account_id, flask.g.language)
    flask.g.pop("person", None)


def signed_out() -> None:
    """Take the session cookie from the browser."""
    flask.g.session, flask.g.new_session_cookie = None, ""
    flask.g.pop("person", None)


def set_language(language: str) -> None:
    """Show this and later pages in the language."""
    flask.g.language = language
    flask.g.new_language = language


def install(app: flask.Flask) -> None:
    """Send the cookies that a request decided on."""

    @app.after_request
    def send_cookies(response: flask.Response) -> flask.Response:
        if "new_browser_secret" in flask.g:
            _set(response, _BROWSER_COOKIE, flask.g.new_browser_secret, None)
        if "new_session_cookie" in flask.g:
            value = flask.g.new_session_cookie
            _set(response, _SESSION_COOKIE, value, None if value else 0)
        if "new_known" in flask.g:
            seconds = int(KNOWN_LIFETIME.total_seconds())
            _set(response, _KNOWN_COOKIE, flask.g.new_known, seconds)
        if "new_language" in flask.g:
            _set(response, LANGUAGE_COOKIE, flask.g.new_language, 365 * 86_400)
        return response


def _set(response: flask.Response, name: str, value: str, max_age: int | None) -> None:
    response.set_cookie(
        cookie_name(name),
        value,
        max_age=max_age,
        path="/",
        secure=installation().settings.is_secure,
        httponly=True,
        samesite="Lax",
    )


def _browser_name(agent: str) -> str:
    browser = next((name for sign, name in _BROWSERS if sign in agent), "")
    system = next((name for sign, name in _SYSTEMS if sign in agent), "")
    return " · ".join(part for part in (browser, system) if part)
