"""Signing in with identifier and password: works without any script. Alone it gives level 1; who has
a second factor is asked for its code next.
"""

import flask

from idp.login.errors import RiskError, SignInRefusedError, TooManyFailuresError
from idp.login.sign_in import HalfSignedIn
from idp.web import context, errors, forms, journey, transaction

blueprint = flask.Blueprint("password", __name__)


@blueprint.post("/sign-in/password")
def verify() -> flask.Response:
    """Compare the password and sign the person in."""
    form = flask.request.form
    interaction_id, login = form.get("interaction", ""), form.get("login", "")[:256]
    under_way = journey.find(interaction_id)
    visitor, current = context.visitor(), context.session()
    try:
        found = context.services().sign_in.look_up(login, visitor)
        # The comparison is slow on purpose; nobody waits for the database meanwhile.
        transaction.release()
        is_right = context.installation().hashing.verify(found.hash, form.get("password", ""))
        started = context.services().sign_in.by_password(
            found, login=login, is_right=is_right, visitor=visitor, current=current
        )
    except (RiskError, SignInRefusedError, TooManyFailuresError) as error:
        body = journey.sign_in_page(under_way, login=login, error=error.code)
        return flask.Response(body, errors.words(error.code).status)
    if isinstance(started, HalfSignedIn):
        return flask.Response(journey.code_page(under_way, started.held, ticket=started.ticket))
    context.signed_in(started)
    return journey.see_other(
        journey.go_on(interaction_id, otherwise=forms.local_page(form.get("next", "")))
    )
