"""Opening audits: an auditor announces, draws and concludes; everybody sees that it did."""

import json
import re
from typing import Any

import flask

from consent.ledger.opening import Terms
from consent.ledger.request import is_authorized
from consent.opening_audits import AuditRefusedError, OpeningAudits
from idp import ledger
from idp.oidc import wire
from idp.web import context

blueprint = flask.Blueprint("audits", __name__)
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
_ID = "<string(length=32):audit_id>"
_CODE = re.compile(r"[a-z][a-z-]{0,31}", re.ASCII)


@blueprint.get("/ledger/audits")
def audits() -> flask.Response:
    """Tell of every audit: who drew how many entries when, and what the auditor says it found."""
    return _answer(200, {"audits": [one.statement for one in _audits().all()]})


@blueprint.post("/ledger/audits")
def announce() -> flask.Response:
    """Take an auditor's announcement."""
    auditor, said = _auditor(), _said()
    announcement = said.get("announcement")
    if not isinstance(announcement, str) or not _HASH.fullmatch(announcement):
        return _refused("announcement is a SHA-256 in hexadecimal")
    try:
        return _answer(200, _audits().announce(auditor, announcement).statement)
    except AuditRefusedError as error:
        return _refused(error.detail)


@blueprint.post(f"/ledger/audits/{_ID}/draw")
def draw(audit_id: str) -> flask.Response:
    """Take the announced terms, and tell which leaves they draw."""
    auditor, said = _auditor(), _said()
    try:
        terms = Terms(bytes.fromhex(said["nonce"]), int(said["count"]), str(said["since"]))
        drawn = _audits().draw(audit_id, auditor, terms)
    except (KeyError, TypeError, ValueError) as error:
        return _refused(f"nonce, count and since are needed ({error})")
    except AuditRefusedError as error:
        return _refused(error.detail)
    return _answer(200, {**drawn.statement, "leaves": drawn.leaves})


@blueprint.post(f"/ledger/audits/{_ID}/result")
def conclude(audit_id: str) -> flask.Response:
    """Take what the auditor found, which is made public as its word."""
    auditor, said = _auditor(), _said()
    checked, findings = said.get("checked"), said.get("findings")
    if (
        type(checked) is not int
        or not isinstance(findings, dict)
        or not all(_CODE.fullmatch(code) and type(n) is int for code, n in findings.items())
    ):
        return _refused("checked is a number, findings are numbers by codes")
    try:
        result = {"checked": checked, "findings": findings}
        return _answer(200, _audits().conclude(audit_id, auditor, result).statement)
    except AuditRefusedError as error:
        return _refused(error.detail)


def _audits() -> OpeningAudits:
    installation = context.installation()
    return OpeningAudits(context.services().db, installation.clock, installation.chance)


def _auditor() -> str:
    installation, request = context.installation(), flask.request
    header = request.headers.get("Authorization", "")
    now = int(installation.clock().timestamp())
    if not is_authorized(ledger.policy(installation), header, request.path, now):
        response = flask.Response("map auditors only\n", 401, content_type="text/plain")
        response.headers["WWW-Authenticate"] = "Sen-Auditor"
        flask.abort(response)
    return header.split()[1]


def _said() -> dict[str, Any]:
    try:
        found = json.loads(flask.request.get_data())
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        flask.abort(_refused("the body is a JSON object"))
    return found


def _refused(why: str) -> flask.Response:
    return _answer(400, {"error": "invalid_request", "error_description": why})


def _answer(status: int, document: object) -> flask.Response:
    return context.respond(wire.json_response(status, document))
