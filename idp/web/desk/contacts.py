"""Changing a person's contact at the desk: one officer asks, another confirms; both looks are seen."""

import flask

from accounts.attributes import DICTIONARY
from idp.applying.rules import ReasonMissingError
from idp.contact import CONTACTS, BadContactError
from idp.desk import ContactTakenUpError, Desk
from idp.web import context, errors, journey, person, progress, timeline
from idp.web.desk.entrance import desk
from idp.web.language import N_, translate

blueprint = flask.Blueprint("desk_contacts", __name__)
_ASKED = N_("Asked. Another officer has to confirm it.")


@blueprint.get("/desk/accounts/<account_id>/contact")
def ask(account_id: str) -> flask.Response:
    """Show the contacts and the form."""
    return _form(desk(), person.row_id(account_id))


@blueprint.post("/desk/accounts/<account_id>/contact")
def submit(account_id: str) -> flask.Response:
    """Ask a second officer to change one of them."""
    at, form = desk(), flask.request.form
    claim = form.get("claim", "")
    if claim not in CONTACTS:
        flask.abort(400)
    try:
        at.ask_contact_change(
            person.row_id(account_id), claim, form.get("value", "").strip(), form.get("ground", "")
        )
    except BadContactError as error:
        return _form(at, account_id, error=errors.message(error.code), target="value")
    except ReasonMissingError as error:
        return _form(at, account_id, error=errors.message(error.code), target="ground")
    except ContactTakenUpError as error:
        return _form(at, account_id, error=errors.message(error.code), target="value")
    return _form(at, account_id, notice_text=translate(_ASKED))


@blueprint.get("/desk/contacts/<request_id>")
def one(request_id: str) -> str:
    """Show another officer's request: whose contact, what stands there, what is to."""
    at = desk()
    asked = at.contact_request(person.row_id(request_id))
    account = context.services().accounts.account(asked.account_id)
    at.look_at_contact(account, [asked.claim])
    held = context.services().contact_book.of_subject(account.subject_id)
    return flask.render_template(
        "desk/contact_request.html",
        section="desk",
        id=asked.id,
        account=account.id,
        name=person.name_of(account.subject_id),
        label=_label(asked.claim),
        before=held.get(asked.claim, ""),
        after=asked.value,
        ground=asked.ground,
        asked_at=asked.asked_at,
        asked_by=timeline.officer(asked.asked_by),
        is_own=asked.asked_by == at.officer.id,
    )


@blueprint.post("/desk/contacts/<request_id>")
def answer(request_id: str) -> flask.Response:
    """Confirm or refuse as the second officer."""
    confirms = flask.request.form.get("decision") == "confirm"
    desk().answer_contact_change(person.row_id(request_id), confirms=confirms)
    return journey.see_other("/desk")


def _form(
    at: Desk,
    account_id: str,
    *,
    error: str | None = None,
    target: str = "",
    notice_text: str | None = None,
) -> flask.Response:
    services = context.services()
    account = services.accounts.account(account_id)
    at.look_at_contact(account)
    held = services.contact_book.of_subject(account.subject_id)
    waiting = {request.claim for request in services.contact_requests.open_of(account_id)}
    given = flask.request.form if error else {}
    body = flask.render_template(
        "desk/contact.html",
        section="desk",
        account=account_id,
        name=person.name_of(account.subject_id),
        contacts=[
            {
                "claim": claim,
                "label": progress.label_of(claim),
                "value": held.get(claim, ""),
                "waits": claim in waiting,
            }
            for claim in CONTACTS
        ],
        is_own=account.subject_id == at.officer.subject_id,
        chosen=given.get("claim", next(iter(CONTACTS))),
        value=given.get("value", ""),
        ground=given.get("ground", ""),
        error=error,
        target=target,
        notice_text=notice_text,
    )
    return flask.Response(body, 422 if error else 200)


def _label(claim: str) -> str:
    return DICTIONARY[claim].label[flask.g.language]
