"""The authorization endpoint: reads the relying party's request, asks the flow, answers or parks.

Every step of a sign-in returns here; see docs/ARCHITECTURE.md for the whole way.
"""

from typing import assert_never

import flask

from idp.login.flow import AskConsent, ChooseActing, ProveMore, Refuse, Respond, SignIn, Step
from idp.oidc.errors import RedirectedError
from idp.oidc.request import AuthorizationRequest
from idp.web import context, journey, language

blueprint = flask.Blueprint("protocol", __name__)


@blueprint.route("/authorize", methods=["GET", "POST"])
def authorize() -> flask.Response:
    """Take a request from a relying party, or a person coming back from a step."""
    arguments = flask.request.args
    if flask.request.method == "GET" and set(arguments) == {"interaction"}:
        return _resume(arguments["interaction"])
    return _arrive()


def _arrive() -> flask.Response:
    services = context.services()
    request, relying_party = services.installation.request_reader.read(context.wire_request())
    _prefer_language(request)
    if flask.request.method == "POST":
        # A cross-site POST carries no SameSite=Lax cookie, so whoever is signed in is seen only
        # after one redirect to ourselves.
        parked = services.interactions.park(request, None)
        return journey.see_other(journey.step_href("/authorize", parked))
    session = context.session()
    step = services.authorization.step(request, relying_party, session)
    if isinstance(step, Refuse):
        raise RedirectedError(
            step.error, step.description, redirect_uri=request.redirect_uri, state=request.state
        )
    if isinstance(step, Respond) and session is not None:
        return context.respond(services.authorization.respond(request, session, step.consent, None))
    parked = services.interactions.park(request, context.visitor().binding)
    return _lead_to(step, parked)


def _resume(interaction_id: str) -> flask.Response:
    under_way = journey.take_up(interaction_id)
    services, session = context.services(), context.session()
    step = under_way.next_step()
    if isinstance(step, Refuse):
        raise under_way.refused(step.error, step.description)
    if isinstance(step, Respond) and session is not None:
        services.interactions.finish(interaction_id)
        mandate = services.authorization.mandate(
            session, under_way.relying_party, under_way.interaction
        )
        request = under_way.interaction.request
        return context.respond(
            services.authorization.respond(request, session, step.consent, mandate)
        )
    return _lead_to(step, interaction_id)


def _lead_to(step: Step, interaction_id: str) -> flask.Response:
    match step:
        case SignIn():
            path = "/sign-in"
        case ProveMore():
            path = journey.STEP_PAGES[step.what]
        case ChooseActing():
            path = "/acting-for"
        case AskConsent():
            path = "/consent"
        case Respond() | Refuse():
            # Answered by the caller; reached only when a session ended in this very moment.
            path = "/sign-in"
        case _:
            assert_never(step)
    return journey.see_other(journey.step_href(path, interaction_id))


def _prefer_language(request: AuthorizationRequest) -> None:
    """Honour ``ui_locales`` (OIDC Core §3.1.2.1); the person can still switch afterwards."""
    if request.ui_locales:
        chosen = language.choose(
            remembered=flask.g.language, ui_locales=request.ui_locales, accept_language=None
        )
        context.set_language(chosen)
