"""The agency's side of requests: what people asked of it, and its confirmations and answers.

Form-encoded POSTs answered in JSON, authenticated as at the introspection endpoint, so that no token has to
be got first. An agency sees the requests to itself and nothing else.
"""

import flask

from accounts.notice_choices import Topic
from accounts.notices import NoticeKind
from consent.cases import Case, Finding
from idp.asking import CaseGoneError
from idp.oidc.errors import ProtocolError
from idp.oidc.relying_parties import RelyingParty
from idp.oidc.subject import pairwise_sub
from idp.web import context
from idp.web.agency import Form, answered

blueprint = flask.Blueprint("agency_cases", __name__)


@blueprint.post("/agency/cases")
def waiting() -> flask.Response:
    """Tell what waits for the agency's answer, the most urgent first."""
    return answered(
        lambda party, _form: {
            "cases": [
                _told(found, party)
                for found in context.services().cases.waiting_for(party.client_id)
            ]
        }
    )


@blueprint.post("/agency/cases/acknowledge")
def acknowledge() -> flask.Response:
    """Confirm that the agency has the request (within two working days)."""

    def confirm(party: RelyingParty, form: Form) -> dict[str, object]:
        context.services().asking.acknowledge(_reference(form), party.client_id)
        return {"case": form["case"], "state": "acknowledged"}

    return answered(confirm)


@blueprint.post("/agency/cases/extend")
def extend() -> flask.Response:
    """Take the one extension, with a reason that the person reads."""

    def take(party: RelyingParty, form: Form) -> dict[str, object]:
        context.services().asking.extend(
            _reference(form),
            party.client_id,
            form.get("reason", ""),
            through_others=form.get("through_others") == "true",
        )
        found = context.services().cases.find(form["case"])
        assert found is not None  # noqa: S101 - extended just now
        return {"case": found.reference, "answer_by": found.answer_by.isoformat()}

    return answered(take)


@blueprint.post("/agency/cases/answer")
def answer() -> flask.Response:
    """Answer; the person reads it at once."""

    def give(party: RelyingParty, form: Form) -> dict[str, object]:
        try:
            finding = Finding(form.get("finding", ""))
        except ValueError:
            known = ", ".join(Finding)
            raise ProtocolError("invalid_request", f"finding is one of {known}") from None
        context.services().asking.answer(
            _reference(form), party.client_id, finding, form.get("text", "")
        )
        return {"case": form["case"], "state": "answered"}

    return answered(give)


@blueprint.post("/agency/withdrawals")
def withdrawals() -> flask.Response:
    """Tell which withdrawals the agency has not confirmed; from now on it knows of them."""

    def tell(party: RelyingParty, _form: Form) -> dict[str, object]:
        services = context.services()
        waiting = services.withdrawals.unconfirmed_by(party.client_id)
        services.withdrawals.note_told(one.consent_id for one in waiting)
        return {
            "withdrawals": [
                {
                    "consent": one.consent_id,
                    "withdrawn_at": one.made_at.isoformat(),
                    "stop_by": one.stop_by.isoformat(),
                }
                for one in waiting
            ]
        }

    return answered(tell)


@blueprint.post("/agency/withdrawals/confirm")
def confirm_withdrawal() -> flask.Response:
    """Take the agency's word that it has stopped using what the consent let it read."""

    def take(party: RelyingParty, form: Form) -> dict[str, object]:
        if not form.get("consent"):
            raise ProtocolError("invalid_request", "consent is missing")
        services = context.services()
        if not services.withdrawals.confirm(form["consent"], party.client_id):
            raise CaseGoneError
        given = services.consents.consent(form["consent"])
        facts = {"client_id": party.client_id, "what": "stopped"}
        services.telling.tell_one(
            given.subject_id, Topic.WITHDRAWAL, NoticeKind.WITHDRAWAL_MOVED, facts
        )
        return {"consent": form["consent"], "state": "stopped"}

    return answered(take)


def _reference(form: Form) -> str:
    if not form.get("case"):
        raise ProtocolError("invalid_request", "case is missing")
    return form["case"]


def _told(found: Case, party: RelyingParty) -> dict[str, object]:
    services = context.services()
    account = services.accounts.find_of_subject(found.opened_by)
    entry = services.history(found.subject_id).entry(found.position)
    about = None
    if entry is not None:
        about = {
            "id": entry.id,
            "at": entry.at.isoformat(),
            "channel": entry.use.channel.value,
            "attributes": list(entry.use.attributes),
            "purpose": entry.use.purpose,
            "request": entry.use.correlation,
        }
    return {
        "case": found.reference,
        "right": found.right.value,
        "state": found.state.value,
        "sub": pairwise_sub(services.installation.vault, party.sector, account.id)
        if account
        else None,
        "words": found.words,
        "opened_at": found.opened_at.isoformat(),
        "acknowledge_by": found.acknowledge_by.isoformat(),
        "answer_by": found.answer_by.isoformat(),
        "use": about,
    }
