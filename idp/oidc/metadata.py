"""The discovery document (OpenID Connect Discovery 1.0 and RFC 8414). It says only what works."""

from typing import Any

from accounts.attributes import DICTIONARY, SCOPES
from accounts.levels import ACR_VALUES
from idp.keys import ALGORITHMS
from idp.oidc.client_auth import ASSERTION_ALGORITHMS
from idp.oidc.relying_parties import (
    AUTHENTICATION_METHODS,
    DETAILS_TYPES,
    SECRET_METHODS,
    TOKEN_GRANT_TYPES,
)

_PROTOCOL_CLAIMS = (
    "iss",
    "sub",
    "aud",
    "exp",
    "iat",
    "auth_time",
    "nonce",
    "acr",
    "amr",
    "at_hash",
    "sid",
    "represents",
    "vn_withheld",
)


def metadata(issuer: str, acr_values: tuple[str, ...] = ACR_VALUES) -> dict[str, Any]:
    """Return the provider's metadata, made from the installation alone and no request header."""
    confidential = [*SECRET_METHODS, "private_key_jwt"]
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": f"{issuer}/token",
        "userinfo_endpoint": f"{issuer}/userinfo",
        "jwks_uri": f"{issuer}/jwks",
        "revocation_endpoint": f"{issuer}/revoke",
        "introspection_endpoint": f"{issuer}/introspect",
        "end_session_endpoint": f"{issuer}/logout",
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
        "authorization_details_types_supported": list(DETAILS_TYPES),
        "scopes_supported": list(SCOPES),
        "claims_supported": [*_PROTOCOL_CLAIMS, *DICTIONARY],
        "claims_parameter_supported": True,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": list(TOKEN_GRANT_TYPES),
        "subject_types_supported": ["pairwise"],
        "acr_values_supported": list(acr_values),
        "id_token_signing_alg_values_supported": list(ALGORITHMS),
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "token_endpoint_auth_methods_supported": list(AUTHENTICATION_METHODS),
        "token_endpoint_auth_signing_alg_values_supported": list(ASSERTION_ALGORITHMS),
        "revocation_endpoint_auth_methods_supported": list(AUTHENTICATION_METHODS),
        "revocation_endpoint_auth_signing_alg_values_supported": list(ASSERTION_ALGORITHMS),
        "introspection_endpoint_auth_methods_supported": confidential,
        "introspection_endpoint_auth_signing_alg_values_supported": list(ASSERTION_ALGORITHMS),
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "display_values_supported": ["page"],
        "claim_types_supported": ["normal"],
        "ui_locales_supported": ["vi", "en"],
        "claims_locales_supported": ["vi", "en"],
        "service_documentation": f"{issuer}/about",
        "op_policy_uri": f"{issuer}/about",
    }
