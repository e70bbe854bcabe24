"""A proof that no use is missing, to be verified away from here; only after a fresh sign-in."""

import flask

from idp import ledger
from idp import proof as proving
from idp.web import confirmation, context, copies, errors, files, person, records, transaction
from idp.web.records import Record

blueprint = flask.Blueprint("proof", __name__)


@blueprint.get("/me/uses/proof")
def ask() -> str:
    """Say what a proof is, who confirms, and how to verify."""
    return flask.render_template(
        "citizen/proof.html",
        section="uses",
        record=_record(),
        mark=confirmation.mark(),
        fingerprint=ledger.policy(context.installation()).fingerprint,
    )


@blueprint.post("/me/uses/proof")
def give() -> flask.Response:
    """Note that a proof was made, then make it."""
    session, record = person.required(), _record()
    refused = copies.begin(session, f"/me/uses/proof{record.query}", "proof.downloaded")
    if refused is not None:
        return refused
    proving.note_copy(
        context.services(), record.subject_id, by=session.subject_id, role=record.role
    )
    # Committed before anything leaves; nobody waits while it is read.
    transaction.release()
    installation, subject_id = context.installation(), record.subject_id
    try:
        return files.made(
            lambda file: proving.write(installation, subject_id, file),
            "application/json",
            "sen-id-proof",
            "json",
        )
    except proving.NotYetError:
        return errors.page("unavailable")


def _record() -> Record:
    """Return whose proof it is: a proof has every use in it, so it takes who may read them all."""
    record = records.chosen(records.readable(person.required()))
    if not record.is_whole:
        flask.abort(404)
    return record
