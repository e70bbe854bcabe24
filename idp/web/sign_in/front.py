"""The sign-in page, giving up, and the public front."""

import flask

from accounts.sessions import BrowserSession
from idp.login.flow import SignIn
from idp.web import context, forms, journey, person
from idp.web.language import LANGUAGES

blueprint = flask.Blueprint("front", __name__)
# Working at the desk, giving mandates, letting others in by phone: what a false page can ask for is not enough (ADR 14, 17).
PHONE_CODE = "/app/code"
"""Where a phone without a passkey is set up: there the password comes first."""
_BY_PASSKEY_ONLY = ("/desk", "/regulator", "/me/mandates", "/app/")


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
        return journey.sign_in_page(reason=_why_again(session) if again and session else "sign-in")
    step = under_way.next_step()
    if not isinstance(step, SignIn):
        return journey.see_other(journey.go_on(interaction_id))
    if step.reason in {"step-up", "step-up-key"}:
        context.services().interactions.note_step_up(interaction_id)
    hint = under_way.interaction.request.login_hint or ""
    return journey.sign_in_page(under_way, reason=step.reason, login=hint)


def _why_again(session: BrowserSession) -> str:
    """Return why somebody who is signed in has to do it again."""
    target = forms.local_page(flask.request.args.get("next", ""))
    by_passkey_only = target.startswith(_BY_PASSKEY_ONLY) and target != PHONE_CODE
    if by_passkey_only and not session.strength.phishing_resistant:
        return "step-up-passkey"
    if target.startswith("/me/passkeys") and not person.is_strongest(session):
        return "step-up-own"
    return "reauthentication"


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
        session = context.session()
        # Letters follow what she chooses, not where another site sends her browser.
        if session is not None and forms.comes_from_our_origin():
            context.services().accounts.remember_language(session.account_id, code)
    return journey.see_other(forms.local_path(flask.request.args.get("next", "/")))
