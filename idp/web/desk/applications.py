"""An application at the desk: what was stated beside what the register says, and the decision."""

from typing import Any

import flask

from accounts.applications import Answer, Application, ApplicationKind, Evidence, Outcome
from accounts.subject import IdentifierType
from idp.applying.office import Assessment, Visit
from idp.applying.rules import BadApplicationError, ReasonMissingError, numbers_in
from idp.desk import Desk
from idp.register_checks import check
from idp.web import context, errors, journey, person, progress, transaction
from idp.web.desk.entrance import desk
from idp.web.language import N_, translate

blueprint = flask.Blueprint("desk_applications", __name__)
_SOURCES = {
    "population": N_("National population database"),
    "immigration": N_("Immigration database"),
    "enterprises": N_("Business registration database"),
    "identity_cards": N_("Identity-card database"),
    "chip": N_("Chip of the identity card"),
    "visit": N_("Visit to a desk"),
    "document": N_("Document shown at a desk"),
}
_OUTCOMES = {
    Outcome.FOUND: N_("Found"),
    Outcome.NOT_FOUND: N_("Not found"),
    Outcome.UNAVAILABLE: N_("No answer"),
    Outcome.SHOWN: N_("Shown"),
}
_NOT_PROVED = N_("Without the face compared and the person's confirmation there is no proof.")
_DIFFERS, _AGREES = N_("Differs"), N_("Agrees")


@blueprint.get("/desk/applications/<application_id>")
def one(application_id: str) -> flask.Response:
    """Show the evidence side by side, the register's word no older than a day."""
    at = desk()
    if context.services().application_office.renew(person.row_id(application_id)):
        transaction.release()
        check(context.installation(), application_id)
        at = desk()
    return _page(at, application_id)


@blueprint.post("/desk/applications/<application_id>/visit")
def visit(application_id: str) -> flask.Response:
    """Record that the person stood here and what was compared."""
    at, ticked = desk(), flask.request.form
    seen = Visit(
        document_valid="document_valid" in ticked,
        face_agrees="face_agrees" in ticked,
        biometrics_on_file="biometrics_on_file" in ticked,
        confirmed="confirmed" in ticked,
    )
    try:
        context.services().application_office.receive_visit(
            person.row_id(application_id), at.officer, seen
        )
    except BadApplicationError:
        return _page(at, application_id, error=translate(_NOT_PROVED), target="face_agrees")
    return _again(application_id)


@blueprint.post("/desk/applications/<application_id>/document")
def document(application_id: str) -> flask.Response:
    """Record a document that was shown: for a child's tie, or a representative's agreement."""
    at, form = desk(), flask.request.form
    office, what = context.services().application_office, form.get("document", "")
    agreement_id = form.get("agreement", "")
    try:
        if agreement_id:
            office.receive_agreement(
                person.row_id(application_id), person.row_id(agreement_id), at.officer, what
            )
        else:
            office.receive_document(person.row_id(application_id), at.officer, what)
    except ReasonMissingError as error:
        return _page(at, application_id, error=errors.message(error.code), target="document")
    return _again(application_id)


@blueprint.post("/desk/applications/<application_id>/decide")
def decide(application_id: str) -> flask.Response:
    """Issue, or refuse with a written reason."""
    at, form = desk(), flask.request.form
    office, reason = context.services().application_office, form.get("reason", "")[:4000]
    try:
        if form.get("decision") == "issue":
            office.issue(person.row_id(application_id), at.officer, reason)
        else:
            office.refuse(person.row_id(application_id), at.officer, reason)
    except ReasonMissingError as error:
        return _page(at, application_id, error=errors.message(error.code), target="reason")
    return _again(application_id)


@blueprint.post("/desk/applications/<application_id>/code")
def code(application_id: str) -> flask.Response:
    """Make the activation code and show it, once, to hand it over to the person."""
    at = desk()
    found = context.services().applications.application(person.row_id(application_id))
    made = None
    if found.kind in {ApplicationKind.CITIZEN_02, ApplicationKind.FOREIGNER_02}:
        made = context.services().application_office.activation_code(found)
    return _page(at, application_id, code=made)


def _again(application_id: str) -> flask.Response:
    return journey.see_other(f"/desk/applications/{application_id}")


