"""What an authorization request may ask, and how each wish is honoured (OIDC Core §3.1.2.1, §5.5)."""

import json
from typing import Any

import pytest

from accounts.levels import ACR_VALUES
from tests.support.world import Arrival, World


@pytest.fixture
def kind() -> str:
    """What is judged here is judged before any database is asked, so one kind will do."""
    return "sqlite"


LEVEL_1, LEVEL_2, PHISHING_RESISTANT, _HARDWARE = ACR_VALUES


def claims(**parts: dict[str, Any]) -> str:
    return json.dumps(parts)


def acr_claim(*values: str, essential: bool) -> str:
    return claims(id_token={"acr": {"values": values, "essential": essential}})


def again(world: World, first: Arrival, scope: str = "openid name", **changes: str) -> Arrival:
    """Return what happens when the relying party asks once more, without showing any page."""
    attempt = first.party.begin(scope, **changes)
    page = first.browser.visit(attempt.url)
    return Arrival(first.party, first.browser, attempt, page.location)


class TestClaims:
    def test_an_essential_claim_needs_no_scope(self, world: World) -> None:
        asked = claims(userinfo={"name": {"essential": True}})
        tokens = world.arrive("basic", "openid", claims=asked).tokens()
        assert set(world.party("basic").userinfo(tokens.access).body) == {"sub", "name"}

    def test_a_claim_can_be_put_into_the_id_token(self, world: World) -> None:
        asked = claims(id_token={"birthdate": {"essential": True}})
        tokens = world.arrive("basic", "openid", claims=asked).tokens()
        assert tokens.claims["birthdate"] == world.person().birthdate
        assert "birthdate" not in world.party("basic").userinfo(tokens.access).body

    def test_a_voluntary_claim_is_offered_unticked(self, world: World) -> None:
        asked = claims(userinfo={"birthdate": None, "name": {"essential": True}})
        party, browser = world.party("basic"), world.browser()
        page = browser.visit(party.begin("openid", claims=asked).url)
        page = browser.follow(world.sign_in_on(browser, page, world.person(), "password"))
        form = page.form("/consent")
        assert form.choices == {"optional": ["birthdate"]}
        assert "optional" not in form.values

    def test_a_voluntary_claim_is_withheld_unless_ticked(self, world: World) -> None:
        asked = claims(userinfo={"birthdate": None})
        tokens = world.arrive("basic", "openid", claims=asked).tokens()
        assert set(world.party("basic").userinfo(tokens.access).body) == {"sub"}

    def test_a_voluntary_claim_is_released_when_ticked(self, world: World) -> None:
        asked = claims(userinfo={"birthdate": None, "gender": None})
        tokens = world.arrive("basic", "openid", claims=asked, tick=("gender",)).tokens()
        assert set(world.party("basic").userinfo(tokens.access).body) == {"sub", "gender"}

    def test_a_declined_claim_is_not_asked_for_again(self, world: World) -> None:
        asked = claims(userinfo={"birthdate": None})
        first = world.arrive("basic", "openid", claims=asked)
        second = again(world, first, "openid", claims=asked, prompt="none")
        tokens = second.tokens()
        assert set(world.party("basic").userinfo(tokens.access).body) == {"sub"}

    def test_claims_outside_the_registered_scopes_are_never_offered(self, world: World) -> None:
        asked = claims(userinfo={"vn_pid": {"essential": True}, "no_such_claim": None})
        tokens = world.arrive("clinic", "openid", how="passkey", claims=asked).tokens()
        assert set(world.party("clinic").userinfo(tokens.access).body) == {"sub"}

    @pytest.mark.parametrize(
        "bad", ["{", "[]", '"x"', '{"userinfo": 1}', '{"userinfo": {"name": 1}}', "[" * 4000,
                '{"userinfo": {"name": null, "name": null}}'],
    )  # fmt: skip
    def test_claims_that_cannot_be_read_are_refused(self, world: World, bad: str) -> None:
        attempt = world.party("basic").begin(claims=bad)
        page = world.browser().open(attempt.url)
        assert world.party("basic").error_from(attempt, page.location) == "invalid_request"

    def test_a_sub_value_asks_for_that_person_and_no_other(self, world: World) -> None:
        first = world.arrive("basic")
        sub = first.tokens().claims["sub"]
        same = claims(id_token={"sub": {"value": sub}})
        other = claims(id_token={"sub": {"value": "somebody-else"}})
        assert again(world, first, claims=same, prompt="none").code
        assert again(world, first, claims=other, prompt="none").error == "login_required"


