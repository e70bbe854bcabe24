"""Choosing in whose name to act; offered only for relying parties that understand it."""

import flask

from accounts.mandates import Mandate
from idp.login.flow import ChooseActing
from idp.login.interaction import SELF
from idp.web import context, journey, person
from idp.web.language import N_, translate

blueprint = flask.Blueprint("acting_for", __name__)
_LEGAL_REPRESENTATIVE = N_("You are its legal representative in the register of enterprises")
_CHOOSE = N_("Choose in whose name you act.")


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
    """Remember the choice and go on."""
    interaction_id = flask.request.form.get("interaction", "")
    under_way = journey.take_up(interaction_id)
    if not isinstance(under_way.next_step(), ChooseActing):
        return journey.see_other(journey.go_on(interaction_id))
    choice = flask.request.form.get("acting_for", "")
    if choice not in {SELF, *(mandate.id for mandate in _offered(under_way))}:
        return _page(under_way, translate(_CHOOSE))
    context.services().interactions.choose_acting(interaction_id, choice)
    return journey.see_other(journey.go_on(interaction_id))


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
            "detail": translate(_LEGAL_REPRESENTATIVE),
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
