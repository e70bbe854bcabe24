"""Userinfo, introspection and revocation (OIDC Core §5.3, RFC 7662, RFC 7009)."""

import pytest

from tests.support.relying_party import Tokens
from tests.support.world import Arrival, World

OFFLINE = "openid name offline_access"


@pytest.fixture
def arrival(world: World) -> Arrival:
    return world.arrive("basic", OFFLINE)


@pytest.fixture
def tokens(arrival: Arrival) -> Tokens:
    return arrival.tokens()


class TestUserinfo:
    @pytest.mark.parametrize("way", ["get", "post-header", "post-body"])
    def test_the_token_may_come_in_three_ways(
        self, arrival: Arrival, tokens: Tokens, way: str
    ) -> None:
        bearer = {"Authorization": f"Bearer {tokens.access}"}
        match way:
            case "get":
                answer = arrival.party.userinfo(tokens.access)
            case "post-header":
                answer = arrival.party.call("/userinfo", {}, bearer)
            case _:
                answer = arrival.party.call("/userinfo", {"access_token": tokens.access}, {})
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.body["sub"] == tokens.claims["sub"]

    def test_two_tokens_at_once_are_refused(self, arrival: Arrival, tokens: Tokens) -> None:
        answer = arrival.party.call(
            "/userinfo",
            {"access_token": tokens.access},
            {"Authorization": f"Bearer {tokens.access}"},
        )
        assert (answer.status, answer.body["error"]) == (400, "invalid_request")

    def test_a_request_without_a_token_learns_no_error(self, world: World) -> None:
        answer = world.party().call("/userinfo", {}, {})
        assert answer.status == 401
        assert answer.body == {}
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="sen-id"'

    def test_an_access_token_dies_after_ten_minutes(
        self, world: World, arrival: Arrival, tokens: Tokens
    ) -> None:
        world.tick(minutes=10)
        answer = arrival.party.userinfo(tokens.access)
        assert (answer.status, answer.body["error"]) == (401, "invalid_token")
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]

    @pytest.mark.parametrize("case", ["RF08-refresh", "RF08-id-token", "RF08-query", "JW01-none"])
    def test_nothing_else_passes_for_an_access_token(
        self, arrival: Arrival, tokens: Tokens, case: str
    ) -> None:
        assert arrival.party.is_alive(tokens.access)
        match case:
            case "RF08-refresh":
                answer = arrival.party.userinfo(tokens.refresh)
            case "RF08-id-token":
                answer = arrival.party.userinfo(tokens.id_token)
            case "RF08-query":
                answer = arrival.party._sent("GET", f"/userinfo?access_token={tokens.access}")
            case _:
                answer = arrival.party.userinfo("eyJhbGciOiJub25lIn0.e30.")
        assert answer.status == 401
        assert "sub" not in answer.body

    def test_jw01_no_sign_of_a_token_can_be_changed(self, arrival: Arrival, tokens: Tokens) -> None:
        token = tokens.access
        for changed in (
            token[:-1] + ("A" if token[-1] != "A" else "B"),
            token[:20] + ("A" if token[20] != "A" else "B") + token[21:],
            token + "=",
            token + "A",
            token[:-1],
            token.replace("sen_at_", "sen_rt_"),
            token.upper(),
            token.removeprefix("sen_at_"),
            "",
        ):
            assert not arrival.party.is_alive(changed), changed


class TestIntrospection:
    def test_the_holder_learns_a_tokens_standing(
        self, world: World, arrival: Arrival, tokens: Tokens
    ) -> None:
        body = arrival.party.introspect(tokens.access).body
        assert body == {
            "active": True,
            "client_id": "basic",
            "token_type": "Bearer",
            "scope": OFFLINE,
            "exp": int(world.clock().timestamp()) + 600,  # type: ignore[misc]
            "iss": world.issuer,
            "aud": "basic",
            "sub": tokens.claims["sub"],
            "acr": tokens.claims["acr"],
            "auth_time": tokens.claims["auth_time"],
        }

    def test_a_refresh_token_has_a_standing_too(self, arrival: Arrival, tokens: Tokens) -> None:
        body = arrival.party.introspect(tokens.refresh, token_type_hint="access_token").body
        assert (body["active"], body["token_type"]) == (True, "refresh_token")

    def test_rf10_nobody_is_told_without_authentication(
        self, arrival: Arrival, tokens: Tokens
    ) -> None:
        answer = arrival.party.call("/introspect", {"token": tokens.access}, {})
        assert (answer.status, answer.body["error"]) == (401, "invalid_client")

    def test_rf10_a_public_relying_party_is_told_nothing(self, world: World) -> None:
        tokens = world.arrive("app").tokens()
        assert world.party("app").introspect(tokens.access).status == 401

    @pytest.mark.parametrize("case", ["other", "expired", "revoked", "junk", "rotated"])
    def test_rf10_all_else_is_just_not_active(
        self, world: World, arrival: Arrival, tokens: Tokens, case: str
    ) -> None:
        asker, token = arrival.party, tokens.access
        match case:
            case "other":
                asker = world.party("clinic")
            case "expired":
                world.tick(minutes=10)
            case "revoked":
                asker.revoke(token)
            case "junk":
                token = "sen_at_" + "A" * 60
            case "rotated":
                token = tokens.refresh
                asker.refresh(token)
        answer = asker.introspect(token)
        assert (answer.status, answer.body) == (200, {"active": False})


class TestRevocation:
    @pytest.mark.parametrize("which", ["access", "refresh"])
    @pytest.mark.parametrize("hint", ["", "access_token", "refresh_token"])
    def test_a_revoked_token_ends_the_grant_whatever_the_hint(
        self, arrival: Arrival, tokens: Tokens, which: str, hint: str
    ) -> None:
        changes = {"token_type_hint": hint} if hint else {}
        answer = arrival.party.revoke(getattr(tokens, which), **changes)
        assert answer.status == 200
        assert not arrival.party.is_alive(tokens.access)
        assert arrival.party.refresh(tokens.refresh).body["error"] == "invalid_grant"

    def test_another_relying_party_revokes_nothing_and_learns_nothing(
        self, world: World, arrival: Arrival, tokens: Tokens
    ) -> None:
        assert world.party("clinic").revoke(tokens.access).status == 200
        assert arrival.party.is_alive(tokens.access)

    def test_a_token_that_never_was_is_revoked_without_complaint(self, world: World) -> None:
        assert world.party("basic").revoke("sen_at_nothing").status == 200

    def test_an_unknown_type_of_token_is_named(self, arrival: Arrival, tokens: Tokens) -> None:
        answer = arrival.party.revoke(tokens.access, token_type_hint="saml")
        assert answer.body["error"] == "unsupported_token_type"

    def test_a_public_relying_party_may_revoke_its_own(self, world: World) -> None:
        tokens = world.arrive("app").tokens()
        assert world.party("app").revoke(tokens.access).status == 200
        assert not world.party("app").is_alive(tokens.access)
