"""What all endpoints for agencies share: who asks, and errors in the form of RFC 6749 §5.2.

Form-encoded POSTs answered in JSON, authenticated as at the introspection endpoint, so that no token has to
be got first.
"""

from collections.abc import Callable

import flask

from idp.asking import BadWordsError, CaseGoneError
from idp.oidc import wire
from idp.oidc.client_auth import InvalidClientError
from idp.oidc.errors import ProtocolError
from idp.oidc.relying_parties import RelyingParty
from idp.web import context

Form = dict[str, str]


def answered(act: Callable[[RelyingParty, Form], dict[str, object]]) -> flask.Response:
    """Authenticate the agency, let ``act`` do what it asks for with its form, and answer."""

    def authenticated(request: wire.Request) -> dict[str, object]:
        # With Basic authentication a request to list may have no body at all.
        form = wire.once(request.form_pairs()) if request.body else {}
        party = context.services().provider.client_authentication.authenticate(request, form)
        if party.authentication_method == "none":
            raise InvalidClientError
        return act(party, form)

    return responded(authenticated)


def responded(act: Callable[[wire.Request], dict[str, object]]) -> flask.Response:
    """Answer what ``act`` makes of the request, or its refusal."""
    try:
        request = context.wire_request()
        if request.query:
            raise ProtocolError("invalid_request", "parameters belong into the body")
        return context.respond(wire.json_response(200, act(request)))
    except wire.MalformedError as error:
        refused = ProtocolError("invalid_request", str(error))
    except BadWordsError:
        refused = ProtocolError("invalid_request", "the words are missing or too long")
    except CaseGoneError:
        refused = ProtocolError("invalid_case", "no such case, or it is past this step", status=409)
    except ProtocolError as error:
        refused = error
    headers = {"WWW-Authenticate": 'Basic realm="sen-id"'} if refused.status == 401 else {}
    return context.respond(wire.json_response(refused.status, refused.document(), headers))
