"""What all endpoints for agencies share: who asks, and errors in the form of RFC 6749 §5.2.

Most take form-encoded POSTs, authenticated as at the introspection endpoint, so that no token has to be got
first. Reports are JSON: with Basic authentication, whichever way of sending a secret is registered, or as the
claim ``report`` of a JWS that is a client assertion besides (RFC 7523) and so says by the agency's own key that
it is its word.
"""

import json
from collections.abc import Callable
from typing import Any

import flask

from idp.asking import BadWordsError, CaseGoneError
from idp.oidc import wire
from idp.oidc.client_auth import ASSERTION_TYPE, InvalidClientError
from idp.oidc.errors import ProtocolError
from idp.oidc.relying_parties import RelyingParty
from idp.web import context

Form = dict[str, str]
Document = dict[str, Any]
GREATEST_REPORT = 1024 * 1024
_JWS = frozenset({"application/jwt", "application/jose"})


def answered(act: Callable[[RelyingParty, Form], dict[str, object]]) -> flask.Response:
    """Authenticate the agency, let ``act`` do what it asks for with its form, and answer."""

    def authenticated(request: wire.Request) -> dict[str, object]:
        # With Basic authentication a request to list may have no body at all.
        form = wire.once(request.form_pairs()) if request.body else {}
        return act(_confidential(request, form), form)

    return responded(authenticated)


def reported(act: Callable[[RelyingParty, Document], dict[str, object]]) -> flask.Response:
    """Authenticate the agency by its report, let ``act`` take it, and answer."""
    flask.request.max_content_length = GREATEST_REPORT

    def authenticated(request: wire.Request) -> dict[str, object]:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        authentication = context.services().provider.client_authentication
        if kind in _JWS:
            party, claims = authentication.signed(request.body.decode("ascii", "replace").strip())
            return act(party, _object(claims.get("report")))
        if kind != "application/json":
            wanted = "the body must be application/json, or application/jwt"
            raise ProtocolError("invalid_request", wanted)
        return act(_confidential(request), _read(request.body))

    return responded(authenticated)


def answered_json(
    act: Callable[[RelyingParty, dict[str, Any]], dict[str, object]],
) -> flask.Response:
    """The same for a POST whose body is a JSON object.

    A client assertion has no form to stand in, so it stands in the header, as a Bearer credential; and a
    secret there, too.
    """

    def read(request: wire.Request) -> tuple[RelyingParty, dict[str, Any]]:
        if request.headers.get("content-type", "").split(";")[0].strip() != "application/json":
            raise ProtocolError("invalid_request", "the body must be application/json")
        assertion = request.bearer()
        if assertion is None:
            party = _confidential(request)
        else:
            headers = {k: v for k, v in request.headers.items() if k != "authorization"}
            bare = wire.Request(request.method, request.path, request.query, headers, b"")
            party = _confidential(
                bare, {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}
            )
        return party, _read(request.body)

    return responded(lambda request: act(*read(request)))


def _confidential(request: wire.Request, form: Form | None = None) -> RelyingParty:
    authentication = context.services().provider.client_authentication
    party = authentication.authenticate(request, form or {}, has_form=form is not None)
    if party.authentication_method == "none":
        raise InvalidClientError
    return party


def _read(body: bytes) -> Document:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ProtocolError("invalid_request", "the body is no JSON") from error
    return _object(document)


def _object(found: object) -> Document:
    if not isinstance(found, dict):
        raise ProtocolError("invalid_request", "the body must be an object")
    return found


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
