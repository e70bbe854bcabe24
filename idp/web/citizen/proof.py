"""A proof that no use is missing, to be verified away from here; only after a fresh sign-in."""

import tempfile
from typing import Any

import flask

from accounts.notices import NoticeKind
from idp import audit, ledger, limits
from idp import proof as proving
from idp.web import confirmation, context, errors, journey, person, transaction

blueprint = flask.Blueprint("proof", __name__)
_IN_MEMORY = 1024 * 1024


@blueprint.get("/me/uses/proof")
def ask() -> str:
    """Say what a proof is, who confirms, and how to verify."""
    person.required()
    return flask.render_template(
        "citizen/proof.html",
        section="uses",
        mark=confirmation.mark(),
        fingerprint=ledger.policy(context.installation()).fingerprint,
    )


@blueprint.post("/me/uses/proof")
def give() -> flask.Response:
    """Note that a proof was made, then make it."""
    session = person.required()
    if not person.is_fresh(session):
        return journey.see_other("/sign-in?next=/me/uses/proof")
    services = context.services()
    counted = (limits.DOWNLOAD, session.account_id)
    if services.limits.is_exhausted(counted):
        return errors.page("too-many-failures")
    services.limits.count_failure(counted)
    proving.note_proof(services, session.subject_id)
    services.notices.tell(session.subject_id, NoticeKind.DATA_COPIED, {})
    audit.security_event("proof.downloaded", account=session.account_id)
    # Committed before anything leaves; nobody waits while it is read.
    transaction.release()
    file: Any = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed when it was sent
    try:
        proving.write(context.installation(), session.subject_id, file)
    except proving.NotYetError:
        file.close()
        return errors.page("unavailable")
    except BaseException:
        file.close()
        raise
    size = file.tell()
    file.seek(0)
    response = flask.Response(iter(lambda: file.read(64 * 1024), b""))
    response.content_type = "application/json"
    response.headers["Content-Length"] = str(size)
    day = context.installation().clock().strftime("%Y-%m-%d")
    response.headers["Content-Disposition"] = f'attachment; filename="sen-id-proof-{day}.json"'
    response.call_on_close(file.close)
    return response
