"""The person's second factors beside her password: an authenticator app, a card of codes."""

import base64

import flask
import qrcode
from markupsafe import Markup
from qrcode.image.svg import SvgPathImage

from accounts.second_factors import new_card_codes, otpauth_uri, spaced
from accounts.sessions import BrowserSession
from idp import audit
from idp.services import BRAND
from idp.web import context, errors, journey, person, transaction

blueprint = flask.Blueprint("second_factors", __name__)
_WAYS = "/me/passkeys"


@blueprint.post("/me/passkeys/app/begin")
def begin_app() -> flask.Response:
    """Make a secret for an authenticator app."""
    session = _strong()
    context.services().second_factors.begin_totp(session.account_id)
    return journey.see_other("/me/passkeys/app")


@blueprint.get("/me/passkeys/app")
def app() -> flask.Response:
    """Show the secret, and ask for the app's first code."""
    return _app_page(_strong())


@blueprint.post("/me/passkeys/app")
def confirm_app() -> flask.Response:
    """Take the app into use."""
    session = _strong()
    code = flask.request.form.get("code", "")[:16]
    if not context.services().second_factors.confirm_totp(session.account_id, code):
        return _app_page(session, error="code-refused")
    audit.security_event("second-factor.added", account=session.account_id, factor="app")
    person.tell_of_sign_in(session, "app-added")
    return journey.see_other(_WAYS)


@blueprint.post("/me/passkeys/app/remove")
def remove_app() -> flask.Response:
    """Forget the app."""
    session = _strong()
    if not context.services().second_factors.remove_totp(session.account_id):
        flask.abort(404)
    audit.security_event("second-factor.removed", account=session.account_id, factor="app")
    person.tell_of_sign_in(session, "app-removed")
    return journey.see_other(_WAYS)


@blueprint.post("/me/passkeys/card")
def make_card() -> str:
    """Make a new card and show its codes, this once."""
    session = _strong()
    codes = new_card_codes(context.installation().chance)
    transaction.release()
    hashes = [context.installation().hashing.hash_unchecked(code) for code in codes]
    context.services().second_factors.make_card(session.account_id, hashes)
    audit.security_event("second-factor.added", account=session.account_id, factor="card")
    person.tell_of_sign_in(session, "card-made")
    return flask.render_template(
        "citizen/code_card.html",
        section="passkeys",
        codes=[spaced(code) for code in codes],
        made_at=context.installation().clock(),
    )


@blueprint.post("/me/passkeys/card/remove")
def remove_card() -> flask.Response:
    """Make the card void."""
    session = _strong()
    if not context.services().second_factors.remove_card(session.account_id):
        flask.abort(404)
    audit.security_event("second-factor.removed", account=session.account_id, factor="card")
    person.tell_of_sign_in(session, "card-removed")
    return journey.see_other(_WAYS)


def _strong() -> BrowserSession:
    """Return the session if its holder may change how she signs in; else she signs in again."""
    session = person.required()
    if not person.may_change_sign_in(session):
        flask.abort(flask.redirect(f"/sign-in?next={_WAYS}", 303))
    return session


def _app_page(session: BrowserSession, *, error: str | None = None) -> flask.Response:
    secret = context.services().second_factors.begun_totp(session.account_id)
    if secret is None:
        return journey.see_other(_WAYS)
    login = person.login_of(session.subject_id) or person.name_of(session.subject_id)
    spelled = base64.b32encode(secret).decode().rstrip("=")
    drawn = qrcode.make(
        otpauth_uri(secret, issuer=BRAND, login=login), image_factory=SvgPathImage, border=2
    )
    body = flask.render_template(
        "citizen/authenticator_app.html",
        section="passkeys",
        # Drawn by the library from our own text; nothing in it comes from a person's input as is.
        picture=Markup(drawn.to_string(encoding="unicode")),  # noqa: S704
        secret=" ".join(spelled[at : at + 4] for at in range(0, len(spelled), 4)),
        error=errors.message(error) if error else None,
    )
    return flask.Response(body, errors.words(error).status if error else 200)
