"""Refresh tokens: rotated at every use, dead with everything they stand on."""

from datetime import timedelta

import pytest

from accounts.account import LockReason
from tests.support.relying_party import Tokens
from tests.support.world import Arrival, World

OFFLINE = "openid name birth offline_access"


@pytest.fixture
def arrival(world: World) -> Arrival:
    return world.arrive("basic", OFFLINE)


@pytest.fixture
def tokens(arrival: Arrival) -> Tokens:
    return arrival.tokens()


def test_only_offline_access_gives_a_refresh_token(world: World) -> None:
    assert "refresh_token" not in world.arrive("basic", "openid name").tokens().raw


def test_a_relying_party_without_the_grant_type_gets_none(world: World) -> None:
    assert "refresh_token" not in world.arrive("customs", "openid offline_access").tokens().raw


def test_a_refresh_gives_new_tokens_about_the_same_sign_in(
    world: World, arrival: Arrival, tokens: Tokens
) -> None:
    world.tick(minutes=5)
    answer = arrival.party.refresh(tokens.refresh)
    fresh = arrival.party.checked(answer)
    for claim in ("iss", "sub", "aud", "auth_time", "sid", "acr", "amr"):
        assert fresh.claims[claim] == tokens.claims[claim]
    assert fresh.claims["iat"] == tokens.claims["iat"] + 300
    assert fresh.refresh != tokens.refresh
    assert arrival.party.is_alive(fresh.access)


def test_a_rotated_token_used_again_kills_the_whole_family(
    arrival: Arrival, tokens: Tokens
) -> None:
    fresh = arrival.party.checked(arrival.party.refresh(tokens.refresh))
    assert arrival.party.refresh(tokens.refresh).body["error"] == "invalid_grant"
    assert arrival.party.refresh(fresh.refresh).body["error"] == "invalid_grant"
    assert not arrival.party.is_alive(fresh.access)
    assert not arrival.party.is_alive(tokens.access)


def test_a_narrower_scope_narrows_this_access_token(arrival: Arrival, tokens: Tokens) -> None:
    answer = arrival.party.refresh(tokens.refresh, scope="openid birth")
    fresh = arrival.party.checked(answer)
    assert fresh.raw["scope"] == "openid birth"
    assert set(arrival.party.userinfo(fresh.access).body) == {"sub", "birthdate", "gender"}


def test_a_refresh_without_openid_gives_no_id_token(arrival: Arrival, tokens: Tokens) -> None:
    body = arrival.party.refresh(tokens.refresh, scope="name").body
    assert "id_token" not in body
    assert arrival.party.userinfo(body["access_token"]).status == 403


def test_a_refresh_token_nobody_used_for_30_days_is_dead(
    world: World, arrival: Arrival, tokens: Tokens
) -> None:
    world.tick(days=30)
    assert arrival.party.refresh(tokens.refresh).body["error"] == "invalid_grant"


@pytest.mark.parametrize("case", ["RF07"])
def test_a_refresh_token_dies_after_a_year_though_used_all_the_time(
    world: World, arrival: Arrival, tokens: Tokens, case: str
) -> None:
    refresh, life = tokens.refresh, timedelta(0)
    while life < timedelta(days=364):
        world.tick(days=28)
        life += timedelta(days=28)
        answer = arrival.party.refresh(refresh)
        assert answer.status == 200, answer.text
        refresh = answer.body["refresh_token"]
    world.tick(days=1)
    assert arrival.party.refresh(refresh).body["error"] == "invalid_grant"


def test_offline_access_outlives_the_browser_session(
    world: World, arrival: Arrival, tokens: Tokens
) -> None:
    world.tick(days=1)
    assert arrival.party.refresh(tokens.refresh).status == 200


@pytest.mark.parametrize("case", ["withdrawn", "locked", "disabled", "revoked"])
def test_rf05_a_refresh_fails_once_its_ground_is_gone(
    world: World, arrival: Arrival, tokens: Tokens, case: str
) -> None:
    with world.transaction() as services:
        match case:
            case "withdrawn":
                subject = world.subject_in(services, "lan")
                consent = services.consents.of_subject(subject)[0]
                assert services.consents.withdraw(consent.id, subject)
                services.grants.revoke_of_consent(consent.id)
            case "locked":
                account = services.accounts.find_of_subject(world.subject_in(services, "lan"))
                assert account is not None
                services.accounts.lock(account.id, LockReason.RISK)
                services.grants.revoke_of_account(account.id)
            case "disabled":
                services.registrations.disable("basic")
                services.grants.revoke_of_relying_party("basic")
    if case == "revoked":
        arrival.party.revoke(tokens.refresh)
    world.tick(seconds=3)
    expected = "invalid_client" if case == "disabled" else "invalid_grant"
    assert arrival.party.refresh(tokens.refresh).body["error"] == expected