class TestPrompt:
    def test_none_without_a_session_is_login_required(self, world: World) -> None:
        attempt = world.party().begin(prompt="none")
        page = world.browser().open(attempt.url)
        assert world.party().error_from(attempt, page.location) == "login_required"

    def test_none_without_consent_is_consent_required(self, world: World) -> None:
        first = world.arrive("basic", "openid name")
        assert again(world, first, "openid birth", prompt="none").error == "consent_required"

    def test_none_with_session_and_consent_answers_at_once(self, world: World) -> None:
        first = world.arrive("basic")
        tokens = first.tokens()
        silent = again(world, first, prompt="none").tokens()
        for claim in ("sub", "auth_time", "sid", "acr"):
            assert silent.claims[claim] == tokens.claims[claim]

    @pytest.mark.parametrize("prompt", ["login", "select_account"])
    def test_login_authenticates_once_more(self, world: World, prompt: str) -> None:
        first = world.arrive("basic")
        before = first.tokens().claims["auth_time"]
        world.tick(minutes=1)
        attempt = first.party.begin(prompt=prompt, scope="openid name")
        page = first.browser.visit(attempt.url)
        assert page.has_form("/sign-in/password")
        back = world.walk(first.browser, page, world.person())
        tokens = first.party.redeem(attempt, first.party.code_from(attempt, back.location))
        assert tokens.claims["auth_time"] == before + 60

    def test_consent_asks_again_though_it_was_given(self, world: World) -> None:
        first = world.arrive("basic")
        page = first.browser.visit(first.party.begin("openid name", prompt="consent").url)
        assert page.has_form("/consent")

    def test_login_and_consent_together_ask_for_both(self, world: World) -> None:
        first = world.arrive("basic")
        world.tick()
        attempt = first.party.begin("openid name", prompt="login consent")
        page = first.browser.visit(attempt.url)
        assert page.has_form("/sign-in/password")
        page = world.sign_in_on(first.browser, page, world.person(), "password")
        page = first.browser.follow(page)
        assert page.has_form("/consent")


class TestMaxAge:
    @pytest.mark.parametrize("max_age", ["0", "1"])
    def test_an_old_sign_in_is_repeated(self, world: World, max_age: str) -> None:
        first = world.arrive("basic")
        world.tick(seconds=2)
        page = first.browser.visit(first.party.begin(max_age=max_age).url)
        assert page.has_form("/sign-in/password")

    def test_a_sign_in_that_is_young_enough_serves(self, world: World) -> None:
        first = world.arrive("basic")
        before = first.tokens().claims["auth_time"]
        world.tick(minutes=10)
        silent = again(world, first, max_age="15000")
        assert silent.tokens().claims["auth_time"] == before

    def test_none_and_a_sign_in_that_is_too_old_is_login_required(self, world: World) -> None:
        first = world.arrive("basic")
        world.tick(seconds=2)
        assert again(world, first, max_age="1", prompt="none").error == "login_required"


class TestAcr:
    @pytest.mark.parametrize("value", ACR_VALUES)
    def test_a_voluntary_value_never_leads_to_an_error(self, world: World, value: str) -> None:
        # She has no passkey, so level 2 is out of reach.
        tokens = world.arrive("basic", person="hoa", acr_values=value).tokens()
        assert tokens.claims["acr"] == LEVEL_1

    # What a hardware key reaches is in tests/idp/test_hardware_keys.py.
    @pytest.mark.parametrize("value", [LEVEL_1, LEVEL_2, PHISHING_RESISTANT])
    def test_an_advertised_value_is_returned_where_it_is_reached(
        self, world: World, value: str
    ) -> None:
        tokens = world.arrive("basic", how="passkey", acr_values=value).tokens()
        assert tokens.claims["acr"] == (value if value != LEVEL_1 else LEVEL_2)

    def test_an_unknown_value_is_a_wish_and_no_error(self, world: World) -> None:
        assert world.arrive("basic", acr_values="urn:unknown:9").tokens()

    def test_an_essential_value_out_of_reach_is_unmet(self, world: World) -> None:
        arrival = world.arrive("basic", person="hoa", claims=acr_claim(LEVEL_2, essential=True))
        assert arrival.error == "unmet_authentication_requirements"

    def test_an_essential_value_nobody_knows_is_unmet(self, world: World) -> None:
        arrival = world.arrive("basic", claims=acr_claim("urn:unknown:9", essential=True))
        assert arrival.error == "unmet_authentication_requirements"

    def test_a_low_session_is_stepped_up_and_the_token_says_what_happened(
        self, world: World
    ) -> None:
        first = world.arrive("basic")
        assert first.tokens().claims["acr"] == LEVEL_1
        assert first.tokens().claims["amr"] == ["pwd"]
        world.tick()
        attempt = first.party.begin("openid name", acr_values=LEVEL_2)
        page = first.browser.visit(attempt.url)
        assert "stronger" in page.text
        back = world.walk(first.browser, page, world.person(), how="passkey")
        tokens = first.party.redeem(attempt, first.party.code_from(attempt, back.location))
        assert tokens.claims["acr"] == LEVEL_2
        assert "pop" in tokens.claims["amr"]
        assert tokens.claims["sid"] == first.tokens().claims["sid"]

    def test_a_step_up_is_asked_once_and_a_wish_ends_there(self, world: World) -> None:
        first = world.arrive("basic")
        world.tick()
        attempt = first.party.begin("openid name", acr_values=LEVEL_2)
        page = first.browser.visit(attempt.url)
        back = world.walk(first.browser, page, world.person(), how="password")
        tokens = first.party.redeem(attempt, first.party.code_from(attempt, back.location))
        assert tokens.claims["acr"] == LEVEL_1

    def test_a_higher_session_serves_a_lower_wish(self, world: World) -> None:
        first = world.arrive("basic", how="passkey")
        assert again(world, first, acr_values=LEVEL_1).tokens().claims["acr"] == LEVEL_2


