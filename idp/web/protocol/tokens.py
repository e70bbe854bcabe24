"""The endpoints that relying parties call: token, userinfo, revocation, introspection."""

import flask

from idp.oidc import endpoints
from idp.web import context

blueprint = flask.Blueprint("relying_party", __name__)


@blueprint.post("/token")
def token() -> flask.Response:
    """Exchange a code or refresh token (RFC 6749 §3.2)."""
    return context.respond(endpoints.token(context.services().provider, context.wire_request()))


@blueprint.route("/userinfo", methods=["GET", "POST"])
def userinfo() -> flask.Response:
    """Release claims (OIDC Core §5.3)."""
    return context.respond(endpoints.userinfo(context.services().provider, context.wire_request()))


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
