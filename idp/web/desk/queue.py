"""The queue with its legal clock, what waits for a second officer, and looking somebody up.

The queue names nobody: whom an application is about, an officer sees when she opens it.
"""

from datetime import timedelta
from typing import Any

import flask

from accounts.applications import Application, ApplicationKind
from accounts.legal_clock import UNLOCKING
from idp import audit
from idp.applying.rules import BadApplicationError
from idp.desk import Desk, SearchesUsedUpError
from idp.register_checks import check
from idp.web import context, errors, journey, notice_words, person, progress, timeline, transaction
from idp.web.desk.entrance import desk
from idp.web.language import N_, translate
from idp.web.words import LOCK_REASONS

blueprint = flask.Blueprint("desk", __name__)
_NOBODY = N_("No account bears exactly this identifier.")
_FORMS = {
    "citizen": (ApplicationKind.CITIZEN_02, ("name", "birthdate", "personal_number")),
    "foreigner": (
        ApplicationKind.FOREIGNER_02,
        ("name", "birthdate", "country", "passport", "residence_card"),
    ),
}


@blueprint.get("/desk")
def queue() -> flask.Response:
    """Show what is to be decided, the most urgent first."""
    return _page(desk())


@blueprint.post("/desk/search")
def search() -> flask.Response:
    """Find an account by one exact identifier."""
    at = desk()
    try:
        found = at.search(flask.request.form.get("identifier", "")[:64])
    except SearchesUsedUpError as error:
        return _page(at, errors.message(error.code), errors.words(error.code).status)
    if found is None:
        return _page(at, translate(_NOBODY), 404)
    return journey.see_other(f"/desk/accounts/{found.id}")


@blueprint.get("/desk/<any(citizen, foreigner):who>")
def ask(who: str) -> flask.Response:
    """Show the form for somebody who stands at the desk and has not applied yet."""
    desk()
    return _form(who, {}, {})


@blueprint.post("/desk/<any(citizen, foreigner):who>")
def take(who: str) -> flask.Response:
    """Take the application and have the register asked."""
    at = desk()
    kind, fields = _FORMS[who]
    stated = progress.filled_in(*fields)
    try:
        application_id, _reference = context.services().application_office.submit(kind, stated)
    except BadApplicationError as error:
        faults = {field: progress.fault(code) for field, code in error.faults.items()}
        return _form(who, stated, faults)
    audit.security_event("desk.applied", officer=at.officer.id, application=application_id)
    transaction.release()
    check(context.installation(), application_id)
    return journey.see_other(f"/desk/applications/{application_id}")


@blueprint.post("/desk/unlocks/<request_id>")
def confirm(request_id: str) -> flask.Response:
    """Confirm or refuse, as the second officer, what another asked."""
    at = desk()
    confirms = flask.request.form.get("decision") == "confirm"
    account_id = at.confirm_unlock(person.row_id(request_id), confirms=confirms)
    return journey.see_other(f"/desk/accounts/{account_id}")


def _page(at: Desk, error: str | None = None, status: int = 200) -> flask.Response:
    services = context.services()
    rows = [_row(found) for found in services.applications.undecided()]
    body = flask.render_template(
        "desk/queue.html",
        section="desk",
        officer=timeline.officer(at.officer.id),
        rows=rows,
        late=sum(row["is_late"] for row in rows),
        unlocks=[
            {
                "id": one.id,
                "account": one.account_id,
                "reason": translate(LOCK_REASONS[one.reason]),
                "ground": one.ground,
                "asked_at": one.asked_at,
                "due_at": UNLOCKING.ends(one.asked_at) - timedelta(seconds=1),
                "is_late": UNLOCKING.ends(one.asked_at) <= context.installation().clock(),
                "asked_by": timeline.officer(one.asked_by),
                "is_own": one.asked_by == at.officer.id,
            }
            for one in services.unlock_requests.open()
        ],
        contacts=[
            {
                "id": one.id,
                "asked_at": one.asked_at,
                "asked_by": timeline.officer(one.asked_by),
            }
            for one in services.contact_requests.open()
        ],
        incidents=[
            {
                "id": one.id,
                "account": one.account_id,
                "number": one.number,
                "about": notice_words.kind(one.about),
                "opened_at": one.opened_at,
            }
            for one in services.incidents.all_open()
        ],
        error=error,
    )
    return flask.Response(body, status)


def _row(found: Application) -> dict[str, Any]:
    shown = progress.shown(found)
    return {key: value for key, value in shown.items() if key not in {"name", "decision"}}


def _form(who: str, stated: dict[str, str], faults: dict[str, str]) -> flask.Response:
    body = flask.render_template(
        "desk/take.html", section="desk", who=who, stated=stated, errors=faults
    )
    return flask.Response(body, errors.words("bad-application").status if faults else 200)
