"""Proving oneself with the card's chip: a page asks for a reading, a reader app answers by JSON.

The app has no session here. It names the request by its code, takes the nonce, lets the chip sign it, and
sends the files; which person that is for, it does not learn.
"""

import base64
import binascii
from typing import Any

import flask

from accounts.attributes import Source
from accounts.chip import files
from accounts.chip.errors import ChipRefusedError
from accounts.chip.examination import Proof, Reading, examine
from accounts.chip.trust import Trust
from accounts.chip_requests import ChipRequest, Purpose
from connectors.protocol import Record, Unavailable
from idp import audit, limits, reading
from idp.applying.rules import NotReadyError
from idp.recovering import RecoveryRefusedError, check_valid
from idp.register_checks import check
from idp.web import context, forms, transaction

blueprint = flask.Blueprint("chip", __name__)
_SECURITY_OBJECT = "sod"
_FILES = {_SECURITY_OBJECT: 0, **{f"dg{group}": group for group in files.NEEDED}}


@blueprint.post("/apply/chip/challenge")
def challenge() -> flask.Response:
    """Give the nonce of a request that is open, and say what is to be read."""
    _trust()
    code = _code(_document())
    found = context.services().chip_requests.find_open(code)
    if found is None:
        return _unknown()
    return flask.jsonify(
        nonce=_text(found.nonce),
        files=list(_FILES),
        expires_at=found.expires_at.isoformat(timespec="seconds"),
        provider=context.installation().settings.issuer,
        purpose=found.purpose.value,
    )


@blueprint.post("/apply/chip/readings")
def receive() -> flask.Response:
    """Judge a reading. Whatever becomes of it, its request is spent."""
    trust, document = _trust(), _document()
    code, read = _code(document), _reading(document)
    if read is None:
        return _answer(400, error="invalid_request")
    services = context.services()
    request = services.chip_requests.spend(code)
    if request is None:
        return _unknown()
    # Spent for good before anything is judged, whatever happens meanwhile.
    transaction.release()
    try:
        proof = examine(read, request.nonce, trust, context.installation().clock())
        if request.application_id is None:
            return _of_account(request, proof)
        context.services().application_office.receive_chip(request.application_id, proof)
    except ChipRefusedError as error:
        transaction.undo()
        audit.security_event(
            "application.chip_refused",
            application=request.application_id,
            account=request.account_id,
            cause=error.detail,
        )
        context.services().chip_requests.note_refusal(request.id, error.detail)
        return _answer(422, error="chip_refused", reason=error.detail)
    except NotReadyError:
        transaction.undo()
        return _answer(409, error="not_awaited")
    transaction.release()
    check(context.installation(), request.application_id)
    found = context.services().applications.application(request.application_id)
    return _answer(200, status="accepted", application=found.state.value)


def _of_account(request: ChipRequest, proof: Proof) -> flask.Response:
    """Let the card register say that the card is valid; then the recovery begins, or the browser that
    asked may take up the proof.

    Raises:
        ChipRefusedError: the card is another person's, or not valid.
    """
    assert request.account_id is not None  # noqa: S101 - a request is for one or the other
    assert request.session_id is not None  # noqa: S101
    subject_id = context.services().recovering.check_card(request.account_id, proof.holder)
    transaction.release()
    source = Source.IDENTITY_CARDS
    installation = context.installation()
    if source not in installation.registers:
        return _answer(409, error="not_awaited")
    said = reading.ask(
        installation,
        subject_id,
        source,
        wanted=("id_card",),
        purpose="account-identity-check",
        correlation=flask.g.correlation,
    )
    if isinstance(said, Unavailable):
        context.services().chip_requests.note_refusal(request.id, "register-away")
        return _answer(503, error="register_unavailable")
    card = said.values.get("id_card") if isinstance(said, Record) else None
    if request.purpose is not Purpose.RECOVERY:
        check_valid(proof.holder, card)
        context.services().chip_requests.note_proof(request.id)
        audit.security_event("chip.proved", account=request.account_id, purpose=request.purpose)
        return _answer(200, status="accepted")
    recovering = context.services().recovering
    try:
        recovering.begin_by_chip(request.account_id, request.session_id, proof.holder, card)
    except RecoveryRefusedError:
        transaction.undo()
        return _answer(409, error="not_awaited")
    return _answer(200, status="accepted")


def _trust() -> Trust:
    trust = context.installation().card_trust
    if trust is None:
        flask.abort(404)
    if not flask.request.is_json:
        flask.abort(415)
    return trust


def _document() -> dict[str, Any]:
    return forms.json_document() or {}


def _code(document: dict[str, Any]) -> str:
    code = document.get("code")
    services, address = context.services(), flask.request.remote_addr or ""
    if services.limits.is_exhausted((limits.CHIP_ADDRESS, address)):
        flask.abort(429)
    return code[:64] if isinstance(code, str) else ""


def _unknown() -> flask.Response:
    counted = (limits.CHIP_ADDRESS, flask.request.remote_addr or "")
    context.services().limits.count_failure(counted)
    return _answer(404, error="unknown_code")


def _reading(document: dict[str, Any]) -> Reading | None:
    sent = document.get("files")
    if not isinstance(sent, dict) or not set(sent) <= set(_FILES):
        return None
    try:
        read = {_FILES[name]: _bytes(text) for name, text in sent.items()}
        signature = _bytes(document.get("signature"))
    except ValueError:
        return None
    return Reading(read.pop(0, b""), read, signature)


def _bytes(text: object) -> bytes:
    """Return what base64url (RFC 4648 §5, without padding) stands for.

    Raises:
        ValueError: it is something else.
    """
    if not isinstance(text, str) or not text.isascii():
        raise ValueError("not text")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("not base64url") from error


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _answer(http_status: int, **members: str) -> flask.Response:
    response = flask.jsonify(members)
    response.status_code = http_status
    return response
