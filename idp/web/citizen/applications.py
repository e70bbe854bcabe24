"""A person's applications: her own, those for a child or a company, and what she is asked to agree to."""

from typing import Any

import flask

from accounts.applications import Answer, Application, ApplicationKind
from accounts.attributes import best_value
from accounts.levels import AccountLevel, AuthenticationLevel
from accounts.sessions import BrowserSession
from accounts.subject import IdentifierType
from idp.applying.rules import BadApplicationError, NotEntitledError
from idp.register_checks import check
from idp.web import context, errors, journey, person, progress, transaction
from idp.web.language import N_, translate

blueprint = flask.Blueprint("citizen_applications", __name__)
_FORMS = {
    "organisation": (ApplicationKind.ORGANISATION, ("name", "tax_code")),
    "child": (ApplicationKind.MINOR, ("name", "birthdate", "personal_number", "tie")),
}
_AGREED = N_("Thank you. Your agreement is recorded.")
_DECLINED = N_("You have declined. The organisation's account is not issued without you.")


@blueprint.get("/me/applications")
def applications() -> str:
    """List them, with what she may apply for."""
    return _list(person.required(), None)


@blueprint.post("/me/applications/level")
def raise_level() -> flask.Response:
    """Apply for level 02; she then comes to a desk."""
    session = person.required()
    services = context.services()
    account = services.accounts.account(session.account_id)
    held = services.held.of_subject(session.subject_id)
    number = services.subjects.bears(session.subject_id, IdentifierType.PERSONAL_NUMBER)
    if account.level is not AccountLevel.LEVEL_01 or number is None:
        raise NotEntitledError
    stated = {
        "personal_number": number,
        "name": str(best_value(held, "name") or ""),
        "birthdate": str(best_value(held, "birthdate") or ""),
    }
    return _submit(session, ApplicationKind.CITIZEN_02, stated)


@blueprint.get("/me/applications/<any(organisation, child):what>")
def ask(what: str) -> flask.Response:
    """Show the form."""
    session = person.required()
    if not _may_apply_for_others(session):
        return journey.see_other(f"/sign-in?next={flask.request.path}")
    return _form(what, {}, {})


@blueprint.post("/me/applications/<any(organisation, child):what>")
def submit(what: str) -> flask.Response:
    """Take the application and have the register asked."""
    session = person.required()
    if not _may_apply_for_others(session):
        raise NotEntitledError
    kind, fields = _FORMS[what]
    stated = progress.filled_in(*fields)
    try:
        return _submit(session, kind, stated)
    except BadApplicationError as error:
        faults = {field: progress.fault(code) for field, code in error.faults.items()}
        return _form(what, stated, faults)


@blueprint.get("/me/applications/<application_id>")
def one(application_id: str) -> str:
    """Show the progress of one of them."""
    return _page(_own(person.required(), application_id), None)


@blueprint.post("/me/applications/<application_id>/code")
def code(application_id: str) -> str:
    """Make and show the activation code of what was issued."""
    found = _own(person.required(), application_id)
    made = (
        context.services().application_office.activation_code(found)
        if progress.shown(found)["gives_code"]
        else None
    )
    return _page(found, made)


@blueprint.post("/me/applications/<application_id>/chip")
def read_card(application_id: str) -> str:
    """Ask for a reading of the card's chip and show its code, once."""
    found = _own(person.required(), application_id)
    return _page(found, None, progress.chip_code(found))


@blueprint.post("/me/agreements/<agreement_id>")
def agree(agreement_id: str) -> str:
    """Agree or decline as a legal representative: only after a sign-in with a passkey."""
    session = person.required()
    if session.level < AuthenticationLevel.LEVEL_2:
        raise NotEntitledError
    agrees = flask.request.form.get("decision") == "agree"
    context.services().application_office.answer(
        person.row_id(agreement_id), session.subject_id, agrees=agrees
    )
    return _list(session, translate(_AGREED if agrees else _DECLINED))


def _submit(
    session: BrowserSession, kind: ApplicationKind, stated: dict[str, str]
) -> flask.Response:
    application_id, _reference = context.services().application_office.submit(
        kind, stated, applicant_id=session.subject_id
    )
    transaction.release()
    check(context.installation(), application_id)
    return journey.see_other(f"/me/applications/{application_id}")


def _may_apply_for_others(session: BrowserSession) -> bool:
    return session.level >= AuthenticationLevel.LEVEL_2


def _own(session: BrowserSession, application_id: str) -> Application:
    found = context.services().applications.application(person.row_id(application_id))
    if session.subject_id != found.applicant_id:
        flask.abort(404)
    return found


def _list(session: BrowserSession, notice_text: str | None) -> str:
    services = context.services()
    account = services.accounts.account(session.account_id)
    own = [
        found
        for found in services.applications.of_applicant(session.subject_id)
        if found.applicant_id == session.subject_id
    ]
    return flask.render_template(
        "citizen/applications.html",
        section="applications",
        applications=[progress.shown(found) for found in own],
        asked=[
            _asked(agreement, found, session)
            for agreement, found in services.application_office.asked_to_agree(session.subject_id)
        ],
        level=account.level.value,
        is_strong=_may_apply_for_others(session),
        reads_cards=context.installation().card_trust is not None,
        notice_text=notice_text,
    )


def _asked(agreement: Any, found: Application, session: BrowserSession) -> dict[str, Any]:
    colour, text = progress.ANSWERS[agreement.answer]
    return {
        "id": agreement.id,
        "organisation": found.stated["name"],
        "tax_code": found.stated["tax_code"],
        "applicant": person.name_of(found.applicant_id or ""),
        "asked_at": agreement.asked_at,
        "tag": {"colour": colour, "text": translate(text)},
        "is_open": agreement.answer is Answer.ASKED and found.state.is_open,
        "is_strong": session.level >= AuthenticationLevel.LEVEL_2,
    }


def _form(what: str, stated: dict[str, str], faults: dict[str, str]) -> flask.Response:
    body = flask.render_template(
        "citizen/apply_for.html",
        section="applications",
        what=what,
        stated=stated,
        errors=faults,
    )
    return flask.Response(body, errors.words("bad-application").status if faults else 200)


def _page(found: Application, code: str | None, chip_code: str | None = None) -> str:
    return flask.render_template(
        "citizen/application.html",
        section="applications",
        application=progress.shown(found),
        stated=progress.stated(found),
        code=code,
        chip_code=chip_code,
        login=found.stated.get("personal_number", ""),
    )
