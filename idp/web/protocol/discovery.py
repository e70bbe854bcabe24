"""Discovery and keys: public documents, the same bytes whatever headers a request carries."""

import json
from functools import lru_cache

import flask

from idp.oidc.metadata import metadata
from idp.web import context

blueprint = flask.Blueprint("discovery", __name__)

_METADATA_AGE = "public, max-age=3600"
# Short, so that a relying party sees a new key soon after a rotation.
_KEYS_AGE = "public, max-age=300"


@lru_cache(maxsize=4)
def _metadata_bytes(issuer: str) -> bytes:
    return json.dumps(metadata(issuer), separators=(",", ":")).encode()


@blueprint.get("/.well-known/openid-configuration")
@blueprint.get("/.well-known/oauth-authorization-server")
def discovery() -> flask.Response:
    """Describe the provider (OpenID Connect Discovery 1.0, RFC 8414)."""
    body = _metadata_bytes(context.installation().settings.issuer)
    return _public(body, "application/json", _METADATA_AGE)


@blueprint.get("/jwks")
def jwks() -> flask.Response:
    """Publish the verification keys (RFC 7517)."""
    body = json.dumps(context.installation().keys.public_set(), separators=(",", ":")).encode()
    return _public(body, "application/json", _KEYS_AGE)


def _public(body: bytes, kind: str, age: str) -> flask.Response:
    # Browser-based relying parties read these from their own pages; nothing here is private.
    return flask.Response(
        body,
        headers={
            "Content-Type": kind,
            "Cache-Control": age,
            "Access-Control-Allow-Origin": "*",
        },
    )
