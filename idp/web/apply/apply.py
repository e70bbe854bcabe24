"""Applying without an account: citizens and foreigners, for level 01 or 02."""

import flask

from accounts.applications import ApplicationKind
from idp import limits
from idp.applying.rules import BadApplicationError
from idp.register_checks import check
from idp.web import context, errors, progress, transaction

blueprint = flask.Blueprint("apply", __name__)
_FORMS = {
    "citizen": (ApplicationKind.CITIZEN_01, ("name", "birthdate", "personal_number")),
    # Level 02 by reading the card's chip takes the place of a visit.
    "citizen-chip": (ApplicationKind.CITIZEN_02, ("name", "birthdate", "personal_number")),
    "foreigner-level-01": (
        ApplicationKind.FOREIGNER_01,
        ("name", "birthdate", "country", "passport", "email", "phone_number"),
    ),
    "foreigner": (
        ApplicationKind.FOREIGNER_02,
        ("name", "birthdate", "country", "passport", "residence_card"),
    ),
}
_ADDRESS = '/apply/<any("citizen", "citizen-chip", "foreigner-level-01", "foreigner"):who>'


@blueprint.get("/apply")
def choose() -> str:
    """Say who applies how."""
    reads_cards = context.installation().card_trust is not None
    return flask.render_template("apply/choose.html", reads_cards=reads_cards)


@blueprint.get(_ADDRESS)
def ask(who: str) -> flask.Response:
    """Show the form."""
    _check_offer(who)
    return _page(who, {}, {})


@blueprint.post(_ADDRESS)
def submit(who: str) -> flask.Response:
    """Take the application, have the register asked, and show the reference, once."""
    _check_offer(who)
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


def _check_offer(who: str) -> None:
    if who == "citizen-chip" and context.installation().card_trust is None:
        flask.abort(404)


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