def _page(
    at: Desk,
    application_id: str,
    *,
    code: str | None = None,
    error: str | None = None,
    target: str = "",
) -> flask.Response:
    services = context.services()
    found = services.applications.application(application_id)
    assessed = services.application_office.assess(found)
    _look(at, found, assessed)
    said = assessed.register_says()
    is_handed_over = found.kind in {ApplicationKind.CITIZEN_02, ApplicationKind.FOREIGNER_02}
    is_issued = found.account_id is not None
    body = flask.render_template(
        "desk/application.html",
        section="desk",
        application=progress.shown(found),
        rows=_side_by_side(found, said),
        register=_told(said) if said else None,
        evidence=[_told(one) for one in assessed.evidence],
        obstacles=[translate(progress.OBSTACLES[one]) for one in assessed.obstacles]
        if found.state.is_open
        else [],
        doubts=[translate(progress.DOUBTS[one]) for one in assessed.doubts],
        awaited=[one.value for one in assessed.awaited],
        agreements=[
            {**shown, "id": one.id, "is_open": one.answer is Answer.ASKED}
            for one, shown in zip(
                assessed.agreements, progress.shown(found)["agreements"], strict=True
            )
        ],
        applicant=person.name_of(found.applicant_id)
        if found.applicant_id and found.applicant_id != found.subject_id
        else None,
        can_issue=assessed.can_be_issued,
        is_foreigner=found.kind is ApplicationKind.FOREIGNER_02,
        is_own=at.officer.subject_id in {found.subject_id, found.applicant_id},
        hands_over=is_issued
        and is_handed_over
        and services.accounts.account(found.account_id or "").awaits_activation,
        code=code,
        login=found.stated.get("personal_number") or found.stated.get("residence_card", ""),
        account=found.account_id,
        reason=flask.request.form.get("reason", ""),
        error=error,
        target=target,
    )
    return flask.Response(body, 422 if error else 200)


def _look(at: Desk, found: Application, assessed: Assessment) -> None:
    """Write what is about to be shown into the chains of those it is about."""
    claims = {progress.claim_of(field, found.kind) for field in found.stated if field != "tie"}
    for one in assessed.evidence:
        claims.update(one.values if one.outcome is Outcome.FOUND else ())
    is_organisation = found.kind is ApplicationKind.ORGANISATION
    at.look(
        found.subject_id, tuple(sorted(claims)), "account-issuing", organisation=is_organisation
    )
    if found.applicant_id is not None and found.applicant_id != found.subject_id:
        at.look(found.applicant_id, ("name",), "account-issuing", organisation=False)
    for subject_id in _others_named(found, assessed):
        at.look(subject_id, ("name",), "account-issuing", organisation=False)


def _others_named(found: Application, assessed: Assessment) -> set[str]:
    """Return the people whom the register's answer names besides, parents and representatives, as far
    as they are known here: the rest have no chain to write into.
    """
    said = assessed.register_says()
    values = said.values if said is not None else {}
    subjects = context.services().subjects
    named = {
        subjects.find(IdentifierType.PERSONAL_NUMBER, number)
        for claim in progress.OF_OTHERS
        for number in numbers_in(values.get(claim))
    }
    return {one for one in named if one is not None} - {found.subject_id, found.applicant_id}


def _side_by_side(found: Application, said: Evidence | None) -> list[dict[str, Any]]:
    values = said.values if said is not None else {}
    rows: list[dict[str, Any]] = []
    for row in progress.stated(found):
        claim = progress.claim_of(row["field"], found.kind)
        told = values.get(claim)
        text = progress.readable(claim, told) if told is not None else ""
        rows.append(
            {
                **row,
                "register": text,
                "agrees": _same(row["value"], text) if text else None,
            }
        )
    shown = {progress.claim_of(field, found.kind) for field in found.stated}
    rows += [
        {"label": progress.label_of(claim), "value": "", "register": text}
        for claim, told in values.items()
        if claim not in shown and (text := progress.readable(claim, told))
    ]
    return rows


def _same(stated: str, told: str) -> bool:
    """True when both say the same, whatever the case and the spaces; a paper's number may stand
    among other facts of it.
    """
    left, right = ("".join(text.casefold().split()) for text in (stated, told))
    return left in right


def _told(one: Evidence) -> dict[str, Any]:
    return {
        "source": translate(_SOURCES[one.source.value]),
        "outcome": translate(_OUTCOMES[one.outcome]),
        "is_good": one.outcome in {Outcome.FOUND, Outcome.SHOWN},
        "as_of": one.as_of,
        "note": one.values.get("document") or one.values.get("office", "")
        if one.outcome is Outcome.SHOWN
        else "",
    }
