"""Requests in plain words: the person, and officers, read the same."""

from datetime import datetime, timedelta
from typing import Any

from consent.cases import Case, CaseState, Finding
from consent.deadlines import Right
from idp.web import context, timeline
from idp.web.language import N_, translate

RIGHTS = {
    Right.EXPLAIN: N_("Ask why"),
    Right.OBJECT: N_("Object"),
    Right.COMPLAIN: N_("Complain"),
}
_STATES = {
    CaseState.OPEN: ("yellow", N_("Sent")),
    CaseState.ACKNOWLEDGED: ("blue", N_("Received by the agency")),
    CaseState.ANSWERED: ("green", N_("Answered")),
    CaseState.CLOSED: ("grey", N_("Closed")),
}
_FINDINGS = {
    Finding.EXPLAINED: N_("It explains the use"),
    Finding.STOPPED: N_("It has stopped the use"),
    Finding.CORRECTED: N_("It has corrected the data"),
    Finding.REFUSED: N_("It goes on with the use"),
    Finding.NOT_OURS: N_("It knows of no such use"),
}


def findings() -> dict[str, str]:
    """Return what an agency can have found, by code."""
    return {one.value: translate(text) for one, text in _FINDINGS.items()}


def last_day(too_late: datetime) -> datetime:
    """Return a moment of the last day on which it is in time."""
    return too_late - timedelta(seconds=1)


def told(found: Case) -> dict[str, Any]:
    """Return the case in plain words."""
    now = context.installation().clock()
    colour, text = _STATES[found.state]
    return {
        "id": found.id,
        "reference": found.reference,
        "right": translate(RIGHTS[found.right]),
        "agency": timeline.agency(found.client_id),
        "position": found.position,
        "tag": {"colour": colour, "text": translate(text)},
        "is_late": found.is_late(now),
        "words": found.words,
        "opened_at": found.opened_at,
        "acknowledge_by": last_day(found.acknowledge_by),
        "acknowledged_at": found.acknowledged_at,
        "answer_by": last_day(found.answer_by),
        "through_others": found.through_others,
        "extended_at": found.extended_at,
        "extension_reason": found.extension_reason,
        "answered_at": found.answered_at,
        "finding": translate(_FINDINGS[found.finding]) if found.finding else "",
        "answer": found.answer,
        "escalated_at": found.escalated_at,
        "ruling": found.ruling,
        "ruled_by": timeline.officer(found.ruled_by) if found.ruled_by else "",
        "closed_at": found.closed_at,
    }
