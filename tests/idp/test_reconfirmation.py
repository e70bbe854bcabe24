"""A consent that no longer counts as it was given: nothing is released on it until whoever it is about
confirms it.
"""

from dataclasses import replace
from datetime import timedelta

import pytest

from accounts.attributes import Source
from accounts.legal_clock import HANOI, comes_of_age
from accounts.mandates import MandateType
from accounts.notices import NoticeKind
from consent.decisions import Consent, ConsentState
from consent.purposes import PURPOSES
from idp.consent_care import care
from tests.support.browser import Browser
from tests.support.mandates import mandate_id
from tests.support.stores import KINDS
from tests.support.world import Arrival, World

SCOPE = "openid name birth represent offline_access"


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def almost_of_age(world: World) -> None:
    """Let hoa be lan's child, who comes of age in 20 days."""
    child, parent = world.subject("hoa"), world.subject("lan")
    assert world.clock is not None
    birthday = (world.clock().astimezone(HANOI) + timedelta(days=20)).date()
    birthdate = birthday.replace(year=birthday.year - 18, day=min(birthday.day, 28)).isoformat()
    with world.transaction() as services:
        held = services.held.of_subject(child)[Source.POPULATION].values
        services.held.hold(child, Source.POPULATION, {**held, "birthdate": birthdate})
        end = comes_of_age(birthdate)
        services.mandates.grant(MandateType.PARENT, child, parent, "population", end)


def acted_for(world: World) -> Arrival:
    almost_of_age(world)
    mandate = mandate_id(world, "lan", "parent")
    return world.arrive("portal", SCOPE, how="passkey", acting_for=mandate)


def consents(world: World, login: str) -> list[Consent]:
    with world.transaction() as services:
        return services.consents.of_subject(world.subject_in(services, login))


def told(world: World, login: str) -> list[str]:
    with world.transaction() as services:
        found = services.notices.of_subject(world.subject_in(services, login))
    return [one.kind.value for one in found if one.kind is NoticeKind.RECONFIRM]


def confirm(browser: Browser, found: Consent) -> str:
    path = f"/me/consents/{found.id}/confirm"
    page = browser.open(path)
    assert page.status == 200, page.text
    return browser.submit(page.form(path)).text


def test_who_comes_of_age_decides_herself(world: World) -> None:
    arrival = acted_for(world)
    access = arrival.tokens().access
    assert arrival.party.userinfo(access).status == 200
    assert care(world.installation) == 0
    world.tick(days=21)
    # From that midnight on nobody acts for her, whenever the upkeep comes by.
    assert arrival.party.refresh(arrival.tokens().refresh).status == 400
    assert care(world.installation) == 1
    assert care(world.installation) == 0
    (given,) = consents(world, "hoa")
    assert given.state is ConsentState.RECONFIRM
    assert (told(world, "hoa"), told(world, "lan")) == (["reconfirm"], [])
    # Her mother sees where it stands, and cannot confirm it for her.
    lan = world.sign_in("lan")
    page = lan.open("/me/consents")
    assert "You may no longer speak for this person" in page.text
    assert lan.open(f"/me/consents/{given.id}/confirm").status == 404
    # She is asked at her next sign-in, and then it is her own.
    hoa = world.sign_in("hoa")
    assert "1 consent waits for you to confirm it" in hoa.open("/me").text
    page = hoa.open(f"/me/consents/{given.id}/confirm")
    assert f"{world.person('lan').name} agreed to this for you" in page.text
    assert "Confirmed." in confirm(hoa, given)
    own = next(one for one in consents(world, "hoa") if one.state is ConsentState.ACTIVE)
    assert (own.acting_for, own.replaces) == (None, given.id)
    assert own.subject_id == world.subject("hoa")
    assert "waits for you" not in hoa.open("/me").text
    assert hoa.open(f"/me/consents/{given.id}/confirm").status == 404
    # Her mother's tokens do not come back by it.
    assert arrival.party.userinfo(access).status == 401


def test_who_comes_of_age_may_end_it_instead(world: World) -> None:
    acted_for(world)
    world.tick(days=21)
    care(world.installation)
    (given,) = consents(world, "hoa")
    hoa = world.sign_in("hoa")
    form = hoa.open("/me/consents").form(f"/me/consents/{given.id}/withdraw")
    assert hoa.submit(form).status == 200
    assert consents(world, "hoa")[0].state is ConsentState.WITHDRAWN


def test_a_parent_who_lost_the_right_ends_what_rested_on_it(world: World) -> None:
    arrival = acted_for(world)
    access = arrival.tokens().access
    mandate = mandate_id(world, "lan", "parent")
    with world.transaction() as services:
        found = services.mandates.find(mandate)
        assert found is not None
        services.mandating.end_by_register(found, "population")
    assert care(world.installation) == 1
    assert consents(world, "hoa")[0].state is ConsentState.RECONFIRM
    assert arrival.party.userinfo(access).status == 401


def test_a_purpose_that_says_something_else_is_confirmed_or_asked_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = world.arrive("portal", "openid name offline_access")
    tokens = first.tokens()
    minh = world.arrive("portal", "openid name offline_access", person="minh",
                        browser=world.browser())  # fmt: skip
    clinic = world.arrive("clinic", "openid email", browser=world.browser())
    changed = replace(PURPOSES["public-service"], version=2)
    monkeypatch.setitem(PURPOSES, "public-service", changed)
    # Nothing leaves on the old word from the moment the purpose says something else.
    assert first.party.refresh(tokens.refresh).status == 400
    assert clinic.party.userinfo(clinic.tokens().access).status == 200
    assert care(world.installation) == 2
    assert told(world, "lan") == ["reconfirm"]
    lan = world.sign_in("lan")
    (given,) = (one for one in consents(world, "lan") if one.client_id == "portal")
    assert "What the purpose says has changed" in lan.open("/me/consents").text
    assert "Confirmed." in confirm(lan, given)
    own = next(one for one in consents(world, "lan") if one.replaces == given.id)
    assert (own.purpose_version, own.state) == (2, ConsentState.ACTIVE)
    # Whoever confirmed is not asked again; whoever did not is, and that settles it as well.
    page = lan.visit(world.party("portal").begin("openid name offline_access").url)
    assert page.location.startswith("https://portal.example/")
    again = world.arrive("portal", "openid name offline_access", person="minh",
                         browser=minh.browser)  # fmt: skip
    assert again.party.userinfo(again.tokens().access).status == 200
    states = [one.state for one in consents(world, "minh")]
    assert sorted(states) == [ConsentState.ACTIVE, ConsentState.SUPERSEDED]
    assert care(world.installation) == 0
