"""The hot door: answers the busiest endpoints before a Flask context exists.

The functions behind it are the very ones that Flask's views call; whatever the door does not take
(another method, a page to show, an error to render) goes on to Flask untouched. A test runs the
same requests both ways. See docs/decisions/0011.
"""

import os
import re
import threading
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, cast
from weakref import WeakSet

import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from accounts.statements import TOGETHER, NeedsTransactionError, commit
from accounts.together import OnDemand
from idp import reading
from idp.database import for_single_statements, run_together
from idp.login import returning
from idp.login.errors import LoginError
from idp.login.flow import Respond
from idp.oidc import endpoints, wire
from idp.oidc.errors import ProtocolError
from idp.oidc.readings import ReadingDueError
from idp.services import Installation, Services
from idp.web import headers, operations
from idp.web.context import binding_of
from idp.web.sign_in import qr

Environ = dict[str, Any]
WSGI = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

_GREATEST_BODY = 64 * 1024
_COOKIE_VALUE = re.compile(r"[0-9a-f]{64}", re.ASCII)
_PAGE_WAITS = re.compile(r"/sign-in/qr/[0-9a-f]{32}/status", re.ASCII)
_TRACE_ID = re.compile(r"00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)
_STATUS = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}


class Door:
    """WSGI middleware in front of Flask."""

    def __init__(self, behind: WSGI, installation: Installation) -> None:
        self._behind = behind
        self._installation = installation
        settings = installation.settings
        single = for_single_statements(installation.engine)
        self._one_will_do = single.dialect.name == "postgresql"
        self._single = run_together(single) if self._one_will_do else single
        self._held = _Held(installation.engine, self._single, WeakSet())
        prefix = "__Host-" if settings.is_secure else ""
        self._cookie = re.compile(rf"(?:^|;\s*){prefix}sen_session=([^;]*)")
        self._browser = re.compile(rf"(?:^|;\s*){prefix}sen_browser=([^;]*)")
        always = {
            **headers.fixed(is_secure=settings.is_secure),
            "Content-Security-Policy": headers.policy(),
        }
        self._always = list(always.items())
        self._endpoints: dict[tuple[str, str], tuple[str, Callable[..., wire.Response | None]]] = {
            ("GET", "/authorize"): ("protocol.authorize", self._authorize),
            ("POST", "/token"): ("relying_party.token", self._using(endpoints.token)),
            ("GET", "/userinfo"): ("relying_party.userinfo", self._using(endpoints.userinfo)),
            ("POST", "/userinfo"): ("relying_party.userinfo", self._using(endpoints.userinfo)),
            ("POST", "/introspect"): (
                "relying_party.introspect",
                self._using(endpoints.introspect),
            ),
            ("POST", "/revoke"): ("relying_party.revoke", self._using(endpoints.revoke)),
            ("GET", "/jwks"): ("discovery.jwks", self._jwks),
            ("GET", "/.well-known/openid-configuration"): ("discovery.discovery", self._discovery),
        }

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer, or let Flask answer."""
        method = environ["REQUEST_METHOD"]
        found = self._endpoints.get((method, environ["PATH_INFO"]))
        if found is None and method == "GET" and _PAGE_WAITS.fullmatch(environ["PATH_INFO"]):
            found = ("qr.status", self._page_that_waits)
        if found is None:
            return self._behind(environ, start_response)
        began = time.perf_counter()
        request = _request(environ)
        if request is None:
            return self._behind(environ, start_response)
        name, endpoint = found
        correlation = _correlation(environ)
        try:
            answer = endpoint(request, environ, correlation)
        finally:
            self._held.rest()
        if answer is None:
            return self._behind(environ, start_response)
        operations.count(name, method, answer.status, time.perf_counter() - began, correlation)
        start_response(_STATUS[answer.status], [*answer.headers.items(), *self._always])
        return [answer.body]

    def close(self) -> None:
        """Give back the connections that threads keep, while no request is under way."""
        self._held.close()
        for together in self._single.get_execution_options().get(TOGETHER, {}).values():
            together.close()

    def _discovery(self, _request: wire.Request, _environ: Environ, _id: str) -> wire.Response:
        held = self._installation
        return endpoints.discovery(held.settings.issuer, held.acr_values)

    def _jwks(self, _request: wire.Request, _environ: Environ, _id: str) -> wire.Response:
        return endpoints.jwks(self._installation.keys)

    def _using(
        self, endpoint: Callable[[Any, wire.Request], wire.Response]
    ) -> Callable[[wire.Request, Environ, str], wire.Response]:
        """Run an endpoint in a transaction by the same rule as ``idp.web.transaction``.

        Where the database can do the endpoint's whole work in one statement, that is tried first:
        no locks between statements, half the round trips, and those shared with the requests that
        are under way at the same time (``accounts.together``). An assertion is spent by a statement
        of its own, so it needs the transaction anyway.
        """

        def run(request: wire.Request, environ: Environ, correlation: str) -> wire.Response:
            try:
                if self._one_will_do and b"client_assertion" not in request.body:
                    services = self._services(self._held.single(), environ, correlation)
                    try:
                        answer = endpoint(services.provider, request)
                        services.use_log.settle()
                    except (NeedsTransactionError, ReadingDueError):
                        pass
                    else:
                        return answer
                answer = reading.answer(
                    self._installation,
                    endpoint,
                    request,
                    provider=lambda: (
                        self._services(self._held.transactional(), environ, correlation).provider
                    ),
                    undo=self._held.undo,
                    correlation=correlation,
                )
                db = self._held.current()
                if answer.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                    commit(db)
                else:
                    db.rollback()
            except Exception as error:  # noqa: BLE001 - as Flask does: nothing may escape a request
                self._held.drop()
                return _failed(error)
            return answer

        return run

    def _authorize(
        self, request: wire.Request, environ: Environ, correlation: str
    ) -> wire.Response | None:
        """Answer at once when the person is signed in and has agreed; all else needs a page.

        Nothing but the session's last use is ever written, so no transaction spans statements.
        """
        cookie = self._cookie.search(environ.get("HTTP_COOKIE", ""))
        # The first of the name counts, as with Flask; a value that cannot be ours is Flask's too.
        if cookie is None or not _COOKIE_VALUE.fullmatch(cookie.group(1)):
            return None
        if b"client_id=" not in request.query:
            return None
        try:
            parsed, relying_party = self._installation.request_reader.read(request)
            if parsed.ui_locales:
                return None
            services = self._services(self._held.single(), environ, correlation)
            session = returning.find(
                services.db,
                services.sessions,
                services.consents,
                cookie.group(1),
                relying_party.client_id,
            )
            if session is None:
                return None
            step = services.authorization.step(parsed, relying_party, session)
            if not isinstance(step, Respond):
                return None
            return services.authorization.respond(parsed, session, step.consent, None)
        except (ProtocolError, NeedsTransactionError, DBAPIError, PoolTimeoutError) as error:
            if isinstance(error, (DBAPIError, PoolTimeoutError)):
                self._held.drop()
            return None

    def _page_that_waits(
        self, request: wire.Request, environ: Environ, correlation: str
    ) -> wire.Response | None:
        """Tell a page with a QR code where it stands, or to wait: thousands of them ask each second,
        and most are told to wait.
        """
        cookie = self._browser.search(environ.get("HTTP_COOKIE", ""))
        if cookie is None or not _COOKIE_VALUE.fullmatch(cookie.group(1)):
            return None
        id_, binding = request.path.split("/")[3], binding_of(cookie.group(1))
        waiting = qr.told_to_wait(self._installation, id_, binding)
        if waiting is not None:
            return waiting
        environ[qr.PACED] = True
        try:
            services = self._services(self._held.single(), environ, correlation)
            return qr.standing(services.qr_sign_ins, id_, binding)
        except (LoginError, NeedsTransactionError, DBAPIError, PoolTimeoutError) as error:
            if isinstance(error, (DBAPIError, PoolTimeoutError)):
                self._held.drop()
            return None

    def _services(self, db: Connection, environ: Environ, correlation: str) -> Services:
        address = environ.get("REMOTE_ADDR", "")
        return self._installation.services(db, correlation=correlation, address=address)


class _Kept:
    """One thread's connections, each of its own use.

    Servers end threads that are idle and start others; what such a thread kept goes back to the
    pool with it.
    """

    def __init__(self, on_demand: OnDemand | None) -> None:
        self.on_demand = on_demand
        self.single: Connection | None = None
        self.transactional: Connection | None = None

    def take(self) -> list[Connection]:
        """Return the connections and forget them."""
        aside = self.on_demand.take() if self.on_demand is not None else None
        taken = [held for held in (aside, self.single, self.transactional) if held is not None]
        self.single = self.transactional = None
        return taken

    def close(self) -> None:
        """Give the connections back to the pool."""
        for connection in self.take():
            connection.close()

    def __del__(self) -> None:
        self.close()


class _Held(threading.local):
    """The connections that a worker's thread keeps: checking one out anew costs as much as using
    it.
    """

    def __init__(self, engine: Engine, single: Engine, everywhere: WeakSet[_Kept]) -> None:
        self._engine = engine
        self._single = single
        self._kept = _Kept(OnDemand(single) if TOGETHER in single.get_execution_options() else None)
        self._everywhere = everywhere
        everywhere.add(self._kept)

    def transactional(self) -> Connection:
        """Return the thread's connection, at the beginning of a transaction."""
        kept = self._kept.transactional
        if kept is None:
            kept = self._kept.transactional = self._engine.connect()
        elif kept.in_transaction():
            kept.rollback()
        kept.begin()
        return kept

    def current(self) -> Connection:
        """Return the thread's connection in the transaction that was begun."""
        return cast("Connection", self._kept.transactional)

    def undo(self) -> None:
        """Roll the transaction back, so that nothing is locked any more."""
        self.current().rollback()

    def single(self) -> Connection:
        """Return the thread's connection on which each statement stands alone."""
        if self._kept.on_demand is not None:
            return cast("Connection", self._kept.on_demand)
        kept = self._kept.single
        if kept is None:
            kept = self._kept.single = self._single.connect()
        return kept

    def rest(self) -> None:
        """Give back what was taken on demand."""
        on_demand = self._kept.on_demand
        if on_demand is not None and (taken := on_demand.take()) is not None:
            taken.close()

    def close(self) -> None:
        """Give the connections of every thread back to the pool."""
        for kept in list(self._everywhere):
            kept.close()

    def drop(self) -> None:
        """Give the connections up after an error; the next request begins with fresh ones."""
        for connection in self._kept.take():
            try:
                # Rolling back first also gives a writer's turn back; the connection itself may
                # be broken, so it is not used again.
                connection.rollback()
                connection.invalidate()
            except DBAPIError:
                structlog.get_logger("sen").info("connection.lost")
            finally:
                connection.close()


