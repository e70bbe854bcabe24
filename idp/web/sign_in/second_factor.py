"""The second half of a sign-in with a password: a code from an authenticator app or a code card."""

import re

import flask

from accounts.second_factors import CARD_CODE_DIGITS
from idp.login.errors import (
    CodeRefusedError,
    RiskError,
    SignInExpiredError,
    TooManyFailuresError,
)
from idp.web import context, errors, forms, journey, transaction

blueprint = flask.Blueprint("second_factor", __name__)


@blueprint.post("/sign-in/code")
def verify() -> flask.Response:
    """Judge the code and sign the person in."""
    form = flask.request.form
    interaction_id, ticket = form.get("interaction", ""), form.get("ticket", "")[:256]
    code = re.sub(r"[\s-]", "", form.get("code", "")[:64])
    under_way = journey.find(interaction_id)
    visitor, current = context.visitor(), context.session()
    try:
        found = context.services().sign_in.look_up_code(ticket, visitor, current)
    except (SignInExpiredError, TooManyFailuresError) as error:
        body = journey.sign_in_page(under_way, error=error.code)
        return flask.Response(body, errors.words(error.code).status)
    fits_card = False
    if len(code) == CARD_CODE_DIGITS and found.hash is not None:
        # Slow on purpose, as with a password; nobody waits for the database meanwhile.
        transaction.release()
        fits_card = context.installation().hashing.verify(found.hash, code)
    try:
        started = context.services().sign_in.by_code(
            found, code, fits_card=fits_card, visitor=visitor, current=current
        )
    except RiskError as error:
        body = journey.sign_in_page(under_way, error=error.code)
        return flask.Response(body, errors.words(error.code).status)
    except CodeRefusedError as error:
        body = journey.code_page(under_way, found.held, ticket=ticket, error=error.code)
        return flask.Response(body, errors.words(error.code).status)
    context.signed_in(started)
    return journey.see_other(
        journey.go_on(interaction_id, otherwise=forms.local_page(form.get("next", "")))
    )
