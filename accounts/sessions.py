"""Browser sessions: who is signed in where, how strongly, since when, and until when.

The cookie's value never reaches the database, only its hash. Each rise of authentication gets a new
id, so a value planted before a sign-in is worthless after it (session fixation).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    ForeignKey,
    Integer,
    String,
    Table,
    bindparam,
    delete,
    insert,
    select,
    update,
)

from accounts.account import AccountState, account, account_lock
from accounts.levels import (
    SECOND_FACTORS,
    STEPS,
    AuthenticationLevel,
    AuthenticationMethod,
    Strength,
    references_of,
    strength_of,
)
from accounts.schema import Chance, Clock, UTCDateTime, metadata, new_id
from accounts.statements import Statement

browser_session = Table(
    "browser_session",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("cookie_hash", String(64), nullable=False, unique=True),
    Column("account_id", String(32), ForeignKey("account.id"), nullable=False, index=True),
    Column("subject_id", String(32), ForeignKey("subject.id"), nullable=False),
    Column("methods", JSON, nullable=False),
    Column("level", Integer, nullable=False),
    Column("authenticated_at", UTCDateTime, nullable=False),
    Column("started_at", UTCDateTime, nullable=False),
    Column("last_seen_at", UTCDateTime, nullable=False),
    # Of the own pages alone: a service that is used does not keep them open.
    Column("own_seen_at", UTCDateTime, nullable=False),
    Column("expires_at", UTCDateTime, nullable=False, index=True),
    Column("ended_at", UTCDateTime),
    Column("browser", String(200), nullable=False),
    Column("address", String(45), nullable=False),
    # Room for each use's moment, beside the row and so without new entries in indexes.
    postgresql_with={"fillfactor": 80},
)

_COMPLETING = SECOND_FACTORS | STEPS
"""What adds to the proofs before it, and begins nothing anew."""
_OPEN_ACCOUNT = (
    account.c.state == AccountState.ACTIVE.value,
    ~select(account_lock.c.account_id).where(account_lock.c.account_id == account.c.id).exists(),
)

LIVE = (
    select(browser_session)
    .join(account, account.c.id == browser_session.c.account_id)
    .where(
        browser_session.c.cookie_hash == bindparam("cookie_hash"),
        browser_session.c.ended_at.is_(None),
        browser_session.c.expires_at > bindparam("now", type_=UTCDateTime),
        browser_session.c.last_seen_at > bindparam("idle_since", type_=UTCDateTime),
        *_OPEN_ACCOUNT,
    )
)
"""The query for the session of ``BrowserSessions.asked``, whose row ``opened`` judges."""
_live = Statement(LIVE)


@dataclass(frozen=True)
class BrowserSession:
    """A browser in which somebody is signed in."""

    id: str
    account_id: str
    subject_id: str
    methods: tuple[AuthenticationMethod, ...]
    level: AuthenticationLevel
    authenticated_at: datetime
    started_at: datetime
    last_seen_at: datetime
    browser: str
    address: str

    @property
    def strength(self) -> Strength:
        """How strongly the person proved herself."""
        return strength_of(self.methods)

    @property
    def is_approved_elsewhere(self) -> bool:
        """True when a phone let this browser in: whose browser it is rests on what she saw there."""
        return AuthenticationMethod.PHONE in self.methods

    @property
    def references(self) -> tuple[str, ...]:
        """The ``amr`` values (RFC 8176) of everything that was proved."""
        seen = [value for method in self.methods for value in references_of(method)]
        return tuple(dict.fromkeys(seen))


@dataclass(frozen=True)
class SessionLimits:
    """For how long a session lives without use and at most, by its level; without use of the own
    pages, for these; and how often its use is noted.
    """

    idle: Mapping[AuthenticationLevel, timedelta]
    absolute: Mapping[AuthenticationLevel, timedelta]
    own_idle: timedelta
    touch: timedelta

    @property
    def longest_idle(self) -> timedelta:
        """The idle limit of the level that has the longest."""
        return max(self.idle.values())


class BrowserSessions:
    """All browser sessions."""

    def __init__(self, db: Connection, clock: Clock, chance: Chance, limits: SessionLimits) -> None:
        self._db = db
        self._clock = clock
        self._chance = chance
        self._limits = limits

    def start(
        self,
        *,
        account_id: str,
        subject_id: str,
        methods: tuple[AuthenticationMethod, ...],
        browser: str,
        address: str,
        continues: BrowserSession | None = None,
    ) -> tuple[BrowserSession, str]:
        """Begin a session after an authentication; return it and the cookie's value.

        A session it ``continues`` (same account, same browser) is replaced: its row keeps its id, so
        what was granted in it lives on, but the old cookie value opens nothing any more. A second
        step alone completes what came before it: the time of the password stays the time of the
        authentication, and the session ends no later.
        """
        now = self._clock()
        cookie = self._chance(32).hex()
        kept = continues if continues and continues.account_id == account_id else None
        proved = _joined(kept.methods if kept else (), methods)
        values = {
            "cookie_hash": _hash(cookie),
            "methods": [m.value for m in proved],
            "level": strength_of(proved).level.value,
            "last_seen_at": now,
            "own_seen_at": now,
            "browser": browser[:200],
            "address": address[:45],
        }
        if kept is None or not _COMPLETING.issuperset(methods):
            lives = self._limits.absolute[strength_of(proved).level]
            values |= {"authenticated_at": now, "expires_at": now + lives}
        if kept is not None:
            session_id = kept.id
            self._db.execute(
                update(browser_session).where(browser_session.c.id == session_id).values(**values)
            )
        else:
            session_id = new_id(now, self._chance)
            self._db.execute(
                insert(browser_session).values(
                    id=session_id,
                    account_id=account_id,
                    subject_id=subject_id,
                    started_at=now,
                    **values,
                )
            )
        row = self._db.execute(
            select(browser_session).where(browser_session.c.id == session_id)
        ).one()
        return _session(row), cookie

    def find(self, cookie: str, *, on_own_pages: bool = False) -> BrowserSession | None:
        """Return the live session that the cookie opens, if its account is still open.

        On the own pages it has to have been used there of late, too; what is found is used now.
        """
        return self.opened(_live.first(self._db, self.asked(cookie)), on_own_pages=on_own_pages)

    def asked(self, cookie: str) -> dict[str, Any]:
        """Return the parameters of ``LIVE`` for a cookie's value."""
        now = self._clock()
        return {
            "cookie_hash": _hash(cookie),
            "now": now,
            "idle_since": now - self._limits.longest_idle,
        }

    def opened(self, row: Any, *, on_own_pages: bool = False) -> BrowserSession | None:
        """Return the session of a row of ``LIVE`` as ``find`` does, or None of None."""
        now = self._clock()
        if row is None or now - row.last_seen_at >= self._limits.idle[row.level]:
            return None
        seen = {"last_seen_at": now}
        noted = row.last_seen_at
        if on_own_pages:
            if now - row.own_seen_at >= self._limits.own_idle:
                return None
            seen["own_seen_at"] = now
            noted = min(noted, row.own_seen_at)
        if now - noted >= self._limits.touch:
            self._db.execute(
                update(browser_session)
                .where(browser_session.c.id == row.id)
                .values(**seen)
                .execution_options(whole=True)
            )
        return _session(row)

    def of_account(self, account_id: str) -> list[BrowserSession]:
        """Return the account's live sessions, most recently used first."""
        now = self._clock()
        rows = self._db.execute(
            select(browser_session)
            .where(
                browser_session.c.account_id == account_id,
                browser_session.c.ended_at.is_(None),
                browser_session.c.expires_at > now,
                browser_session.c.last_seen_at > now - self._limits.longest_idle,
            )
            .order_by(browser_session.c.last_seen_at.desc())
        )
        idle = self._limits.idle
        return [_session(row) for row in rows if now - row.last_seen_at < idle[row.level]]

    def latest_sign_in(self, account_id: str) -> tuple[datetime, str] | None:
        """Return when and at which address the account was signed in to last, ended or not."""
        row = self._db.execute(
            select(browser_session.c.authenticated_at, browser_session.c.address)
            .where(browser_session.c.account_id == account_id)
            .order_by(browser_session.c.authenticated_at.desc())
            .limit(1)
        ).first()
        return (row.authenticated_at, row.address) if row is not None else None

    def addresses(self, account_id: str) -> set[str]:
        """Return the addresses of the account's sign-ins that are still kept, ended or not."""
        query = select(browser_session.c.address).where(browser_session.c.account_id == account_id)
        return set(self._db.execute(query.distinct()).scalars())

    def was_there(self, account_id: str, since: datetime) -> bool:
        """True when one of the account's sessions, over or not, was used since the moment."""
        found = select(browser_session.c.id).where(
            browser_session.c.account_id == account_id, browser_session.c.last_seen_at >= since
        )
        return self._db.execute(found.limit(1)).first() is not None

    def end(self, account_id: str, session_id: str) -> bool:
        """End one of the account's sessions; False when it has no such live session."""
        return (
            self._db.execute(
                update(browser_session)
                .where(
                    browser_session.c.id == session_id,
                    browser_session.c.account_id == account_id,
                    browser_session.c.ended_at.is_(None),
                )
                .values(ended_at=self._clock())
            ).rowcount
            == 1
        )

    def end_all(self, account_id: str, *, but: str | None = None) -> list[str]:
        """End the account's sessions, but for one; return the ids of those ended."""
        ids = [s.id for s in self.of_account(account_id) if s.id != but]
        for session_id in ids:
            self.end(account_id, session_id)
        return ids

    def purge(self, before: datetime) -> int:
        """Remove sessions that expired before the given moment; return how many."""
        return self._db.execute(
            delete(browser_session).where(browser_session.c.expires_at <= before)
        ).rowcount


def _joined(
    before: tuple[AuthenticationMethod, ...], methods: tuple[AuthenticationMethod, ...]
) -> tuple[AuthenticationMethod, ...]:
    # A re-authentication with the password alone must not keep claiming yesterday's passkey, so
    # only the latest proof counts, except that a second factor completes the password before it, a
    # step adds to both, and a setup code explains how the session began.
    if _COMPLETING.issuperset(methods) or AuthenticationMethod.ACTIVATION_CODE in before:
        return tuple(dict.fromkeys((*before, *methods)))
    return methods


def _hash(cookie: str) -> str:
    return hashlib.sha256(cookie.encode()).hexdigest()


def _session(row: Any) -> BrowserSession:
    return BrowserSession(
        id=row.id,
        account_id=row.account_id,
        subject_id=row.subject_id,
        methods=tuple(AuthenticationMethod(m) for m in row.methods),
        level=AuthenticationLevel(row.level),
        authenticated_at=row.authenticated_at,
        started_at=row.started_at,
        last_seen_at=row.last_seen_at,
        browser=row.browser,
        address=row.address,
    )
