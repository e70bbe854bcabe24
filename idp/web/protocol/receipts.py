"""Use receipts for relying parties: the signed word that what they got is in the record of uses."""

import re
from datetime import UTC, date, datetime

import flask

from consent.reconciliation import REPORTED_WITHIN, Reconciliations
from consent.use_receipts import KeptReceipts
from idp.oidc import wire
from idp.oidc.errors import ProtocolError
from idp.oidc.relying_parties import RelyingParty
from idp.web import context
from idp.web.agency import Document, Form, answered, reported

blueprint = flask.Blueprint("use_receipts", __name__)
_COMMITMENT = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_MOST_HELD = 5000
_CURSOR = re.compile(r"([0-9]{1,9})\.([0-9]{1,6})", re.ASCII)


@blueprint.get("/ledger/receipt-keys")
def keys() -> flask.Response:
    """Give out the public key of use receipts (RFC 7517)."""
    document = {"keys": [context.installation().use_receipts.jwk]}
    response = context.respond(wire.json_response(200, document))
    response.headers["Cache-Control"] = "public, max-age=300"
    return response


@blueprint.post("/agency/receipts")
def fetch() -> flask.Response:
    """Give a relying party its receipts after a cursor, oldest first; ``next`` is where to go on."""

    def give(party: RelyingParty, form: Form) -> dict[str, object]:
        after = form.get("after", "0.0")
        found = _CURSOR.fullmatch(after)
        if found is None:
            raise ProtocolError("invalid_request", "after is a cursor that was given out here")
        place = (int(found[1]), int(found[2])) if "after" in form else (-1, 0)
        batches = KeptReceipts(context.services().db).after(party.client_id, place)
        last = batches[-1][0] if batches else None
        return {
            "receipts": [jws for _, jws in batches],
            "next": f"{last[0]}.{last[1]}" if last else form.get("after"),
        }

    return answered(give)


@blueprint.post("/agency/receipts/held")
def held() -> flask.Response:
    """Take a relying party's word on what it got on a day, by the commitments its answers named; it is
    laid beside the record (``consent.reconciliation``).
    """

    def take(party: RelyingParty, report: Document) -> dict[str, object]:
        commitments = report.get("commitments")
        if (
            not isinstance(commitments, list)
            or len(commitments) > _MOST_HELD
            or not all(isinstance(c, str) and _COMMITMENT.fullmatch(c) for c in commitments)
        ):
            wanted = f"commitments is a list of {_MOST_HELD} at most, as Use-Entry names them"
            raise ProtocolError("invalid_request", wanted)
        services = context.services()
        day = _day(report.get("day"), services.installation.clock())
        kept = Reconciliations(services.db, services.installation.clock)
        return {
            "day": day.isoformat(),
            "held": kept.take_held(party.client_id, day, commitments),
        }

    return reported(take)


def _day(text: object, now: datetime) -> date:
    today = now.astimezone(UTC).date()
    try:
        day = date.fromisoformat(str(text))
    except ValueError:
        day = today
    # Of a day that is not over nobody can say what it holds.
    if not today - REPORTED_WITHIN <= day < today:
        raise ProtocolError(
            "invalid_request", "day is one that is over, of UTC, 35 days ago at most"
        )
    return day
