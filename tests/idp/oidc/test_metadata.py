"""Discovery: it says what works, all of it, and nothing else."""

import json
from pathlib import Path

import pytest
from babel.core import Locale

from accounts.attributes import DICTIONARY, SCOPES
from idp.oidc.metadata import metadata
from tests.support.browser import as_json
from tests.support.cast import ISSUER
from tests.support.world import World

SNAPSHOT = Path(__file__).parents[2] / "snapshots" / "discovery.json"


def test_the_document_is_the_one_that_was_agreed_on() -> None:
    # When a change is wanted: write the new document into the file and say so in the change log.
    assert metadata(ISSUER) == json.loads(SNAPSHOT.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "path", ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"]
)
def test_both_addresses_give_the_same_public_document(world: World, path: str) -> None:
    page = world.browser().open(path)
    assert (page.status, page.headers["Content-Type"]) == (200, "application/json")
    assert page.headers["Access-Control-Allow-Origin"] == "*"
    assert "public" in page.headers["Cache-Control"]
    assert as_json(page) == metadata(world.issuer)


def test_every_advertised_address_is_served(world: World) -> None:
    document = metadata(world.issuer)
    routes = {rule.rule: rule.methods or set() for rule in world.app.url_map.iter_rules()}
    methods = {"token_endpoint": "POST", "revocation_endpoint": "POST",
               "introspection_endpoint": "POST"}  # fmt: skip
    for name, url in document.items():
        if isinstance(url, str) and url.startswith(f"{world.issuer}/"):
            assert methods.get(name, "GET") in routes[url.removeprefix(world.issuer)], name


def test_every_protocol_route_is_advertised(world: World) -> None:
    advertised = {
        url.removeprefix(world.issuer)
        for url in metadata(world.issuer).values()
        if isinstance(url, str)
    }
    served = {
        rule.rule
        for rule in world.app.url_map.iter_rules()
        if (rule.endpoint.split(".")[0] in {"relying_party", "protocol", "discovery", "logout"})
    }
    hidden = {"/signed-out", "/.well-known/openid-configuration",
              "/.well-known/oauth-authorization-server"}  # fmt: skip
    assert served - hidden <= advertised


def test_scopes_and_claims_are_those_of_the_dictionary() -> None:
    document = metadata(ISSUER)
    assert document["scopes_supported"] == list(SCOPES)
    assert set(DICTIONARY) <= set(document["claims_supported"])


def test_locales_are_canonical() -> None:
    document = metadata(ISSUER)
    for tag in (*document["ui_locales_supported"], *document["claims_locales_supported"]):
        assert str(Locale.parse(tag)) == tag


def test_nothing_weak_is_offered() -> None:
    text = json.dumps(metadata(ISSUER))
    for word in ('"none_signed"', "HS256", '"plain"', "implicit", "password", "id_token token"):
        assert word not in text
    assert metadata(ISSUER)["code_challenge_methods_supported"] == ["S256"]
    assert "none" not in metadata(ISSUER)["id_token_signing_alg_values_supported"]
