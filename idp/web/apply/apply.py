"""Applying without an account: a citizen for level 01, a foreigner for level 02."""

import flask

from accounts.applications import ApplicationKind
from idp import limits
from idp.applying.rules import BadApplicationError
from idp.register_checks import check
from idp.web import context, errors, progress, transaction

blueprint = flask.Blueprint("apply", __name__)
_FORMS = {
    "citizen": (ApplicationKind.CITIZEN_01, ("name", "birthdate", "personal_number")),
    "foreigner": (
        ApplicationKind.FOREIGNER_02,
        ("name", "birthdate", "country", "passport", "residence_card"),
    ),
}


@blueprint.get("/apply")
def choose() -> str:
    """Say who applies how."""
    return flask.render_template("apply/choose.html")


@blueprint.get("/apply/<any(citizen, foreigner):who>")
def ask(who: str) -> flask.Response:
    """Show the form."""
    return _page(who, {}, {})


@blueprint.post("/apply/<any(citizen, foreigner):who>")
def submit(who: str) -> flask.Response:
    """Take the application, have the register asked, and show the reference, once."""
    kind, fields = _FORMS[who]
    stated = progress.filled_in(*fields)
    services = context.services()
    counted = (limits.APPLICATION_ADDRESS, flask.request.remote_addr or "")
    if services.limits.is_exhausted(counted):
        return _page(who, stated, {}, error=progress.too_many(), status=429)
    services.limits.count_failure(counted)
    try:
        application_id, reference = services.application_office.submit(kind, stated)
    except BadApplicationError as error:
        faults = {field: progress.fault(code) for field, code in error.faults.items()}
        return _page(who, stated, faults, status=errors.words(error.code).status)
    transaction.release()
    check(context.installation(), application_id)
    found = context.services().applications.application(application_id)
    body = flask.render_template(
        "apply/received.html", reference=reference, application=progress.shown(found)
    )
    return flask.Response(body)


def _page(
    who: str,
    stated: dict[str, str],
    faults: dict[str, str],
    *,
    error: str | None = None,
    status: int = 200,
) -> flask.Response:
    body = flask.render_template(
        "apply/form.html", who=who, stated=stated, errors=faults, error=error
    )
    return flask.Response(body, status)
