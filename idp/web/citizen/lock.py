"""Locking one's own account from any browser that is signed in: one page, one press."""

import flask

from idp.web import context, journey, person

blueprint = flask.Blueprint("own_lock", __name__)


@blueprint.get("/me/lock")
def ask() -> str:
    """Say what locking does, and ask."""
    account_id = person.required().account_id
    return flask.render_template(
        "citizen/lock.html",
        section="sessions",
        has_passkey=context.services().passkeys.count(account_id) > 0,
    )


@blueprint.post("/me/lock")
def lock() -> flask.Response:
    """Lock: every sign-in and every grant ends, this browser's too."""
    session = person.required()
    person.lock_own_account(session)
    return journey.see_other("/locked")
