"""Who may supervise: an inspector who signed in with a passkey, as at the desk."""

import flask

from accounts.officers import Role
from idp.supervision import Inspection, inspection
from idp.web import context, person


def inspecting() -> Inspection:
    """Return the inspector's work; there is no such page for anybody else."""
    session = person.required()
    services = context.services()
    inspector = services.officers.serving(session.subject_id)
    if inspector is None or inspector.role is not Role.INSPECTOR:
        flask.abort(404)
    if not session.strength.phishing_resistant:
        flask.abort(flask.redirect("/sign-in?next=/regulator", 303))
    if not services.accounts.account(session.account_id).is_open:
        flask.abort(404)
    return inspection(services, inspector)
