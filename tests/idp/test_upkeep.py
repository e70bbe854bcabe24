"""Upkeep: what expired goes, and what is needed stays."""

import time
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from idp import upkeep
from idp.oidc.client_auth import spent_assertion
from idp.oidc.grants import oauth_grant
from idp.upkeep import purge
from tests.support.world import World


def count(world: World, table: object) -> int:
    with world.transaction() as services:
        return int(
            services.db.execute(select(func.count()).select_from(table)).scalar_one()  # type: ignore[arg-type]
        )


def test_what_is_alive_is_kept(world: World) -> None:
    arrival = world.arrive("basic", "openid name offline_access")
    tokens = arrival.tokens()
    purge(world.installation)
    assert arrival.party.is_alive(tokens.access)
    assert arrival.browser.open("/me").status == 200


def test_a_used_code_is_remembered_for_longer_than_it_lives(world: World) -> None:
    arrival = world.arrive("basic", "openid name")
    arrival.tokens()
    world.tick(seconds=59)
    purge(world.installation)
    assert count(world, oauth_grant) == 1
    assert arrival.party.try_redeem(arrival.attempt, arrival.code).body["error"] == "invalid_grant"


def test_everything_that_expired_goes(world: World) -> None:
    world.arrive("basic", "openid name").tokens()
    world.party("bank").introspect("sen_at_x")
    world.browser().call("/sign-in/passkey/options")
    world.browser().visit(world.party().begin().url)
    form = world.browser().open("/activate")
    world.browser().post("/activate", form.form("/activate").values | {"login": "x", "code": "y"})
    assert count(world, spent_assertion) == 1
    world.tick(days=400)
    gone = purge(world.installation)
    for kind in ("interactions", "ceremonies", "activation codes", "browser sessions", "grants",
                 "assertions"):  # fmt: skip
        assert gone[kind] >= 1, kind
    assert set(purge(world.installation).values()) == {0}


def test_a_round_that_fails_is_not_the_last(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds: list[None] = []

    def fail(_installation: object) -> None:
        rounds.append(None)
        raise RuntimeError

    monkeypatch.setattr(upkeep, "INTERVAL", timedelta(milliseconds=5))
    monkeypatch.setattr(upkeep, "purge", fail)
    end = upkeep.run_by_itself(world.installation)
    try:
        deadline = time.monotonic() + 20
        while len(rounds) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.005)
    finally:
        end()
