"""Discovery and keys: public documents, the same bytes whatever headers a request carries."""

import flask

from idp.oidc import endpoints
from idp.web import context

blueprint = flask.Blueprint("discovery", __name__)


@blueprint.get("/.well-known/openid-configuration")
@blueprint.get("/.well-known/oauth-authorization-server")
def discovery() -> flask.Response:
    """Describe the provider."""
    held = context.installation()
    return context.respond(endpoints.discovery(held.settings.issuer, held.acr_values))


@blueprint.get("/jwks")
def jwks() -> flask.Response:
    """Publish the verification keys."""
    return context.respond(endpoints.jwks(context.installation().keys))
