"""The endpoints that relying parties call: token, userinfo, revocation, introspection."""

import flask

from idp import reading
from idp.oidc import endpoints
from idp.web import context, transaction

blueprint = flask.Blueprint("relying_party", __name__)


@blueprint.post("/token")
def token() -> flask.Response:
    """Exchange a code or refresh token (RFC 6749 §3.2)."""
    return _answer(endpoints.token)


@blueprint.route("/userinfo", methods=["GET", "POST"])
def userinfo() -> flask.Response:
    """Release claims (OIDC Core §5.3)."""
    return _answer(endpoints.userinfo)


@blueprint.post("/revoke")
def revoke() -> flask.Response:
    """Revoke a token (RFC 7009)."""
    return context.respond(endpoints.revoke(context.services().provider, context.wire_request()))


@blueprint.post("/introspect")
def introspect() -> flask.Response:
    """Tell a token's standing (RFC 7662)."""
    return context.respond(
        endpoints.introspect(context.services().provider, context.wire_request())
    )


def _answer(endpoint: reading.Endpoint) -> flask.Response:
    answer = reading.answer(
        context.installation(),
        endpoint,
        context.wire_request(),
        provider=lambda: context.services().provider,
        undo=transaction.undo,
        correlation=flask.g.correlation,
    )
    return context.respond(answer)
