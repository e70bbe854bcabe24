"""Who may be at the desk: a person in office who signed in with a passkey, because nothing that a
false page can ask for may open the desk.
"""

import flask

from accounts.officers import Role
from idp.desk import Desk
from idp.web import context, person


def desk() -> Desk:
    """Return the officer's desk; there is no such page for anybody else."""
    session = person.required()
    services = context.services()
    officer = services.officers.serving(session.subject_id)
    if officer is None or officer.role is not Role.DESK:
        flask.abort(404)
    if not session.strength.phishing_resistant:
        flask.abort(flask.redirect("/sign-in?next=/desk", 303))
    account = services.accounts.account(session.account_id)
    if not account.is_open:
        flask.abort(404)
    return services.desk_of(officer)
