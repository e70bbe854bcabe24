"""The one gate: what leaves is what the entry says, and nothing leaves without an entry."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import text

from consent.data_use import PROVIDER, Channel, Outcome, UseEntry
from tests.support.world import World

OUTSIDE = {"iss", "aud", "iat", "exp", "auth_time", "acr", "amr", "sid", "at_hash", "nonce"}
"""What an ID token says of the sign-in and not of the person."""


def entries(world: World, login: str = "lan") -> list[UseEntry]:
    with world.transaction() as services:
        found = services.use_log.of_subject(world.subject_in(services, login))
        assert services.use_log.is_intact(world.subject_in(services, login))
    return [entry for entry in found if entry.use.client_id != PROVIDER]


@contextmanager
def broken_log(world: World) -> Iterator[None]:
    """Let every write to the log fail."""
    engine = world.installation.engine

    def run(*statements: str) -> None:
        with engine.begin() as db:
            for statement in statements:
                db.execute(text(statement))

    if engine.dialect.name == "sqlite":
        run(
            "CREATE TRIGGER refuse BEFORE INSERT ON data_use "
            "BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        )
    else:
        run(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'disk full'; END $$",
            "CREATE TRIGGER refuse BEFORE INSERT ON data_use "
            "FOR EACH ROW EXECUTE FUNCTION refuse()",
        )
    try:
        yield
    finally:
        if engine.dialect.name == "sqlite":
            run("DROP TRIGGER refuse")
        else:
            run("DROP TRIGGER refuse ON data_use", "DROP FUNCTION refuse()")


def test_the_entry_of_an_id_token_names_what_is_in_it(world: World) -> None:
    asked = json.dumps({"id_token": {"birthdate": {"essential": True}, "gender": None}})
    claims = world.arrive("basic", "openid", claims=asked, tick=("gender",)).tokens().claims
    (entry,) = entries(world)
    assert entry.use.channel is Channel.ID_TOKEN
    assert set(entry.use.attributes) == set(claims) - OUTSIDE == {"sub", "birthdate", "gender"}


@pytest.mark.parametrize(
    "scope", ["openid", "openid name", "openid profile email phone address", "openid pid contact"]
)
def test_the_entry_of_userinfo_names_what_is_in_it(world: World, scope: str) -> None:
    tokens = world.arrive("basic", scope, how="passkey").tokens()
    told = world.party("basic").userinfo(tokens.access).body
    newest = entries(world)[0]
    assert newest.use.channel is Channel.USERINFO
    assert set(newest.use.attributes) == set(told)


def test_the_entry_of_an_introspection_names_what_is_in_it(world: World) -> None:
    tokens = world.arrive("basic", "openid name").tokens()
    told = world.party("basic").introspect(tokens.access).body
    newest = entries(world)[0]
    assert newest.use.channel is Channel.INTROSPECTION
    personal = {"sub", "name", "birthdate", "represents"}
    assert set(newest.use.attributes) == personal & set(told)


def test_an_entry_tells_by_what_right_and_upon_which_consent(world: World) -> None:
    tokens = world.arrive("bank", "openid name").tokens()
    world.party("bank").userinfo(tokens.access)
    with world.transaction() as services:
        (consent,) = services.consents.of_subject(world.subject_in(services, "lan"))
    for entry in entries(world):
        assert entry.use.client_id == "bank"
        assert (entry.use.purpose, entry.use.legal_basis) == ("banking", "consent")
        assert entry.use.consent_id == consent.id
        assert entry.use.grant_id


def test_every_release_is_one_entry(world: World) -> None:
    arrival = world.arrive("basic", "openid name offline_access")
    tokens = arrival.tokens()
    for _ in range(3):
        arrival.party.userinfo(tokens.access)
    arrival.party.refresh(tokens.refresh)
    channels = [entry.use.channel for entry in reversed(entries(world))]
    assert channels == [Channel.ID_TOKEN, *[Channel.USERINFO] * 3, Channel.ID_TOKEN]


def test_what_is_refused_leaves_no_entry_of_a_release(world: World) -> None:
    arrival = world.arrive("basic", "openid name")
    tokens = arrival.tokens()
    before = len(entries(world))
    arrival.party.userinfo("sen_at_x")
    arrival.party.try_redeem(arrival.attempt, "x")
    assert len(entries(world)) == before
    # Where it is known whose it is, it is told as what it was.
    world.party("clinic").introspect(tokens.access)
    assert [one.use.outcome for one in entries(world)[:-before]] == [Outcome.REFUSED]


@pytest.mark.parametrize("channel", ["userinfo", "introspection", "id_token", "refresh"])
def test_without_an_entry_nothing_is_released(world: World, channel: str) -> None:
    arrival = world.arrive("basic", "openid name offline_access")
    code = arrival.code
    tokens = arrival.tokens() if channel != "id_token" else None
    header = arrival.party.authentication()[0]
    before = len(entries(world))
    client = world.client()
    with broken_log(world):
        match channel:
            case "userinfo":
                assert tokens is not None
                bearer = {"Authorization": f"Bearer {tokens.access}"}
                answer = client.get("/userinfo", headers=bearer)
            case "introspection":
                assert tokens is not None
                answer = client.post("/introspect", data={"token": tokens.access}, headers=header)
            case "id_token":
                form = {
                    "grant_type": "authorization_code",
                    "code": code,
                    "redirect_uri": arrival.party.redirect_uri,
                    "code_verifier": arrival.attempt.verifier,
                }
                answer = client.post("/token", data=form, headers=header)
            case _:
                assert tokens is not None
                form = {"grant_type": "refresh_token", "refresh_token": tokens.refresh}
                answer = client.post("/token", data=form, headers=header)
    assert answer.status_code >= 500
    assert answer.json() == {"error": "server_error"}
    assert len(entries(world)) == before
    # Nothing was spent by the failure: the same again succeeds.
    if channel == "id_token":
        assert arrival.tokens()
    elif channel == "refresh":
        assert tokens is not None
        assert arrival.party.refresh(tokens.refresh).status == 200


def test_a_failure_does_not_keep_the_next_request_waiting(world: World) -> None:
    arrival = world.arrive("basic", "openid name")
    tokens = arrival.tokens()
    with broken_log(world):
        for _ in range(3):
            bearer = {"Authorization": f"Bearer {tokens.access}"}
            assert world.client().get("/userinfo", headers=bearer).status_code >= 500
    assert arrival.party.is_alive(tokens.access)
    assert arrival.browser.open("/me").status == 200


def test_jw08_an_id_token_is_short_lived_and_says_what_it_must(world: World) -> None:
    tokens = world.arrive("basic", "openid").tokens()
    claims = tokens.claims
    assert claims["exp"] - claims["iat"] <= 600
    assert tokens.header["alg"] in {"ES256", "RS256", "PS256"}
    assert len(claims["sub"]) <= 255
    assert claims["sub"].isascii()
    assert isinstance(claims["auth_time"], int)
    payload = tokens.id_token.split(".")[1]
    raw: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=="))
    assert raw == claims
