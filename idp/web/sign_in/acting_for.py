"""Choosing in whose name to act; offered only for relying parties that understand it."""

import flask

from accounts.attributes import Source
from accounts.mandates import Mandate, MandateType
from idp import mandate_checks
from idp.login.flow import ChooseActing
from idp.login.interaction import SELF
from idp.mandate_checks import Verdict
from idp.web import context, journey, mandates, person, transaction
from idp.web.language import N_, show_datetime, translate

blueprint = flask.Blueprint("acting_for", __name__)
_BY_RIGHT = {
    MandateType.LEGAL_REP: N_("You are its legal representative in the register of enterprises"),
    MandateType.PARENT: N_("You are this child's parent"),
    MandateType.GUARDIAN: N_("You are this person's guardian"),
}
_CHOOSE = N_("Choose in whose name you act.")
_NOT_REACHED = N_("This mandate is only for a sign-in with a passkey, and you have none yet.")
_NOT_CONFIRMED = N_(
    "The register does not confirm at present that you may act for %(name)s. Act as yourself, or have "
    "the register's entry corrected first."
)
_UNAVAILABLE = {
    Source.ENTERPRISES: N_(
        "The business registration database has not been available since %(since)s, so we cannot check "
        "that you still represent %(name)s. Act as yourself, or try again later."
    ),
    Source.POPULATION: N_(
        "The national population database has not been available since %(since)s, so we cannot check "
        "that you may still act for %(name)s. Act as yourself, or try again later."
    ),
}


@blueprint.get("/acting-for")
def ask() -> flask.Response:
    """Show the choices."""
    interaction_id = flask.request.args.get("interaction", "")
    under_way = journey.take_up(interaction_id)
    if not isinstance(under_way.next_step(), ChooseActing):
        return journey.see_other(journey.go_on(interaction_id))
    return _page(under_way)


@blueprint.post("/acting-for")
def choose() -> flask.Response:
    """Remember the choice and go on; a register's word that is too old is asked for again first."""
    interaction_id = flask.request.form.get("interaction", "")
    under_way = journey.take_up(interaction_id)
    if not isinstance(under_way.next_step(), ChooseActing):
        return journey.see_other(journey.go_on(interaction_id))
    choice = flask.request.form.get("acting_for", "")
    if choice != SELF:
        chosen = next((one for one in _offered(under_way) if one.id == choice), None)
        if chosen is None:
            return _page(under_way, translate(_CHOOSE))
        objection = _objection(chosen)
        if objection is not None:
            return _page(under_way, objection)
        if choice not in {one.id for one in _offered(under_way)}:
            # The register has just said otherwise.
            return _page(under_way, translate(_CHOOSE))
    context.services().interactions.choose_acting(interaction_id, choice)
    return journey.see_other(journey.go_on(interaction_id))


def _objection(chosen: Mandate) -> str | None:
    """Return what stands against acting under the mandate now, after asking its register."""
    services = context.services()
    if not services.authorization.can_reach(person.required(), chosen):
        return translate(_NOT_REACHED)
    root = mandate_checks.due(services, chosen)
    if root is None:
        return None
    transaction.release()
    answer = mandate_checks.confirm(context.installation(), root)
    if answer.verdict is Verdict.CONFIRMED:
        return None
    name = person.name_of(chosen.principal_id)
    if answer.verdict is Verdict.NOT_CONFIRMED or answer.source not in _UNAVAILABLE:
        return translate(_NOT_CONFIRMED, name=name)
    since = answer.since or context.installation().clock()
    return translate(_UNAVAILABLE[answer.source], name=name, since=show_datetime(since))


def _offered(under_way: journey.Journey) -> list[Mandate]:
    session = person.required()
    return context.services().authorization.offered(
        under_way.interaction.request, under_way.relying_party, session
    )


def _page(under_way: journey.Journey, error: str | None = None) -> flask.Response:
    session = person.required()
    choices = [{"value": SELF, "name": person.name_of(session.subject_id), "detail": ""}]
    choices += [
        {
            "value": mandate.id,
            "name": person.name_of(mandate.principal_id),
            "detail": _detail(mandate),
        }
        for mandate in _offered(under_way)
    ]
    body = flask.render_template(
        "sign_in/acting_for.html",
        relying_party=under_way.shown(),
        interaction=under_way.interaction.id,
        choices=choices,
        error=error,
    )
    return flask.Response(body, 422 if error else 200)


def _detail(mandate: Mandate) -> str:
    if mandate.type in _BY_RIGHT:
        return translate(_BY_RIGHT[mandate.type])
    return mandates.detail(mandate)