def _request(environ: Environ) -> wire.Request | None:
    """Return the request, or None for shapes that Flask's parsing is to judge."""
    method = environ["REQUEST_METHOD"]
    if "HTTP_SEAL_USE" in environ:
        return None
    body = b""
    if method == "POST":
        length = environ.get("CONTENT_LENGTH") or ""
        if not length.isdigit() or int(length) > _GREATEST_BODY:
            return None
        body = environ["wsgi.input"].read(int(length))
    received: dict[str, str] = {}
    if "HTTP_AUTHORIZATION" in environ:
        received["authorization"] = environ["HTTP_AUTHORIZATION"]
    if environ.get("CONTENT_TYPE"):
        received["content-type"] = environ["CONTENT_TYPE"]
    return wire.Request(
        method,
        environ["PATH_INFO"],
        environ.get("QUERY_STRING", "").encode("latin-1"),
        received,
        body,
    )


def _correlation(environ: Environ) -> str:
    trace = environ.get("HTTP_TRACEPARENT")
    known = _TRACE_ID.fullmatch(trace) if trace else None
    return known.group(1) if known else os.urandom(16).hex()


def _failed(error: Exception) -> wire.Response:
    if isinstance(error, (OperationalError, PoolTimeoutError)):
        structlog.get_logger("sen").error("database.unavailable", kind=type(error).__name__)
        return wire.json_response(503, {"error": "server_error"}, {"Retry-After": "3"})
    structlog.get_logger("sen").error("unforeseen", exc_info=error)
    return wire.json_response(500, {"error": "server_error"})
