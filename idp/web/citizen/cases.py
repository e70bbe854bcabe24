"""Requests to agencies: asking why, objecting, complaining, and what became of it by when."""

from typing import Any

import flask

from consent.cases import LONGEST, Case
from consent.data_use import PROVIDER, UseEntry
from consent.deadlines import Right, deadline
from idp.asking import BadWordsError
from idp.web import case_words, context, errors, person, records, timeline
from idp.web.language import N_, translate
from idp.web.records import Record

blueprint = flask.Blueprint("cases", __name__)
_WHAT_IT_DOES = {
    Right.EXPLAIN: N_("The agency has to tell you why it used the data, and on what right."),
    Right.OBJECT: N_(
        "The agency has to stop using the data for this, or name the law that obliges it to go on."
    ),
    Right.COMPLAIN: N_(
        "The agency has to answer, and the authority for personal data sees the complaint at once."
    ),
}
_SENT = N_("Sent. You find it here with the days by which it has to be answered.")
_DONE = {
    "escalate": N_("The authority for personal data has it now."),
    "close": N_("Closed."),
}


@blueprint.get("/me/cases")
def cases() -> str:
    """List them, newest first."""
    return _list(person.required().subject_id, None)


@blueprint.get("/me/cases/ask")
def form() -> flask.Response:
    """Show the form about a use, or about an agency as such, with the legal days."""
    session = person.required()
    record = records.chosen(records.readable(session))
    return _form(record, *_about(record, flask.request.args), flask.request.args.get("right", ""))


@blueprint.post("/me/cases/ask")
def ask() -> flask.Response:
    """Send it."""
    session, stated = person.required(), flask.request.form
    record = records.chosen(records.readable(session))
    entry, client_id = _about(record, stated)
    try:
        right = Right(stated.get("right", ""))
    except ValueError:
        flask.abort(400)
    try:
        context.services().asking.ask(
            right,
            subject_id=record.subject_id,
            opened_by=session.subject_id,
            client_id=client_id,
            position=entry.position if entry else 0,
            words=stated.get("words", ""),
            organisation=bool(record.of) and not record.is_person,
        )
    except BadWordsError as error:
        return _form(record, entry, client_id, right.value, errors.message(error.code))
    return flask.Response(_list(session.subject_id, translate(_SENT)))


@blueprint.get("/me/cases/<case_id>")
def one(case_id: str) -> str:
    """Show one with each step and its day."""
    return _page(_own(case_id), None)


@blueprint.post("/me/cases/<case_id>/<any(escalate, close):what>")
def go_on(case_id: str, what: str) -> flask.Response:
    """Bring it to the authority, or close it."""
    session, found = person.required(), _own(case_id)
    services = context.services()
    change = services.cases.escalate if what == "escalate" else services.cases.close
    if not change(found.id, session.subject_id):
        return errors.page("case-gone")
    return flask.Response(_page(services.cases.case(found.id), translate(_DONE[what])))


@blueprint.get("/me/uses/<position>/not-me")
def not_me(position: str) -> str:
    """Say what pressing the button does."""
    entry = _own_entry(position)
    return flask.render_template(
        "citizen/use_not_me.html", section="uses", use=timeline.one(entry), position=position
    )


@blueprint.post("/me/uses/<position>/not-me")
def raise_alarm(position: str) -> str:
    """End everything at once and open an incident: somebody else may be signed in as her."""
    entry = _own_entry(position)
    opened = context.services().alarm.raise_for_use(entry)
    context.signed_out()
    return flask.render_template("citizen/use_not_me_done.html", number=opened.number)


def _own_entry(position: str) -> UseEntry:
    """Return a use of her own that an agency made: what the provider does comes from no sign-in."""
    session = person.required()
    entry = _entry(records.readable(session)[0], position)
    if entry is None or entry.use.client_id == PROVIDER:
        flask.abort(404)
    return entry


def _entry(record: Record, position: str) -> UseEntry | None:
    is_place = position.isdecimal() and position.isascii() and len(position) < 10
    return record.history.entry(int(position)) if is_place else None


def _about(record: Record, stated: Any) -> tuple[UseEntry | None, str]:
    """Return the use and the agency that it is about; only what stands in the record can be."""
    place = stated.get("use", "")
    if place:
        entry = _entry(record, place)
        if entry is None:
            flask.abort(404)
        return entry, entry.use.client_id
    client_id = stated.get("agency", "")
    if record.history.first_of(client_id) is None:
        flask.abort(404)
    return None, client_id


def _form(
    record: Record,
    entry: UseEntry | None,
    client_id: str,
    right: str,
    error: str | None = None,
) -> flask.Response:
    now = context.installation().clock()
    body = flask.render_template(
        "citizen/case_form.html",
        section="uses",
        record=record,
        agency=timeline.agency(client_id),
        client_id=client_id,
        use=timeline.one(entry, of=record.of) if entry else None,
        position=entry.position if entry else "",
        rights=[
            {
                "value": one.value,
                "label": translate(case_words.RIGHTS[one]),
                "hint": translate(_WHAT_IT_DOES[one]),
                "acknowledge_by": case_words.last_day(deadline(one, now).acknowledge.ends(now)),
                "answer_by": case_words.last_day(deadline(one, now).answer.ends(now)),
            }
            for one in Right
        ],
        chosen=right or Right.EXPLAIN.value,
        words=flask.request.form.get("words", ""),
        longest=LONGEST,
        error=error,
    )
    return flask.Response(body, 422 if error else 200)


def _own(case_id: str) -> Case:
    session = person.required()
    wanted = person.row_id(case_id)
    mine = context.services().cases.of_person(session.subject_id)
    found = next((one for one in mine if one.id == wanted), None)
    if found is None:
        flask.abort(404)
    return found


def _list(subject_id: str, notice_text: str | None) -> str:
    mine = context.services().cases.of_person(subject_id)
    return flask.render_template(
        "citizen/cases.html",
        section="cases",
        cases=[_told(one) for one in mine],
        notice_text=notice_text,
    )


def _page(found: Case, notice_text: str | None) -> str:
    return flask.render_template(
        "citizen/case.html", section="cases", case=_told(found), notice_text=notice_text
    )


def _told(found: Case) -> dict[str, Any]:
    """Return the case in plain words, with what its person can do now."""
    now = context.installation().clock()
    own = person.required().subject_id
    is_open = found.closed_at is None
    has_ground = found.answered_at is not None or now >= found.answer_by
    return {
        **case_words.told(found),
        "can_close": is_open,
        "can_escalate": is_open and found.escalated_at is None and has_ground,
        "for_other": person.name_of(found.subject_id) if found.subject_id != own else "",
    }
