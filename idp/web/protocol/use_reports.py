"""Agencies say what they did later with data that they got: each item an entry in the person's record."""

import flask

from consent.use_reports import MOST_ITEMS, BadReportError, Cited
from idp.oidc.errors import ProtocolError
from idp.oidc.relying_parties import RelyingParty
from idp.web import context
from idp.web.agency import Document, reported

blueprint = flask.Blueprint("use_reports", __name__)


@blueprint.post("/agency/uses")
def take() -> flask.Response:
    """Take a batch of reports; each is answered by its receipt or by what is wrong with it, in the
    order in which they came.
    """
    return reported(_taken)


def _taken(party: RelyingParty, report: Document) -> dict[str, object]:
    items = report.get("uses")
    if not isinstance(items, list) or not 0 < len(items) <= MOST_ITEMS:
        raise ProtocolError("invalid_request", f"uses is a list of 1 to {MOST_ITEMS} items")
    reports = context.services().use_reports
    answers: list[dict[str, object]] = [{} for _ in items]
    cited: list[tuple[int, Cited]] = []
    for number, item in enumerate(items):
        try:
            cited.append((number, reports.read(party.client_id, item, flask.g.correlation)))
        except BadReportError as error:
            answers[number] = _refused(item, error)
    # Chains are locked in one order, so that two batches never wait for each other.
    for number, one in sorted(cited, key=lambda pair: (pair[1].use.subject_id, pair[0])):
        try:
            taken = reports.take(one)
        except BadReportError as error:
            answers[number] = _refused(items[number], error)
            continue
        answers[number] = {
            "id": taken.report_id,
            "entry": taken.entry,
            "commitment": taken.commitment,
            "status": "taken" if taken.is_new else "known",
            **({"late": True} if one.late else {}),
        }
    return {"uses": answers}


def _refused(item: object, error: BadReportError) -> dict[str, object]:
    known = item.get("id") if isinstance(item, dict) else None
    return {
        "id": known if isinstance(known, str) else None,
        "status": "refused",
        "error": "invalid_item",
        "error_description": error.detail,
    }
