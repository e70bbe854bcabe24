"""What people reported as not their own doing, at the desk: settling it with a written finding."""

import flask

from accounts.account import Actor, ActorKind
from idp.applying.rules import NotReadyError, OwnCaseError, ReasonMissingError, written
from idp.web import context, errors, journey, person
from idp.web.desk.entrance import desk

blueprint = flask.Blueprint("desk_incidents", __name__)


@blueprint.post("/desk/accounts/<account_id>/incidents/<incident_id>")
def settle(account_id: str, incident_id: str) -> flask.Response:
    """Close an incident; the person reads the finding on her own pages."""
    at = desk()
    services = context.services()
    found = services.accounts.account(person.row_id(account_id))
    if found.subject_id == at.officer.subject_id:
        raise OwnCaseError
    try:
        finding = written(flask.request.form.get("ground", ""))
    except ReasonMissingError as error:
        return errors.page(error.code)
    by = Actor(ActorKind.OFFICER, at.officer.id)
    if not services.alarm.settle(person.row_id(incident_id), found.id, by, finding=finding):
        raise NotReadyError
    return journey.see_other(f"/desk/accounts/{found.id}")
