"""Signing in with a passkey: two plain JSON calls around the browser's WebAuthn ceremony."""

import flask

from accounts.errors import PasskeyRefusedError
from idp.login.flow import SignIn
from idp.web import context, errors, forms, journey

blueprint = flask.Blueprint("passkey", __name__)


@blueprint.post("/sign-in/passkey/options")
def options() -> flask.Response:
    """Return ``PublicKeyCredentialRequestOptions`` with a challenge for this browser."""
    if not flask.request.is_json:
        flask.abort(415)
    visitor = context.visitor()
    return flask.jsonify(
        publicKey=context.services().passkeys.request_options(browser=visitor.binding)
    )


@blueprint.post("/sign-in/passkey/verify")
def verify() -> flask.Response:
    """Judge the assertion and sign the person in; answers where to go on."""
    if not flask.request.is_json:
        flask.abort(415)
    document = forms.json_document()
    if document is None:
        return errors.problem("invalid_request")
    interaction_id = str(document.get("interaction") or "")
    under_way = journey.find(interaction_id)
    is_asked = under_way is None or isinstance(under_way.next_step(), SignIn)
    try:
        started = context.services().sign_in.by_passkey(
            document.get("credential"), context.visitor(), context.session(), is_asked=is_asked
        )
    except PasskeyRefusedError as error:
        return errors.problem(error.code)
    if started is not None:
        context.signed_in(started)
    target = forms.local_page(str(document.get("next") or ""))
    return flask.jsonify(location=journey.go_on(interaction_id, otherwise=target))
