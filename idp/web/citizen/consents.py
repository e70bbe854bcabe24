"""Consents: what the person agreed to, and taking it back with one press."""

from datetime import datetime
from typing import Any

import flask

from consent.decisions import Consent, ConsentState
from idp import audit
from idp.web import context, person, timeline
from idp.web.language import N_, translate

blueprint = flask.Blueprint("consents", __name__)
_STANDING = frozenset({ConsentState.ACTIVE, ConsentState.PAUSED})
_WITHDRAWN = N_("Withdrawn. The agency can no longer read your data, and its sign-in has ended.")


@blueprint.get("/me/consents")
def consents() -> str:
    """List them, those in force first."""
    session = person.required()
    return _page(session.subject_id, None)


@blueprint.post("/me/consents/<consent_id>/withdraw")
def withdraw(consent_id: str) -> str:
    """Withdraw: the consent ends, and every token that stood on it, in one transaction."""
    session = person.required()
    services = context.services()
    ended = services.consents.withdraw(person.row_id(consent_id), session.subject_id)
    if ended is None:
        flask.abort(404)
    services.grants.revoke_of_consent(consent_id)
    audit.security_event("consent.withdrawn", account=session.account_id, party=ended.client_id)
    return _page(session.subject_id, translate(_WITHDRAWN))


def _page(subject_id: str, notice_text: str | None) -> str:
    services = context.services()
    now = services.installation.clock()
    given = services.consents.of_subject(subject_id)
    return flask.render_template(
        "citizen/consents.html",
        section="consents",
        active=[_told(c, c.state.value, subject_id) for c in given if _stands(c, now)],
        ended=[_told(c, _ended_state(c), subject_id) for c in given if not _stands(c, now)],
        notice_text=notice_text,
    )


def _stands(consent: Consent, now: datetime) -> bool:
    return consent.state in _STANDING and now < consent.valid_until


def _ended_state(consent: Consent) -> str:
    return "expired" if consent.state in _STANDING else consent.state.value


def _told(consent: Consent, state: str, subject_id: str) -> dict[str, Any]:
    is_own = consent.subject_id == subject_id
    acting_for = consent.acting_for if is_own else None
    return {
        "id": consent.id,
        "agency": timeline.agency(consent.client_id),
        "purpose": timeline.purpose_title(consent.purpose),
        "attributes": timeline.labels(consent.attributes),
        "declined": timeline.labels(consent.declined),
        "given_at": consent.given_at,
        "until": consent.valid_until,
        "acting_for": person.name_of(acting_for) if acting_for else None,
        "given_by": None if is_own else person.name_of(consent.subject_id),
        "state": state,
        "ended_at": consent.ended_at or consent.valid_until,
        "offline": consent.offline,
    }
