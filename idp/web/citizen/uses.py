"""The timeline: every use of the person's data, and of those for whom she may look."""

import re
from typing import Any

import flask

from accounts.attributes import best_value
from accounts.legal_clock import age, born_between, today
from accounts.mandates import FOR_PEOPLE, Mandate, MandateType
from accounts.sessions import BrowserSession
from idp.web import confirmation, context, person, timeline
from idp.web.language import N_, translate

blueprint = flask.Blueprint("uses", __name__)
_PAGE = 50
_ME = N_("My data")
_LOOKS = frozenset(
    {
        MandateType.LEGAL_REP,
        MandateType.ORG_HEAD,
        MandateType.ORG_ADMIN,
        MandateType.PARENT,
        MandateType.GUARDIAN,
    }
)
"""Whose mandate lets them see every use of the other's data; members and proxies see their own."""
_OWN_RECORD_FROM = 14
"""From this age a child has her own account, and her record is hers alone (Decree 69/2024 Art. 7)."""


@blueprint.get("/me/uses")
def uses() -> str:
    """Show a page of the timeline, newest first."""
    session = person.required()
    views = _views(session)
    wanted = flask.request.args.get("of", "")
    subject_id = next((v["subject"] for v in views if v["of"] == wanted), session.subject_id)
    is_own = subject_id == session.subject_id
    for_person = any(v["subject"] == subject_id and v.get("is_person", False) for v in views)
    place = flask.request.args.get("before", "")
    before = int(place) if re.fullmatch(r"[0-9]{1,9}", place, re.ASCII) else None
    entries = context.services().use_log.of_subject(subject_id, before=before, limit=_PAGE + 1)
    shown = entries[:_PAGE]
    base = "/me/uses" if is_own else f"/me/uses?of={wanted}"
    joint = "?" if is_own else "&"
    return flask.render_template(
        "citizen/uses.html",
        section="uses",
        mark=confirmation.mark() if before is None else None,
        is_own=is_own,
        days=timeline.by_day(shown, of_another=for_person),
        older=f"{base}{joint}before={shown[-1].position}" if len(entries) > _PAGE else None,
        now=context.installation().clock(),
        newest=base if before is not None else None,
        for_organisation=None if is_own else person.name_of(subject_id),
        for_person=for_person,
        views=[
            {"label": v["label"], "href": v["href"], "current": v["subject"] == subject_id}
            for v in views
        ],
    )


def _views(session: BrowserSession) -> list[dict[str, Any]]:
    own = {"of": "", "subject": session.subject_id, "label": translate(_ME), "href": "/me/uses"}
    represented: list[dict[str, Any]] = [
        {
            "of": mandate.id,
            "subject": mandate.principal_id,
            "label": person.name_of(mandate.principal_id),
            "is_person": mandate.type in FOR_PEOPLE,
            "href": f"/me/uses?of={mandate.id}",
        }
        for mandate in context.services().mandates.held_by(session.subject_id)
        if _may_look(mandate)
    ]
    return [own, *represented]


def _may_look(mandate: Mandate) -> bool:
    if mandate.type is not MandateType.PARENT:
        return mandate.type in _LOOKS
    held = context.services().held.of_subject(mandate.principal_id)
    try:
        _first, last = born_between(str(best_value(held, "birthdate")))
    except ValueError:
        return False
    return age(last, today(context.installation().clock())) < _OWN_RECORD_FROM
