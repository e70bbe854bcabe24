"""The sign-in page, giving up, and the public front."""

import flask

from accounts.levels import AuthenticationLevel
from idp.login.flow import SignIn
from idp.web import context, forms, journey
from idp.web.language import LANGUAGES

blueprint = flask.Blueprint("front", __name__)


@blueprint.get("/")
def home() -> str:
    """Say what this is."""
    return flask.render_template("home.html")


@blueprint.get("/about")
def about() -> str:
    """Tell about privacy, accessibility and integrating."""
    return flask.render_template("about.html", issuer=context.installation().settings.issuer)


@blueprint.get("/sign-in")
def sign_in() -> flask.Response | str:
    """Ask the person to authenticate."""
    interaction_id = flask.request.args.get("interaction", "")
    under_way = journey.find(interaction_id)
    if under_way is None:
        session = context.session()
        again = "next" in flask.request.args and session is not None
        # The desk asks for a passkey, whatever she signed in with.
        is_weak = session is not None and session.level < AuthenticationLevel.LEVEL_2
        to_desk = forms.local_page(flask.request.args.get("next", "")).startswith("/desk")
        reason = "step-up-desk" if to_desk and is_weak else "reauthentication"
        return journey.sign_in_page(reason=reason if again else "sign-in")
    step = under_way.next_step()
    if not isinstance(step, SignIn):
        return journey.see_other(journey.go_on(interaction_id))
    if step.reason == "step-up":
        context.services().interactions.note_step_up(interaction_id)
    hint = under_way.interaction.request.login_hint or ""
    return journey.sign_in_page(under_way, reason=step.reason, login=hint)


@blueprint.post("/sign-in/cancel")
def cancel() -> flask.Response:
    """Give up: the relying party learns ``access_denied``."""
    under_way = journey.take_up(flask.request.form.get("interaction", ""))
    raise under_way.refused("access_denied", "the person cancelled")


@blueprint.get("/language/<code>")
def change_language(code: str) -> flask.Response:
    """Remember the language and go back to the page."""
    if code in LANGUAGES:
        context.set_language(code)
    return journey.see_other(forms.local_path(flask.request.args.get("next", "/")))
