"""Browser sessions: where the person is signed in, and signing out from afar."""

import flask

from accounts.levels import AuthenticationMethod
from idp import audit
from idp.web import context, journey, person
from idp.web.language import N_, translate

blueprint = flask.Blueprint("sessions", __name__)
_METHODS = {
    AuthenticationMethod.PASSWORD: N_("Password"),
    AuthenticationMethod.PASSKEY: N_("Passkey"),
    AuthenticationMethod.ACTIVATION_CODE: N_("Activation code"),
    AuthenticationMethod.TOTP: N_("Authenticator app"),
    AuthenticationMethod.CODE_CARD: N_("Code card"),
    AuthenticationMethod.PHONE: N_("Approved on your phone"),
    AuthenticationMethod.HARDWARE_KEY: N_("Hardware key"),
}
_UNKNOWN_BROWSER = N_("Unknown browser")


@blueprint.get("/me/sessions")
def sessions() -> str:
    """List them, this browser's among them."""
    session = person.required()
    found = context.services().sessions.of_account(session.account_id)
    return flask.render_template(
        "citizen/sessions.html",
        section="sessions",
        sessions=[
            {
                "id": one.id,
                "browser": one.browser or translate(_UNKNOWN_BROWSER),
                "network": context.installation().places.told(one.address),
                "started_at": one.started_at,
                "last_seen_at": one.last_seen_at,
                "current": one.id == session.id,
                "methods": ", ".join(translate(_METHODS[m]) for m in one.methods),
                "level": int(one.level),
            }
            for one in found
        ],
    )


@blueprint.post("/me/sessions/<session_id>/end")
def end(session_id: str) -> flask.Response:
    """End one session and what lived on it."""
    session = person.required()
    if not context.services().sessions.end(session.account_id, person.row_id(session_id)):
        flask.abort(404)
    context.services().grants.revoke_of_session(session_id)
    audit.security_event("session.ended", account=session.account_id)
    if session_id == session.id:
        context.signed_out()
        return journey.see_other("/signed-out")
    return journey.see_other("/me/sessions")


@blueprint.post("/me/sessions/end-others")
def end_others() -> flask.Response:
    """End every session but this one."""
    session = person.required()
    services = context.services()
    for session_id in services.sessions.end_all(session.account_id, but=session.id):
        services.grants.revoke_of_session(session_id)
    audit.security_event("sessions.ended", account=session.account_id)
    return journey.see_other("/me/sessions")
