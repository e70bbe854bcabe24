"""Taking a copy of data along: what has to hold before, and who is told."""

from urllib.parse import quote

import flask

from accounts.notices import NoticeKind
from accounts.sessions import BrowserSession
from idp import audit, limits
from idp.web import context, errors, journey, person


def begin(session: BrowserSession, here: str, event: str) -> flask.Response | None:
    """Count the copy and tell the person of it, in the transaction that also writes its use entry; or
    return what stands against it: the sign-in is not fresh (she comes back ``here``), or she took too
    many. ``event`` is its name in the operator's log.
    """
    if not person.is_fresh(session):
        return journey.see_other(f"/sign-in?next={quote(here, safe='/')}")
    services = context.services()
    counted = (limits.DOWNLOAD, session.account_id)
    if services.limits.is_exhausted(counted):
        return errors.page("too-many-failures")
    services.limits.count_failure(counted)
    services.notices.tell(session.subject_id, NoticeKind.DATA_COPIED, {})
    audit.security_event(event, account=session.account_id)
    return None
