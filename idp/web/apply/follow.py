"""Following an application by its reference, and taking the activation code when it is issued.

The reference is sent in a form and never stands in an address, so that no history or log keeps it.
"""

import flask

from accounts.applications import Application
from idp import limits
from idp.web import context, errors, progress
from idp.web.language import N_, translate

blueprint = flask.Blueprint("follow", __name__)
_UNKNOWN = N_("There is no application with this reference.")


@blueprint.get("/apply/follow")
def ask() -> str:
    """Ask for the reference."""
    return flask.render_template("apply/follow.html", error=None)


@blueprint.post("/apply/follow")
def show() -> flask.Response:
    """Show the application's progress."""
    return _page(_found())


@blueprint.post("/apply/code")
def code() -> flask.Response:
    """Make and show the activation code; the one before stops working."""
    found = _found()
    if found is None or not progress.shown(found)["gives_code"]:
        return _page(found)
    made = context.services().application_office.activation_code(found)
    return _page(found, code=made)


@blueprint.post("/apply/chip")
def read_card() -> flask.Response:
    """Ask for a reading of the card's chip and show its code, once."""
    found = _found()
    return _page(found, chip_code=progress.chip_code(found) if found is not None else None)


def _found() -> Application | None:
    services = context.services()
    counted = (limits.REFERENCE_ADDRESS, flask.request.remote_addr or "")
    if services.limits.is_exhausted(counted):
        flask.abort(429)
    found = services.applications.find_by_reference(flask.request.form.get("reference", "")[:64])
    if found is None:
        services.limits.count_failure(counted)
    return found


def _page(
    found: Application | None, *, code: str | None = None, chip_code: str | None = None
) -> flask.Response:
    if found is None:
        body = flask.render_template("apply/follow.html", error=translate(_UNKNOWN))
        return flask.Response(body, errors.words("not-found").status)
    body = flask.render_template(
        "apply/progress.html",
        application=progress.shown(found),
        reference=flask.request.form.get("reference", ""),
        code=code,
        chip_code=chip_code,
        login=found.stated.get("personal_number") or found.stated.get("residence_card", ""),
    )
    return flask.Response(body)
