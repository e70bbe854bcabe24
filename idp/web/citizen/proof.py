"""A proof that no use is missing, to be verified away from here; only after a fresh sign-in."""

from urllib.parse import quote

import flask

from accounts.notices import NoticeKind
from idp import audit, ledger, limits
from idp import proof as proving
from idp.web import (
    confirmation,
    context,
    errors,
    files,
    journey,
    person,
    records,
    transaction,
)
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
    if not person.is_fresh(session):
        here = quote(f"/me/uses/proof{record.query}", safe="/")
        return journey.see_other(f"/sign-in?next={here}")
    services = context.services()
    counted = (limits.DOWNLOAD, session.account_id)
    if services.limits.is_exhausted(counted):
        return errors.page("too-many-failures")
    services.limits.count_failure(counted)
    proving.note_copy(services, record.subject_id, by=session.subject_id, role=record.role)
    services.notices.tell(session.subject_id, NoticeKind.DATA_COPIED, {})
    audit.security_event("proof.downloaded", account=session.account_id)
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
