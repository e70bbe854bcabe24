"""Answers to authorization requests: always with ``iss`` (RFC 9207), success and error alike."""

from idp.oidc import wire
from idp.oidc.codes import AuthorizationCode, Codes
from idp.oidc.errors import RedirectedError
from idp.oidc.request import AuthorizationRequest

# RFC 9700 §4.12: never a status that makes the browser send posted credentials on.
_SEE_OTHER = 303


def code_response(
    codes: Codes, issuer: str, request: AuthorizationRequest, code: AuthorizationCode
) -> wire.Response:
    """Return the redirect that carries the code."""
    parameters = [("code", codes.seal(code))]
    if request.state is not None:
        parameters.append(("state", request.state))
    return _redirect(request.redirect_uri, [*parameters, ("iss", issuer)])


def error_response(issuer: str, error: RedirectedError) -> wire.Response:
    """Return the redirect that carries the error (RFC 6749 §4.1.2.1)."""
    parameters = list(error.document().items())
    if error.state is not None:
        parameters.append(("state", error.state))
    return _redirect(error.redirect_uri, [*parameters, ("iss", issuer)])


def _redirect(uri: str, parameters: wire.Pairs) -> wire.Response:
    return wire.Response(
        _SEE_OTHER,
        {"Location": wire.with_query(uri, parameters), "Cache-Control": "no-store"},
    )
