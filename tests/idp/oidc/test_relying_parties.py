"""Registrations: nothing is taken over unchecked (security cases RG and CS06)."""

from typing import Any

import pytest

from idp.oidc.relying_parties import RegistrationError
from idp.services import Services
from tests.support.relying_party import new_key
from tests.support.world import World


@pytest.fixture
def kind() -> str:
    """What is judged here is judged before any database is asked, so one kind will do."""
    return "sqlite"


GOOD: dict[str, Any] = {
    "client_id": "new",
    "client_name": "Mới",
    "redirect_uris": ["https://new.example/callback"],
    "client_secret": "s" * 32,
    "purpose": "public-service",
    "scope": "openid name",
}


def refused(services: Services, **changes: Any) -> str:
    document = {k: v for k, v in (GOOD | changes).items() if v is not ...}
    with pytest.raises(RegistrationError) as error:
        services.registrations.register(document)
    assert "new" not in {party.client_id for party in services.registrations.all()}
    return error.value.member


def test_a_plain_registration_is_taken_with_safe_defaults(services: Services) -> None:
    assert services.registrations.register(GOOD) == "new"
    (party,) = (p for p in services.registrations.all() if p.client_id == "new")
    assert party.authentication_method == "client_secret_basic"
    assert party.id_token_algorithm == "ES256"
    assert party.secret_hash != GOOD["client_secret"]
    assert party.is_active


URIS = {
    "javascript": "javascript:alert(1)",
    "data": "data:text/html,x",
    "file": "file:///etc/passwd",
    "http": "http://new.example/callback",
    "wildcard": "https://*.example/callback",
    "crlf": "https://new.example/\r\ncallback",
    "space": "https://new.example/call back",
    "leading-space": " https://new.example/",
    "user": "https://user@new.example/callback",
    "fragment": "https://new.example/callback#x",
    "empty-fragment": "https://new.example/callback#",
    "full-width": "https://ｎｅｗ.example/",
    "no-host": "https:///callback",
    "backslash": "https://new.example\\@evil.example/",
    "port": "https://new.example:99999/",
    "own-code": "https://new.example/callback?code=x",
    "own-state": "https://new.example/callback?state=",
    "own-iss": "https://new.example/callback?iss=x",
    "private-address": "http://10.0.0.1/callback",
    "empty": "",
}


@pytest.mark.parametrize("uri", URIS.values(), ids=[f"RG01-{name}" for name in URIS])
@pytest.mark.parametrize("member", ["redirect_uris", "post_logout_redirect_uris"])
def test_an_unsafe_address_is_refused(services: Services, member: str, uri: str) -> None:
    assert refused(services, **{member: [uri]}) == member


@pytest.mark.parametrize("member", ["logo_uri", "policy_uri", "tos_uri", "client_uri", "jwks_uri"])
@pytest.mark.parametrize("name", ["javascript", "data", "http", "user", "crlf"])
def test_an_unsafe_link_is_refused(services: Services, member: str, name: str) -> None:
    assert refused(services, **{member: URIS[name]}) == member


@pytest.mark.parametrize(
    ("changes", "member"),
    [
        ({"client_id": ...}, "client_id"),
        ({"client_id": "a b"}, "client_id"),
        ({"client_id": "x" * 256}, "client_id"),
        ({"client_id": "n\u0435w"}, "client_id"),
        ({"client_name": ...}, "client_name"),
        ({"redirect_uris": []}, "redirect_uris"),
        ({"redirect_uris": "https://new.example/"}, "redirect_uris"),
        ({"purpose": ...}, "purpose"),
        ({"purpose": "marketing"}, "purpose"),
        ({"scope": "name"}, "scope"),
        ({"scope": "openid admin"}, "scope"),
        ({"client_secret": ...}, "client_secret"),
        ({"client_secret": "short"}, "client_secret"),
        ({"token_endpoint_auth_method": "none"}, "client_secret"),
        ({"token_endpoint_auth_method": "client_secret_jwt"}, "token_endpoint_auth_method"),
        ({"token_endpoint_auth_method": "private_key_jwt", "client_secret": ...}, "jwks"),
        ({"id_token_signed_response_alg": "none"}, "id_token_signed_response_alg"),
        ({"id_token_signed_response_alg": "HS256"}, "id_token_signed_response_alg"),
        ({"grant_types": ["implicit"]}, "grant_types"),
        ({"grant_types": ["password"]}, "grant_types"),
        ({"grant_types": ["client_credentials"]}, "grant_types"),
        ({"response_types": ["token"]}, "response_types"),
        ({"application_type": "tv"}, "application_type"),
        ({"country": "vn"}, "country"),
        ({"country": ["VN"]}, "country"),
        ({"case_reference_expected": True}, "case_reference_expected"),
        ({"case_reference_expected": "yes"}, "case_reference_expected"),
        ({"trusted": True}, "trusted"),
        ({"skip_consent": True}, "skip_consent"),
        ({"require_pkce": "yes"}, "require_pkce"),
        ({"client_name": 7}, "client_name"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
def test_rg03_what_is_wrong_is_named(
    services: Services, changes: dict[str, Any], member: str
) -> None:
    assert refused(services, **changes) == member


@pytest.mark.parametrize(
    "name",
    [
        "\u202eknaB",
        "Bank\u200b",
        "Bank\u2066",
        "Bank\x00",
        "B\ufeffank",
        "x" * 121,
        "a\nb",
        "\ue000",
    ],
)
@pytest.mark.parametrize("member", ["client_name", "client_name#en"])
def test_cs06_a_name_that_could_deceive_is_refused(
    services: Services, member: str, name: str
) -> None:
    assert refused(services, **{member: name}) == member


PRIVATE = new_key().as_dict(private=True)
PUBLIC = {key: value for key, value in PRIVATE.items() if key != "d"}


@pytest.mark.parametrize(
    "keys",
    [
        [PRIVATE],
        [{"kty": "oct", "k": "x", "kid": "1"}],
        [PUBLIC, PUBLIC],
        [PUBLIC | {"kid": str(n)} for n in range(21)],
        [],
        ["x"],
        [{"kty": "none", "kid": "1"}],
        [PUBLIC | {"kid": ["a"]}],
        [PUBLIC | {"x": 5, "kid": "1"}],
    ],
    ids=[
        "private",
        "oct",
        "doubled-kid",
        "too-many",
        "none",
        "text",
        "kty",
        "kid-list",
        "x-number",
    ],
)
def test_rg04_a_bad_key_set_is_refused(services: Services, keys: list[Any]) -> None:
    changes = {"token_endpoint_auth_method": "private_key_jwt", "client_secret": ...}
    assert refused(services, jwks={"keys": keys}, **changes) == "jwks"


def test_an_update_replaces_what_was_registered(services: Services) -> None:
    services.registrations.register(GOOD)
    services.registrations.register(GOOD | {"client_name": "Khác"})
    (party,) = (p for p in services.registrations.all() if p.client_id == "new")
    assert party.name("vi") == "Khác"


def test_cs06_a_name_with_markup_is_shown_as_text(world: World) -> None:
    name = '<img src=x onerror=alert(1)>"&'
    with world.transaction() as services:
        services.registrations.register(world.cast.relying_parties["basic"] | {"client_name": name})
    browser = world.browser()
    page = browser.visit(world.party("basic").begin("openid name").url)
    page = browser.follow(world.sign_in_on(browser, page, world.person(), "password"))
    assert "<img src=x" not in page.html
    assert "<img src=x" in page.text
