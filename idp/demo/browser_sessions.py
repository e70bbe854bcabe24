"""Browser sessions of a relying party, kept in its memory; the cookie is nothing but a random id.

One process serves the party, so memory is enough; a restart signs everybody out.
"""

import secrets
import threading
import time
from collections.abc import Callable
from typing import Any

from flask import Flask, Request, Response
from flask.sessions import SessionInterface, SessionMixin

LIFETIME_SECONDS = 3600
MOST_SESSIONS = 10_000


class BrowserSession(dict[str, Any], SessionMixin):
    """What the party remembers of one browser."""

    def __init__(self, now: float) -> None:
        super().__init__()
        self.id = secrets.token_urlsafe(32)
        self.began_at = now
        self.form_token = secrets.token_urlsafe(32)
        """Goes into every form of this browser, so that no other site can post one."""


class BrowserSessions(SessionInterface):
    """All sessions, oldest first; Flask's `session` is one of them."""

    def __init__(self, cookie: str, clock: Callable[[], float] = time.time) -> None:
        self._cookie = cookie
        self._clock = clock
        self._sessions: dict[str, BrowserSession] = {}
        self._lock = threading.Lock()

    def open_session(self, app: Flask, request: Request) -> BrowserSession:
        """Return the browser's session, or a new one that is kept once something is in it."""
        now = self._clock()
        found = self._sessions.get(request.cookies.get(self._cookie, ""))
        if found is None or found.began_at + LIFETIME_SECONDS < now:
            return BrowserSession(now)
        return found

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Keep the session and give the browser its id."""
        if not isinstance(session, BrowserSession):
            raise TypeError("not a session of this party")
        response.vary.add("Cookie")
        if not session or session.id in self._sessions:
            return
        with self._lock:
            self._forget_old()
            self._sessions[session.id] = session
        response.set_cookie(
            self._cookie,
            session.id,
            max_age=LIFETIME_SECONDS,
            secure=app.config["SESSION_COOKIE_SECURE"],
            httponly=True,
            samesite="Lax",
        )

    def renew(self, session: BrowserSession) -> None:
        """Empty the session and change its id, so that an id from before is worth nothing after."""
        with self._lock:
            self._sessions.pop(session.id, None)
        session.clear()
        session.id = secrets.token_urlsafe(32)
        session.form_token = secrets.token_urlsafe(32)

    def end_where(self, is_meant: Callable[[BrowserSession], bool]) -> int:
        """Forget who is signed in where it is meant, in whichever browser; return in how many. Each is
        told so when it comes next, and a page that it still shows leads there too.
        """
        with self._lock:
            ended = [kept for kept in self._sessions.values() if is_meant(kept)]
            for kept in ended:
                language = kept.get("language")
                kept.clear()
                kept["notice"] = "ended"
                if language:
                    kept["language"] = language
        return len(ended)

    def _forget_old(self) -> None:
        oldest_allowed = self._clock() - LIFETIME_SECONDS
        for id_, kept in list(self._sessions.items()):
            if kept.began_at > oldest_allowed and len(self._sessions) < MOST_SESSIONS:
                return
            del self._sessions[id_]
