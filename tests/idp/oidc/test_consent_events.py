"""Agencies are told of withdrawals, by a signed event or when they ask, and confirm that they stopped."""

import json
from collections.abc import Iterator

import pytest
from joserfc import jws
from joserfc.jwk import KeySet

from idp import dispatch
from tests.support.back_channel import BackChannel, listening
from tests.support.browser import Browser
from tests.support.relying_party import Answer
from tests.support.stores import KINDS
from tests.support.world import Arrival, World


@pytest.fixture(params=KINDS[:1])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def channel(world: World) -> Iterator[BackChannel]:
    with listening(world, "portal", what="events") as made:
        world.installation.relying_parties.forget()
        yield made


@pytest.fixture
def arrival(world: World, channel: BackChannel) -> Arrival:
    return world.arrive("portal", "openid name birth")


def consent_id(world: World) -> str:
    with world.transaction() as services:
        return services.consents.of_subject(world.subject_in(services, "lan"))[0].id


def withdraw(browser: Browser, consent: str) -> None:
    page = browser.open("/me/consents")
    assert browser.submit(page.form(f"/me/consents/{consent}/withdraw")).status == 200


def ask(world: World, what: str = "", party: str = "portal", **form: str) -> Answer:
    return world.party(party).ask(f"/agency/withdrawals{what}", form)


def test_a_withdrawal_is_told_by_a_signed_event(
    world: World, arrival: Arrival, channel: BackChannel
) -> None:
    sub = arrival.tokens().claims["sub"]
    consent = consent_id(world)
    withdraw(arrival.browser, consent)
    text = arrival.browser.open("/me/consents").text
    assert "Stopped here" in text
    assert "not reached yet" in text
    channel.status = 500
    assert dispatch.dispatch(world.installation)["postponed"] == 1
    assert "not reached yet" in arrival.browser.open("/me/consents").text
    world.tick(seconds=11)
    channel.status = 202
    assert dispatch.dispatch(world.installation)["delivered"] == 1
    assert "not reached yet" not in arrival.browser.open("/me/consents").text
    keys = KeySet.import_key_set(world.client().get("/jwks").json())
    signed = jws.deserialize_compact(channel.events[-1], keys, algorithms=["ES256"])
    claims = json.loads(signed.payload)
    # RFC 8417 §2.2, §4: typed, and nothing that makes it another kind of token.
    assert signed.headers()["typ"] == "secevent+jwt"
    assert set(claims) == {"iss", "aud", "iat", "jti", "sub_id", "events"}
    assert (claims["iss"], claims["aud"]) == (world.issuer, "portal")
    assert claims["sub_id"] == {"format": "iss_sub", "iss": world.issuer, "sub": sub}
    assert claims["events"] == {"urn:vn:eid:event:consent-withdrawn": {"consent": consent}}
    # The same token at every attempt.
    first = json.loads(
        jws.deserialize_compact(channel.events[0], keys, algorithms=["ES256"]).payload
    )
    assert first["jti"] == claims["jti"]


def test_sharing_less_is_told_too(world: World, arrival: Arrival, channel: BackChannel) -> None:
    world.tick()
    page = arrival.browser.open("/me/consents")
    form = page.form(f"/me/consents/{consent_id(world)}/narrow")
    arrival.browser.submit(form, keep=["name"], lasts="30")
    dispatch.dispatch(world.installation)
    keys = KeySet.import_key_set(world.client().get("/jwks").json())
    claims = json.loads(
        jws.deserialize_compact(channel.events[0], keys, algorithms=["ES256"]).payload
    )
    told = claims["events"]["urn:vn:eid:event:consent-narrowed"]
    assert told["attributes"] == ["name"]
    assert told["replaced_by"] == consent_id(world)


def test_an_agency_without_an_address_asks_and_confirms(world: World) -> None:
    browser = world.arrive("portal", "openid name").browser
    consent = consent_id(world)
    withdraw(browser, consent)
    (told,) = ask(world).body["withdrawals"]
    assert told["consent"] == consent
    assert "not reached yet" not in browser.open("/me/consents").text
    # Nobody confirms for another, nor twice.
    assert ask(world, party="clinic").body["withdrawals"] == []
    assert ask(world, "/confirm", "clinic", consent=consent).status == 409
    assert "at the latest" in browser.open("/me/consents").text
    assert ask(world, "/confirm", consent=consent).body["state"] == "stopped"
    assert ask(world, "/confirm", consent=consent).status == 409
    assert ask(world, "/confirm").status == 400
    assert ask(world).body["withdrawals"] == []
    assert "at the latest" not in browser.open("/me/consents").text


def test_who_does_not_confirm_in_time_is_late(world: World) -> None:
    browser = world.arrive("portal", "openid name").browser
    withdraw(browser, consent_id(world))
    assert "Late" not in browser.open("/me/consents").text
    world.tick(days=25)
    assert "Late" in world.sign_in().open("/me/consents").text


def test_an_address_for_events_is_checked_like_any_other(world: World) -> None:
    from idp.oidc.relying_parties import RegistrationError  # noqa: PLC0415

    for bad in ("http://portal.example/events", "javascript:1", "https://u@portal.example/"):
        document = {**world.cast.relying_parties["portal"], "events_uri": bad}
        with world.transaction() as services, pytest.raises(RegistrationError):
            services.registrations.register(document)
