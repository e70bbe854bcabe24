"""A copy of everything held about the person, as JSON or as a PDF; only after a fresh sign-in."""

from typing import IO

import flask

from accounts.notices import NoticeKind
from idp import audit, limits
from idp.personal_record import PersonalRecord
from idp.web import context, errors, files, journey, person, printed, transaction

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
    if not person.is_fresh(session):
        return journey.see_other("/sign-in?next=/me/download")
    kind = flask.request.form.get("format", "")
    if kind not in _TYPES:
        flask.abort(400)
    services = context.services()
    counted = (limits.DOWNLOAD, session.account_id)
    if services.limits.is_exhausted(counted):
        return errors.page("too-many-failures")
    services.limits.count_failure(counted)
    PersonalRecord(services, session.subject_id).note_copy()
    services.notices.tell(session.subject_id, NoticeKind.DATA_COPIED, {})
    audit.security_event("record.downloaded", account=session.account_id, format=kind)
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
