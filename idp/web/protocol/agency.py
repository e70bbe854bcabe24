"""The agency's own API: what became of consents and grants, events to fetch, and who may ask.

An agency authenticates as at the introspection endpoint, so that no token has to be got first, and sees
what concerns itself and nothing else. Nothing here tells a person's data, so nothing here is a use.
The API is described for machines at ``/openapi.json``.
"""

from pathlib import Path
from typing import Any

import flask

from consent.decisions import Consent
from idp.oidc.errors import ProtocolError
from idp.oidc.events import event_token, withdrawn_in
from idp.oidc.grants import Grant, details_of
from idp.oidc.relying_parties import RelyingParty
from idp.web import context
from idp.web.agency import Form, answered, answered_json

blueprint = flask.Blueprint("agency", __name__)
_API = Path(__file__).parent / "openapi.json"
_MOST_EVENTS = 100
_MOST_VERDICTS = 1000


@blueprint.get("/openapi.json")
def description() -> flask.Response:
    """The API's description (OpenAPI 3.1)."""
    return flask.Response(_API.read_bytes(), mimetype="application/json")


@blueprint.post("/agency/consents")
def consent_status() -> flask.Response:
    """Tell how a consent stands: what it permits now, until when, and what replaced it."""

    def tell(party: RelyingParty, form: Form) -> dict[str, object]:
        found = context.services().consents.find(_given(form, "consent"))
        if found is None or found.client_id != party.client_id:
            raise ProtocolError("unknown_consent", "no such consent", status=404)
        return _consent_told(found)

    return answered(tell)


@blueprint.post("/agency/grants")
def grant_status() -> flask.Response:
    """Tell what a grant permits now (after the query of the draft for grant management)."""
    return answered(lambda party, form: _grant_told(_grant_of(party, form)))


@blueprint.post("/agency/grants/revoke")
def revoke_grant() -> flask.Response:
    """End a grant and every token of it; one that has ended already stays so."""

    def end(party: RelyingParty, form: Form) -> dict[str, object]:
        found = _grant_of(party, form)
        context.services().grants.revoke(found.id)
        return {"grant_id": found.id, "state": "ended"}

    return answered(end)


@blueprint.post("/agency/events")
def poll() -> flask.Response:
    """Give the events that wait, and take verdicts on those given before (RFC 8936 §2).

    Always answered at once: waiting would hold a thread that others need.
    """

    def exchange(party: RelyingParty, asked: dict[str, Any]) -> dict[str, object]:
        if not party.fetches_events:
            raise ProtocolError(
                "invalid_request", "events_delivery_method is not registered as urn:ietf:rfc:8936"
            )
        most, taken, refused = _verdicts(asked)
        services = context.services()
        for message in services.outbox.take(party.client_id, taken):
            if (consent_id := withdrawn_in(message)) is not None:
                services.withdrawals.note_told([consent_id])
        for jti, fault in refused.items():
            services.outbox.refuse(party.client_id, jti, fault)
        waiting = services.outbox.waiting(party.client_id, most + 1)
        installation = context.installation()
        return {
            "sets": {
                message.id: event_token(
                    message, party, issuer=installation.settings.issuer, keys=installation.keys
                )
                for message in waiting[:most]
            },
            "moreAvailable": len(waiting) > most,
        }

    return answered_json(exchange)


def _given(form: Form, member: str) -> str:
    if not form.get(member):
        raise ProtocolError("invalid_request", f"{member} is missing")
    return form[member]


def _grant_of(party: RelyingParty, form: Form) -> Grant:
    found = context.services().grants.find(_given(form, "grant_id"))
    if found is None or found.client_id != party.client_id:
        raise ProtocolError("unknown_grant", "no such grant", status=404)
    return found


def _consent_told(found: Consent) -> dict[str, object]:
    services = context.services()
    now = services.installation.clock()
    successor = services.consents.successor_of(found.id)
    is_over = found.state.value == "active" and not found.is_in_force(now)
    return {
        "consent": found.id,
        "state": "expired" if is_over else found.state.value,
        "purpose": found.purpose,
        "legal_basis": found.legal_basis,
        "attributes": sorted(found.attributes) if found.is_in_force(now) else [],
        "given_at": found.given_at.isoformat(),
        "valid_until": found.valid_until.isoformat(),
        **({"ended_at": found.ended_at.isoformat()} if found.ended_at else {}),
        **({"replaced_by": successor} if successor else {}),
    }


def _grant_told(found: Grant) -> dict[str, object]:
    is_live = context.services().grants.is_live(found)
    return {
        "grant_id": found.id,
        "state": "live" if is_live else "ended",
        "consent": found.consent_id,
        "scopes": [{"scope": found.scope}] if is_live else [],
        "claims": sorted(found.attributes) if is_live else [],
        "authorization_details": details_of(found) if is_live else [],
        "expires_at": found.expires_at.isoformat(),
    }


def _verdicts(asked: dict[str, Any]) -> tuple[int, list[str], dict[str, str]]:
    """Return how many events are wanted, which were taken, and which refused and why."""
    most = asked.get("maxEvents", _MOST_EVENTS)
    if type(most) is not int or most < 0:
        raise ProtocolError("invalid_request", "maxEvents must be a number from 0 on")
    if not isinstance(asked.get("returnImmediately", False), bool):
        raise ProtocolError("invalid_request", "returnImmediately must be true or false")
    taken, errors = asked.get("ack", []), asked.get("setErrs", {})
    if not isinstance(taken, list) or not all(isinstance(jti, str) for jti in taken):
        raise ProtocolError("invalid_request", "ack must be an array of jti")
    if not isinstance(errors, dict) or not all(
        isinstance(error, dict) and isinstance(error.get("err"), str) for error in errors.values()
    ):
        raise ProtocolError("invalid_request", "setErrs must be an object of objects with err")
    if len(taken) + len(errors) > _MOST_VERDICTS:
        raise ProtocolError("invalid_request", "there are too many verdicts at once")
    return min(most, _MOST_EVENTS), taken, {jti: error["err"] for jti, error in errors.items()}
