"""Requests at the desk: those to Sen ID itself, and those that were brought to the authority."""

import flask

from accounts.account import AccountKind
from consent.cases import Case, Finding
from consent.data_use import PROVIDER
from idp.applying.rules import OwnCaseError
from idp.asking import BadWordsError
from idp.web import case_words, context, errors, journey, person
from idp.web.desk.entrance import desk

blueprint = flask.Blueprint("desk_cases", __name__)
_SHOWN = ("sub",)


@blueprint.get("/desk/cases")
def cases() -> str:
    """List them by urgency; whom they are about shows when one is opened."""
    desk()
    services = context.services()
    waiting = services.cases.before_the_authority(PROVIDER)
    return flask.render_template(
        "desk/cases.html",
        section="desk",
        cases=[case_words.told(one) for one in waiting],
        late=[case_words.told(one) for one in services.cases.overdue()],
    )


@blueprint.get("/desk/cases/<case_id>")
def one(case_id: str) -> flask.Response:
    """Show one; the look stands in the person's record."""
    return _page(case_id)


@blueprint.post("/desk/cases/<case_id>")
def decide(case_id: str) -> flask.Response:
    """Answer what was asked of Sen ID, or close with a finding what was brought to the authority."""
    at, form = desk(), flask.request.form
    services = context.services()
    found = _found(case_id)
    if at.officer.subject_id in {found.subject_id, found.opened_by}:
        raise OwnCaseError
    try:
        if found.escalated_at is not None:
            services.asking.rule(found.id, at.officer.id, form.get("words", ""))
        else:
            finding = Finding(form.get("finding", Finding.EXPLAINED.value))
            services.asking.answer(found.reference, PROVIDER, finding, form.get("words", ""))
    except BadWordsError as error:
        return _page(case_id, errors.message(error.code))
    except ValueError:
        flask.abort(400)
    return journey.see_other("/desk/cases")


def _found(case_id: str) -> Case:
    services = context.services()
    wanted = person.row_id(case_id)
    open_ones = [*services.cases.before_the_authority(PROVIDER), *services.cases.overdue()]
    found = next((one for one in open_ones if one.id == wanted), None)
    if found is None:
        flask.abort(404)
    return found


def _page(case_id: str, error: str | None = None) -> flask.Response:
    at, found = desk(), _found(case_id)
    # It names nobody; that there is a request, and what it says, is hers all the same.
    account = context.services().accounts.find_of_subject(found.subject_id)
    is_organisation = account is not None and account.kind is AccountKind.ORGANISATION
    at.look(found.subject_id, _SHOWN, "own-question", organisation=is_organisation)
    body = flask.render_template(
        "desk/case.html",
        section="desk",
        case=case_words.told(found),
        findings=case_words.findings() if found.client_id == PROVIDER else {},
        decides=found.escalated_at is not None or found.client_id == PROVIDER,
        words=flask.request.form.get("words", ""),
        error=error,
    )
    return flask.Response(body, 422 if error else 200)
