"""Signing keys (security case JW09)."""

import json
from datetime import timedelta

import pytest

from idp.keys import ALGORITHMS, KEPT_AFTER_RETIRING, KeyRing
from idp.services import Installation
from idp.settings import Lifetimes
from tests.support.clock import Clock
from tests.support.world import World


def rotate(installation: Installation, algorithm: str = "ES256") -> str:
    with installation.engine.begin() as db:
        return installation.services(db).signing_keys.rotate(algorithm)


def published(ring: KeyRing) -> list[dict[str, str]]:
    keys: list[dict[str, str]] = json.loads(ring.public_set())["keys"]
    return keys


def kids(installation: Installation) -> list[str]:
    return [key["kid"] for key in published(installation.keys)]


def test_jw09_every_algorithm_has_a_key_and_no_private_part_is_published(
    installation: Installation,
) -> None:
    keys = published(installation.keys)
    assert {key["alg"] for key in keys} == set(ALGORITHMS)
    assert len({key["kid"] for key in keys}) == len(keys)
    for key in keys:
        assert key["kty"] in {"EC", "RSA"}
        assert key["use"] == "sig"
        assert not {"d", "p", "q", "dp", "dq", "qi", "k", "oth"} & set(key)
        if key["kty"] == "RSA":
            assert len(key["n"]) >= 342
        else:
            assert key["crv"] == "P-256"


def test_jw09_an_old_key_stays_published_after_a_rotation(world: World) -> None:
    arrival = world.arrive("portal", "openid offline_access")
    before = arrival.tokens()
    new = rotate(world.installation)
    world.tick(seconds=6)
    assert {before.header["kid"], new} <= set(kids(world.installation))
    assert arrival.party.verified(before.id_token)
    after = arrival.party.checked(arrival.party.refresh(before.refresh))
    assert after.header["kid"] == new


def test_an_old_key_goes_after_two_days(installation: Installation, clock: Clock) -> None:
    old = set(kids(installation))
    rotate(installation)
    with installation.engine.begin() as db:
        stored = installation.services(db).signing_keys
        assert stored.purge(clock() + KEPT_AFTER_RETIRING - timedelta(seconds=1)) == 0
        assert stored.purge(clock() + KEPT_AFTER_RETIRING) == 1
    clock.advance(seconds=6)
    assert len(old - set(kids(installation))) == 1


def test_a_key_is_kept_longer_than_anything_it_signed() -> None:
    assert Lifetimes().id_token * 10 < KEPT_AFTER_RETIRING


def test_another_process_sees_a_rotation_within_seconds(
    installation: Installation, clock: Clock
) -> None:
    other = KeyRing(installation.engine, clock, installation.vault)
    assert other.public_set()
    new = rotate(installation)
    clock.advance(seconds=5)
    assert new in {key["kid"] for key in published(other)}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_our_own_tokens_are_known_again_even_when_expired(
    installation: Installation, clock: Clock, algorithm: str
) -> None:
    now = int(clock().timestamp())
    claims = {"iss": "us", "sub": "s", "aud": "a", "iat": now - 90, "exp": now - 60}
    token = installation.keys.sign(claims, algorithm)
    assert installation.keys.verify_own(token, issuer="us") == claims
    assert installation.keys.verify_own(token, issuer="them") is None


def test_f14_a_token_of_a_server_whose_clock_is_a_little_ahead_is_known_too(
    installation: Installation, clock: Clock
) -> None:
    from idp import clock as machine  # noqa: PLC0415

    ahead = int((machine.now() + timedelta(seconds=20)).timestamp())
    claims = {"iss": "us", "sub": "s", "aud": "a", "iat": ahead, "exp": ahead + 300}
    token = installation.keys.sign(claims, "ES256")
    assert installation.keys.verify_own(token, issuer="us") == claims


@pytest.mark.parametrize("missing", ["iss", "sub", "aud"])
def test_a_token_without_a_needed_claim_is_no_id_token_of_ours(
    installation: Installation, missing: str
) -> None:
    claims = {"iss": "us", "sub": "s", "aud": "a"}
    del claims[missing]
    token = installation.keys.sign(claims, "ES256")
    assert installation.keys.verify_own(token, issuer="us") is None


@pytest.mark.parametrize("text", ["", "a.b.c", "é.é.é", "." * 5, "[" * 1000])
def test_what_is_no_token_is_not_ours(installation: Installation, text: str) -> None:
    assert installation.keys.verify_own(text, issuer="us") is None


def test_the_private_parts_are_sealed(installation: Installation) -> None:
    from sqlalchemy import select  # noqa: PLC0415

    from idp.keys import signing_key  # noqa: PLC0415

    with installation.engine.connect() as db:
        for row in db.execute(select(signing_key)).all():
            assert b"PRIVATE" not in row.sealed
            assert not row.sealed.startswith(b"\x30")
        db.rollback()
