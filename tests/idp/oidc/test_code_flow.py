"""The authorization-code flow from the relying party's first request to its last."""

import string
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.support.world import World

ODD_STATE = "a b+c&d=e%20f/?#é…'\"<>\\^`{|}~" + string.ascii_letters


@pytest.mark.parametrize("party", ["portal", "basic", "clinic", "bank", "app"])
def test_a_person_signs_in_and_the_relying_party_learns_who_she_is(
    world: World, party: str
) -> None:
    # basic, none demanded, post, private_key_jwt, public; ES256, RS256, RS256, PS256, ES256.
    scope = "openid name" if party == "app" else "openid profile"
    tokens = world.arrive(party, scope).tokens()
    answer = world.party(party).userinfo(tokens.access)
    assert answer.status == 200
    assert answer.body["sub"] == tokens.claims["sub"]
    assert answer.body["name"] == world.person().name


def test_the_request_may_come_by_post_from_another_site(world: World) -> None:
    party, browser = world.party("basic"), world.browser()
    attempt = party.begin("openid name")
    page = browser.post_from_elsewhere("/authorize", attempt.parameters, "https://basic.example")
    back = world.walk(browser, browser.follow(page), world.person())
    assert party.redeem(attempt, party.code_from(attempt, back.location))


def test_a_posted_request_finds_the_session_that_is_there(world: World) -> None:
    browser = world.arrive("basic").browser
    party = world.party("basic")
    attempt = party.begin("openid name", prompt="none")
    page = browser.post_from_elsewhere("/authorize", attempt.parameters, "https://basic.example")
    assert party.code_from(attempt, browser.follow(page).location)


@pytest.mark.parametrize("missing", ["nonce", "state"])
def test_nonce_and_state_are_optional(world: World, missing: str) -> None:
    arrival = world.arrive("basic", **{missing: None})
    assert missing not in arrival.location
    assert missing not in arrival.tokens().claims


@pytest.mark.parametrize("state", [ODD_STATE, "x" * 128, "😀" * 40], ids=["odd", "128", "astral"])
def test_state_comes_back_exactly_as_it_was_sent(world: World, state: str) -> None:
    arrival = world.arrive("basic", state=state)
    assert arrival.party.answer_from(arrival.attempt, arrival.location)["state"] == state


def test_an_odd_nonce_comes_back_exactly_as_it_was_sent(world: World) -> None:
    assert world.arrive("basic", nonce=ODD_STATE).tokens().claims["nonce"] == ODD_STATE


def test_unknown_parameters_and_another_order_change_nothing(world: World) -> None:
    party, browser = world.party("basic"), world.browser()
    attempt = party.begin("name openid", extra="1", display="popup", claims_locales="en vi")
    backwards = dict(reversed(attempt.parameters.items()))
    page = browser.visit(f"/authorize?{urlencode(backwards)}")
    back = world.walk(browser, page, world.person())
    assert party.redeem(attempt, party.code_from(attempt, back.location))


def test_a_redirect_uri_keeps_the_query_it_was_registered_with(world: World) -> None:
    uri = "https://basic.example/two?kept=1"
    arrival = world.arrive("basic", redirect_uri=uri)
    assert arrival.location.startswith(uri + "&code=")
    assert arrival.tokens()


def test_a_native_app_may_listen_on_any_loopback_port(world: World) -> None:
    assert world.arrive("app", redirect_uri="http://127.0.0.1:49152/callback").tokens()


def test_a_native_app_may_use_its_own_scheme(world: World) -> None:
    assert world.arrive("app", redirect_uri="vn.example.app:/callback").tokens()


def test_codes_and_tokens_are_long_and_never_the_same(world: World) -> None:
    first = world.arrive(scope="openid name offline_access")
    again = world.arrive(scope="openid name offline_access", browser=first.browser)
    tokens, others = first.tokens(), again.tokens()
    values = [first.code, again.code, tokens.access, others.access, tokens.refresh, others.refresh]
    assert len(set(values)) == len(values)
    assert min(len(value) for value in values) >= 40


def test_scope_claims_go_to_userinfo_and_not_into_the_id_token(world: World) -> None:
    claims = world.arrive("clinic", "openid profile email").tokens().claims
    assert set(claims) == {
        "iss", "sub", "aud", "iat", "exp", "auth_time", "nonce", "acr", "amr", "at_hash", "sid",
    }  # fmt: skip


def _is_address(value: object) -> bool:
    return isinstance(value, dict) and bool(value.get("formatted"))


STANDARD: dict[str, dict[str, Any]] = {
    "profile": {
        **dict.fromkeys(
            (
                "name", "family_name", "given_name", "middle_name", "nickname",
                "preferred_username", "profile", "picture", "website", "gender", "birthdate",
                "zoneinfo", "locale",
            ),
            str,
        ),
        "updated_at": int,
    },
    "email": {"email": str, "email_verified": bool},
    "phone": {"phone_number": str, "phone_number_verified": bool},
    "address": {"address": dict},
}  # fmt: skip


@pytest.mark.parametrize("scope", list(STANDARD))
def test_a_standard_scope_gives_its_claims_with_their_types_and_nothing_else(
    world: World, scope: str
) -> None:
    tokens = world.arrive("clinic", f"openid {scope}").tokens()
    body = world.party("clinic").userinfo(tokens.access).body
    assert set(body) == {"sub", *STANDARD[scope]}
    for claim, kind in STANDARD[scope].items():
        assert type(body[claim]) is kind, claim


def test_all_standard_scopes_together_give_all_their_claims(world: World) -> None:
    tokens = world.arrive("clinic", "openid profile email address phone").tokens()
    body = world.party("clinic").userinfo(tokens.access).body
    assert set(body) == {"sub", *(claim for part in STANDARD.values() for claim in part)}
    assert not [claim for claim, value in body.items() if value in (None, "", {})]
    assert _is_address(body["address"])


def test_nothing_is_released_that_nobody_knows(world: World) -> None:
    tokens = world.arrive("clinic", "openid email phone", person="minh").tokens()
    body = world.party("clinic").userinfo(tokens.access).body
    assert body["email"] == "minh@example.vn"
    assert body["email_verified"] is False
    assert "phone_number" not in body


def test_cancelling_the_sign_in_tells_the_relying_party_access_denied(world: World) -> None:
    party, browser = world.party(), world.browser()
    attempt = party.begin()
    page = browser.visit(attempt.url)
    page = browser.submit(page.form("/sign-in/password"), "login-cancel")
    assert party.error_from(attempt, page.location) == "access_denied"


def test_refusing_consent_tells_the_relying_party_access_denied(world: World) -> None:
    assert world.arrive(decision="deny").error == "access_denied"


def test_an_answered_interaction_is_over(world: World) -> None:
    party, browser = world.party(), world.browser()
    attempt = party.begin()
    page = browser.visit(attempt.url)
    interaction = page.form("/sign-in/password").values["interaction"]
    world.walk(browser, page, world.person())
    again = browser.open(f"/authorize?interaction={interaction}")
    assert again.status == 400
    assert not again.location


def test_an_interaction_is_over_after_an_hour(world: World) -> None:
    browser = world.browser()
    page = browser.visit(world.party().begin().url)
    world.tick(hours=1)
    answer = world.sign_in_on(browser, page, world.person(), "password")
    assert answer.status == 400
