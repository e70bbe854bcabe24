"""Use receipts for relying parties: the signed word that what they got is in the record of uses."""

import re

import flask

from consent.use_receipts import KeptReceipts
from idp.oidc import wire
from idp.oidc.errors import ProtocolError
from idp.oidc.relying_parties import RelyingParty
from idp.web import context
from idp.web.agency import Form, answered

blueprint = flask.Blueprint("use_receipts", __name__)
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
