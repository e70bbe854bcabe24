"""A copy of everything held about the person, as JSON or as a PDF; only after a fresh sign-in."""

from typing import IO

import flask

from idp.personal_record import PersonalRecord
from idp.web import context, copies, files, person, printed, transaction

blueprint = flask.Blueprint("download", __name__)
_TYPES = {"json": "application/json", "pdf": "application/pdf"}


@blueprint.get("/me/download")
def ask() -> str:
    """Say what there is to be had."""
    person.required()
    return flask.render_template("citizen/download.html", section="details")


@blueprint.post("/me/download")
def give() -> flask.Response:
    """Note that a copy was made, then make it in a file, so that its size costs no memory."""
    session = person.required()
    kind = flask.request.form.get("format", "")
    # Whoever has to sign in first is told that, whatever else is wrong.
    if kind not in _TYPES and person.is_fresh(session):
        flask.abort(400)
    refused = copies.begin(session, "/me/download", "record.downloaded")
    if refused is not None:
        return refused
    PersonalRecord(context.services(), session.subject_id).note_copy()
    # Committed before anything leaves; reading for seconds keeps no writer waiting.
    transaction.only_read()
    record = PersonalRecord(context.services(), session.subject_id)

    def write(file: IO[bytes]) -> None:
        if kind == "json":
            record.write_json(file)
        else:
            name = person.name_of(session.subject_id)
            printed.write(file, record.facts(), name, record.entries())

    return files.made(write, _TYPES[kind], "sen-id", kind)
