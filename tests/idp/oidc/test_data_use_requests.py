"""Rich authorization requests (RFC 9396): what an agency states of its use is judged, shown and kept."""

import base64
import json
from typing import Any

import pytest

from tests.support.browser import Browser
from tests.support.stores import KINDS
from tests.support.world import Arrival, World

ASKED = {
    "type": "vn_personal_data_use",
    "purpose": "public-service",
    "attributes": ["birthdate"],
    "optional": ["phone_number", "email"],
    "valid_for": "P30D",
    "retention": "P90D",
    "recipients": ["bank"],
    "case_reference": "000.00.19.H26-261122-0007",
}


@pytest.fixture
def world(world: World) -> World:
    """The portal may state its uses; nobody else may."""
    with world.transaction() as services:
        members = world.cast.relying_parties["portal"]
        services.registrations.register(
            {**members, "authorization_details_types": ["vn_personal_data_use"]}
        )
    return world


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> str:
    return str(getattr(request, "param", KINDS[0]))


def details(**changes: Any) -> str:
    members = {**ASKED, **changes}
    return json.dumps([{name: value for name, value in members.items() if value is not None}])


def arrive(world: World, browser: Browser | None = None, **changes: Any) -> Arrival:
    return world.arrive(
        "portal",
        "openid name",
        browser=browser,
        how="passkey",
        tick=("phone_number",),
        authorization_details=details(**changes),
    )


def notice(world: World, browser: Browser) -> str:
    attempt = world.party("portal").begin("openid name", authorization_details=details())
    return browser.visit(attempt.url).text


@pytest.mark.parametrize("kind", KINDS, indirect=True)
def test_what_is_granted_comes_with_the_tokens_and_at_introspection(world: World) -> None:
    arrival = arrive(world)
    tokens = arrival.tokens()
    (element,) = tokens.raw["authorization_details"]
    assert element == {
        "type": "vn_personal_data_use",
        "purpose": "public-service",
        "legal_basis": "consent",
        "attributes": ["birthdate", "phone_number"],
        "valid_for": "P30D",
        "retention": "P90D",
        "recipients": ["bank"],
        "case_reference": "000.00.19.H26-261122-0007",
    }
    told = arrival.party.introspect(tokens.access).body
    assert told["authorization_details"] == [element]
    claims = arrival.party.userinfo(tokens.access).body
    assert claims["birthdate"] == world.person().birthdate
    assert "email" not in claims


def test_the_person_reads_all_of_it_before_she_agrees(world: World) -> None:
    text = notice(world, world.sign_in(how="passkey"))
    assert "Case 000.00.19.H26-261122-0007" in text
    assert "keeps the data for 90 days" in text
    assert world.cast.relying_parties["bank"]["client_name"] in text
    with world.transaction() as services:
        until = (services.installation.clock().date()).toordinal() + 30
    arrive(world)
    with world.transaction() as services:
        given = services.consents.of_subject(world.subject_in(services, "lan"))[0]
    assert given.valid_until.date().toordinal() == until
    assert given.terms is not None
    assert given.terms.recipients == ("bank",)


def test_the_same_is_not_asked_twice_and_other_terms_are(world: World) -> None:
    browser = arrive(world).browser
    again = world.party("portal").begin("openid name", authorization_details=details())
    assert "code=" in browser.visit(again.url).location
    for changes in ({"recipients": None}, {"retention": "P3650D"}, {"case_reference": "2"}):
        other = world.party("portal").begin("openid name", authorization_details=details(**changes))
        assert browser.visit(other.url).has_form("/consent"), changes
    plain = world.party("portal").begin("openid name birth")
    assert browser.visit(plain.url).has_form("/consent")


def test_sensitive_ones_are_never_given_as_a_whole(world: World) -> None:
    with world.transaction() as services:
        members = world.cast.relying_parties["portal"]
        services.registrations.register(
            {
                **members,
                "scope": f"{members['scope']} health",
                "authorization_details_types": ["vn_personal_data_use"],
            }
        )
    arrival = arrive(world, attributes=["birthdate", "blood_group"], optional=["phone_number"])
    (element,) = arrival.tokens().raw["authorization_details"]
    assert element["attributes"] == ["birthdate", "phone_number"]


def test_after_sharing_less_the_answer_tells_what_is_left(world: World) -> None:
    arrival = arrive(world)
    tokens = arrival.tokens()
    with world.transaction() as services:
        consent = services.consents.of_subject(world.subject_in(services, "lan"))[0]
    world.tick()
    page = arrival.browser.open("/me/consents")
    form = page.form(f"/me/consents/{consent.id}/narrow")
    arrival.browser.submit(form, keep=["name", "birthdate"], lasts="")
    told = arrival.party.introspect(tokens.access).body
    assert told["authorization_details"][0]["attributes"] == ["birthdate"]


def test_the_receipt_tells_the_terms(world: World) -> None:
    browser = arrive(world).browser
    with world.transaction() as services:
        consent = services.consents.of_subject(world.subject_in(services, "lan"))[0]
    signed = browser.open(f"/me/consents/{consent.id}/receipt.jws").html
    payload = signed.split(".")[1]
    told = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    process = told["dpv:hasRecordOfActivity"]["dpv:hasProcess"]
    assert process["dpv:hasRecipient"] == [
        f"{world.issuer}/relying-parties/portal",
        f"{world.issuer}/relying-parties/bank",
    ]
    assert process["dpv:hasStorageCondition"][1]["schema:duration"] == "P90D"
    assert process["schema:identifier"] == ASKED["case_reference"]


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "{}",
        "[]",
        "[1]",
        "[" * 4000,
        "[" + ",".join([details()[1:-1]] * 2) + "]",
        details(type="payment_initiation"),
        details(type=None),
        details(purpose="banking"),
        details(purpose=None),
        details(legal_basis="statutory-function"),
        details(attributes=None, optional=None),
        details(attributes="birthdate"),
        details(attributes=["birthdate", "birthdate"]),
        details(attributes=["blood_group"]),
        details(attributes=["no_such_claim"]),
        details(attributes=["email"]),
        details(valid_for="30"),
        details(valid_for="P0D"),
        details(retention="P10000000D"),
        details(recipients=["nobody"]),
        details(recipients="bank"),
        details(recipients=[["bank"]]),
        details(case_reference="<b>x</b>"),
        details(case_reference=7),
        details(locations=["https://elsewhere.example/"]),
        details(because="I say so"),
        details()[:-2] + ', "type": "x"}]',
    ],
)
def test_whatever_is_wrong_with_it_is_refused_as_a_whole(world: World, text: str) -> None:
    attempt = world.party("portal").begin("openid name", authorization_details=text)
    answer = world.browser().visit(attempt.url)
    error = world.party("portal").error_from(attempt, answer.location)
    assert error == "invalid_authorization_details"


def test_only_who_is_registered_for_the_type_may_ask_so(world: World) -> None:
    attempt = world.party("bank").begin(
        "openid name", authorization_details=details(purpose="banking", recipients=None)
    )
    answer = world.browser().visit(attempt.url)
    error = world.party("bank").error_from(attempt, answer.location)
    assert error == "invalid_authorization_details"


def test_the_token_endpoint_narrows_nothing(world: World) -> None:
    arrival = arrive(world)
    refused = arrival.party.try_redeem(
        arrival.attempt, arrival.code, authorization_details=details()
    )
    assert (refused.status, refused.body["error"]) == (400, "invalid_authorization_details")
    # The code was not spent by it.
    assert arrival.tokens().raw["authorization_details"]