class TestHints:
    def test_a_login_hint_fills_the_field(self, world: World) -> None:
        page = world.browser().visit(world.party().begin(login_hint="lan@example.vn").url)
        assert page.form("/sign-in/password").values["login"] == "lan@example.vn"

    def test_an_expired_id_token_hint_is_taken(self, world: World) -> None:
        first = world.arrive("basic")
        hint = first.tokens().id_token
        world.tick(minutes=10)
        assert again(world, first, id_token_hint=hint, prompt="none").code

    def test_another_persons_hint_is_login_required(self, world: World) -> None:
        hint = world.arrive("basic", person="minh").tokens().id_token
        first = world.arrive("basic")
        assert again(world, first, id_token_hint=hint, prompt="none").error == "login_required"

    def test_another_persons_hint_asks_for_that_person(self, world: World) -> None:
        hint = world.arrive("basic", person="minh").tokens().id_token
        first = world.arrive("basic")
        world.tick()
        attempt = first.party.begin("openid name", id_token_hint=hint)
        page = first.browser.visit(attempt.url)
        assert page.has_form("/sign-in/password")
        back = world.walk(first.browser, page, world.person("lan"))
        assert first.party.error_from(attempt, back.location) == "login_required"

    def test_a_hint_for_another_relying_party_is_refused(self, world: World) -> None:
        hint = world.arrive("clinic", "openid").tokens().id_token
        first = world.arrive("basic")
        assert again(world, first, id_token_hint=hint, prompt="none").error == "invalid_request"

    @pytest.mark.parametrize(
        ("ui_locales", "expected"),
        [("vi", "vi"), ("en", "en"), ("fr en-AU vi", "en"), ("fr", None), ("..", None)],
    )
    def test_ui_locales_choose_the_language(
        self, world: World, ui_locales: str, expected: str | None
    ) -> None:
        browser = world.browser()
        browser.language = "en"
        page = browser.visit(world.party().begin(ui_locales=ui_locales).url)
        assert f'<html lang="{expected or "en"}"' in page.html


class TestSingleSignOn:
    def test_a_second_relying_party_asks_for_consent_only(self, world: World) -> None:
        first = world.arrive("basic")
        page = first.browser.visit(world.party("clinic").begin("openid email").url)
        assert page.has_form("/consent")

    def test_both_relying_parties_see_the_same_authentication(self, world: World) -> None:
        first = world.arrive("basic")
        one = first.tokens().claims
        world.tick(minutes=1)
        other = world.arrive("clinic", "openid email", browser=first.browser).tokens().claims
        assert one["auth_time"] == other["auth_time"]
        assert one["sid"] != other["sid"]
        assert one["sub"] != other["sub"]


class TestRefusals:
    @pytest.mark.parametrize(
        ("changes", "error"),
        [
            ({"request": "x.y.z"}, "request_not_supported"),
            ({"request_uri": "https://basic.example/request"}, "request_uri_not_supported"),
            ({"registration": "{}"}, "registration_not_supported"),
            ({"response_type": None}, "invalid_request"),
            ({"scope": None}, "invalid_scope"),
        ],
    )
    def test_what_is_not_offered_is_refused_by_name(
        self, world: World, changes: dict[str, str | None], error: str
    ) -> None:
        attempt = world.party("basic").begin(**{"scope": "openid", **changes})  # type: ignore[arg-type]
        page = world.browser().open(attempt.url)
        assert world.party("basic").error_from(attempt, page.location) == error
