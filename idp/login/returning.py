"""Whoever comes back to a relying party: her live session and what she agreed to there, read at once."""

from sqlalchemy import Connection, and_

from accounts.sessions import LIVE, BrowserSession, BrowserSessions, browser_session
from accounts.statements import Statement
from consent.decisions import AT_RELYING_PARTY, CONSENT_COLUMNS, Consents, consent

_live_with_consents = Statement(
    LIVE.add_columns(*CONSENT_COLUMNS)
    .outerjoin(
        consent, (consent.c.subject_id == browser_session.c.subject_id) & and_(*AT_RELYING_PARTY)
    )
    .order_by(consent.c.given_at.desc())
)


def find(
    db: Connection, sessions: BrowserSessions, consents: Consents, cookie: str, client_id: str
) -> BrowserSession | None:
    """Return the live session that the cookie opens, as ``BrowserSessions.find`` does; her own consents at
    the relying party are read along (``Consents.adopt``).
    """
    asked = {**sessions.asked(cookie), "client": client_id, "acting": ""}
    rows = _live_with_consents.all(db, asked)
    session = sessions.opened(rows[0] if rows else None)
    if session is not None:
        consents.adopt(session.subject_id, client_id, rows)
    return session
