"""Keys that a relying party publishes at its own address: fetched rarely, whoever asks however often."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from joserfc.jwk import Key

from connectors.errors import OutboundRefusedError
from connectors.outbound import Outbound
from idp.app import create_app
from idp.door import Door
from idp.oidc.key_sets import KeySets
from idp.services import Installation
from tests.support import cast as people
from tests.support.browser import connect
from tests.support.canary import Canary, canary
from tests.support.clock import Clock
from tests.support.relying_party import RelyingPartyClient, new_key
from tests.support.stores import settings_for


def publish(server: Canary, *keys: Key) -> None:
    server.body = json.dumps({"keys": [key.as_dict(private=False) for key in keys]}).encode()


@pytest.fixture(scope="module")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Canary]:
    with canary(tmp_path_factory.mktemp("canary")) as server:
        yield server


@pytest.fixture
def server(_server: Canary) -> Canary:
    _server.status = 200
    _server.drip_seconds = 0.0
    _server.hits.clear()
    _server.released.clear()
    publish(_server, new_key())
    return _server


@pytest.fixture
def dial() -> Clock:
    return Clock()


@pytest.fixture
def key_sets(server: Canary, dial: Clock) -> KeySets:
    return KeySets(Outbound(frozenset({server.authority}), server.certificate), dial)


def test_a_key_set_is_fetched_once_in_five_minutes(
    key_sets: KeySets, server: Canary, dial: Clock
) -> None:
    for _ in range(20):
        assert len(key_sets.at(server.url(), None)) == 1
        dial.advance(seconds=14)
    assert len(server.hits) == 1
    dial.advance(seconds=20)
    key_sets.at(server.url(), None)
    assert len(server.hits) == 2


def test_an_unknown_key_is_looked_for_at_most_once_a_minute(
    key_sets: KeySets, server: Canary, dial: Clock
) -> None:
    key_sets.at(server.url(), None)
    for number in range(50):
        key_sets.at(server.url(), f"made-up-{number}")
    assert len(server.hits) == 1
    dial.advance(seconds=60)
    changed = new_key()
    publish(server, changed)
    assert [key["kid"] for key in key_sets.at(server.url(), changed.kid)] == [changed.kid]
    assert len(server.hits) == 2


@pytest.mark.parametrize("fault", ["status", "no-json", "no-set", "no-keys"])
def test_a_fault_is_met_at_most_once_a_minute(
    key_sets: KeySets, server: Canary, dial: Clock, fault: str
) -> None:
    good = server.body
    server.status = 500 if fault == "status" else 200
    bodies = {"no-json": b"<html>", "no-set": b"[]", "no-keys": b'{"keys":["a"]}'}
    server.body = bodies.get(fault, good)
    for _ in range(10):
        with pytest.raises((OutboundRefusedError, ValueError)):
            key_sets.at(server.url(), None)
    assert len(server.hits) == 1
    server.status, server.body = 200, good
    dial.advance(minutes=1)
    assert key_sets.at(server.url(), None)


def test_the_last_keys_serve_for_an_hour_while_their_address_is_down(
    key_sets: KeySets, server: Canary, dial: Clock
) -> None:
    key_sets.at(server.url(), None)
    server.status = 503
    for _ in range(59):
        dial.advance(minutes=1)
        assert key_sets.at(server.url(), None)
    dial.advance(minutes=1)
    with pytest.raises(OutboundRefusedError):
        key_sets.at(server.url(), None)
    server.status = 200
    dial.advance(minutes=1)
    assert key_sets.at(server.url(), None)


def test_many_at_once_cause_one_fetch_and_all_get_its_keys(
    key_sets: KeySets, server: Canary
) -> None:
    got: list[int] = []
    threads = [
        threading.Thread(target=lambda: got.append(len(key_sets.at(server.url(), "x"))))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [1] * 8
    assert len(server.hits) == 1


def test_an_agency_changes_its_keys_without_telling_us(
    server: Canary, database_url: str, clock: Clock, tmp_path: Path
) -> None:
    settings = replace(
        settings_for(database_url, tmp_path),
        outbound_allow=frozenset({server.authority}),
        extra_ca_file=server.certificate,
    )
    installation = Installation(settings, clock=clock)
    first, second = new_key(), new_key()
    publish(server, first)
    registration = {
        **people.make().relying_parties["bank"],
        "client_id": "vault",
        "jwks": None,
        "jwks_uri": server.url(),
    }
    with installation.engine.begin() as db:
        installation.services(db).registrations.register(registration)
    app = create_app(installation=installation)
    with connect(app, settings.issuer) as client:
        party = RelyingPartyClient(client, settings.issuer, registration, first, clock)
        for _ in range(3):
            assert party.introspect("sen_at_x").status == 200
        assert len(server.hits) == 1
        publish(server, second)
        party.key = second
        assert party.introspect("sen_at_x").status == 401
        clock.advance(minutes=1)
        assert party.introspect("sen_at_x").status == 200
        assert len(server.hits) == 2
        # What was taken away is good no more.
        party.key = first
        assert party.introspect("sen_at_x").status == 401
    door = app.wsgi_app
    assert isinstance(door, Door)
    door.close()
    installation.engine.dispose()
