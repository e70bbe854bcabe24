"""Calls of an agency's own API: who asks, what is read, and how it is answered or refused.

An agency authenticates as at the introspection endpoint, so that no token has to be got first.
"""

from collections.abc import Callable
from typing import Any

import flask
import orjson

from idp.oidc import wire
from idp.oidc.client_auth import ASSERTION_TYPE, InvalidClientError
from idp.oidc.errors import ProtocolError
from idp.oidc.relying_parties import RelyingParty
from idp.web import context

Form = dict[str, str]


def answered(act: Callable[[RelyingParty, Form], dict[str, object]]) -> flask.Response:
    """Answer a form-encoded POST of an authenticated agency in JSON, or refuse it (RFC 6749 §5.2)."""

    def read(request: wire.Request) -> tuple[RelyingParty, Form]:
        # With Basic authentication a request to list may have no body at all.
        form = wire.once(request.form_pairs()) if request.body else {}
        return _authenticated(request, form), form

    return _answered(read, act)


def answered_json(
    act: Callable[[RelyingParty, dict[str, Any]], dict[str, object]],
) -> flask.Response:
    """The same for a POST whose body is a JSON object.

    A client assertion has no form to stand in, so it stands in the header, as a Bearer credential.
    """

    def read(request: wire.Request) -> tuple[RelyingParty, dict[str, Any]]:
        if request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
            raise ProtocolError("invalid_request", "the body must be application/json")
        assertion = request.bearer()
        if assertion is None:
            party = _authenticated(request, {})
        else:
            headers = {k: v for k, v in request.headers.items() if k != "authorization"}
            bare = wire.Request(request.method, request.path, request.query, headers, b"")
            party = _authenticated(
                bare, {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}
            )
        try:
            document = orjson.loads(request.body)
        except orjson.JSONDecodeError as error:
            raise ProtocolError("invalid_request", "the body is not valid JSON") from error
        if not isinstance(document, dict):
            raise ProtocolError("invalid_request", "the body must be an object")
        return party, document

    return _answered(read, act)


def _answered(
    read: Callable[[wire.Request], tuple[RelyingParty, Any]],
    act: Callable[[RelyingParty, Any], dict[str, object]],
) -> flask.Response:
    try:
        request = context.wire_request()
        if request.query:
            raise ProtocolError("invalid_request", "parameters belong into the body")
        return context.respond(wire.json_response(200, act(*read(request))))
    except wire.MalformedError as error:
        refused = ProtocolError("invalid_request", str(error))
    except ProtocolError as error:
        refused = error
    headers = {"WWW-Authenticate": 'Basic realm="sen-id"'} if refused.status == 401 else {}
    return context.respond(wire.json_response(refused.status, refused.document(), headers))


def _authenticated(request: wire.Request, form: Form) -> RelyingParty:
    party = context.services().provider.client_authentication.authenticate(request, form)
    if party.authentication_method == "none":
        raise InvalidClientError
    return party
