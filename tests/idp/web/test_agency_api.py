"""The agency's API: consents, grants and events, and the description that says how to call it."""

from datetime import timedelta
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import booleans
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support.relying_party import Answer, basic
from tests.support.stores import KINDS
from tests.support.world import Arrival, World

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]
CREDENTIALS = ("client_id", "client_secret", "client_assertion", "client_assertion_type")
FETCHED = "urn:ietf:rfc:8936"


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> str:
    return str(getattr(request, "param", KINDS[0]))


@pytest.fixture
def arrival(world: World) -> Arrival:
    for client_id in ("portal", "bank"):
        register(world, client_id, events_delivery_method=FETCHED)
    return world.arrive("portal", "openid name birth offline_access", how="passkey")


def register(world: World, client_id: str, **members: Any) -> None:
    with world.transaction() as services:
        services.registrations.register({**world.cast.relying_parties[client_id], **members})


def consent_id(world: World) -> str:
    with world.transaction() as services:
        return services.consents.of_subject(world.subject_in(services, "lan"))[0].id


def fetch(world: World, party: str = "portal", **body: Any) -> Answer:
    client = world.party(party)
    if client.method == "private_key_jwt":
        authorization = f"Bearer {client.assertion()}"
    else:
        authorization = basic(client.client_id, client.secret)
    answer = client.client.post(
        "/agency/events", json=body, headers={"Authorization": authorization}
    )
    return Answer(answer.status_code, answer.headers, answer.json(), answer.text)


def withdraw(world: World, arrival: Arrival) -> None:
    page = arrival.browser.open("/me/consents")
    arrival.browser.submit(page.form(f"/me/consents/{consent_id(world)}/withdraw"))


@pytest.mark.parametrize("kind", KINDS, indirect=True)
def test_a_consent_and_its_grant_tell_how_they_stand(world: World, arrival: Arrival) -> None:
    tokens = arrival.tokens()
    grant = {"grant_id": tokens.raw["grant_id"]}
    told = arrival.party.ask("/agency/grants", grant).body
    assert told["state"] == "live"
    assert told["claims"] == sorted(told["claims"])
    assert "birthdate" in told["claims"]
    consent = {"consent": told["consent"]}
    stands = arrival.party.ask("/agency/consents", consent).body
    assert (stands["state"], stands["attributes"]) == ("active", told["claims"])
    world.tick()
    page = arrival.browser.open("/me/consents")
    form = page.form(f"/me/consents/{told['consent']}/narrow")
    arrival.browser.submit(form, keep=["name"], lasts="")
    was = arrival.party.ask("/agency/consents", consent).body
    assert (was["state"], was["attributes"]) == ("superseded", [])
    now = arrival.party.ask("/agency/consents", {"consent": was["replaced_by"]}).body
    assert (now["state"], now["attributes"]) == ("active", ["name"])
    assert arrival.party.ask("/agency/grants", grant).body["claims"] == ["name"]
    world.tick(days=366)
    ended = arrival.party.ask("/agency/consents", {"consent": was["replaced_by"]}).body
    assert ended["state"] == "expired"
    assert arrival.party.ask("/agency/grants", grant).body["state"] == "ended"


def test_a_grant_that_is_revoked_is_dead_with_its_tokens(world: World, arrival: Arrival) -> None:
    tokens = arrival.tokens()
    for _ in range(2):
        ended = arrival.party.ask("/agency/grants/revoke", {"grant_id": tokens.raw["grant_id"]})
        assert (ended.status, ended.body["state"]) == (200, "ended")
    assert not arrival.party.is_alive(tokens.access)
    assert arrival.party.refresh(tokens.refresh).body["error"] == "invalid_grant"
    # The consent is the person's and stays.
    assert arrival.party.ask("/agency/consents", {"consent": consent_id(world)}).status == 200


def test_nobody_learns_of_another_agencys(world: World, arrival: Arrival) -> None:
    tokens = arrival.tokens()
    bank = world.party("bank")
    for path, form in (
        ("/agency/grants", {"grant_id": tokens.raw["grant_id"]}),
        ("/agency/grants/revoke", {"grant_id": tokens.raw["grant_id"]}),
        ("/agency/consents", {"consent": consent_id(world)}),
        ("/agency/consents", {"consent": "0" * 32}),
    ):
        answer = bank.ask(path, form)
        assert answer.status == 404
        assert answer.body["error"] in {"unknown_grant", "unknown_consent"}
    assert arrival.party.is_alive(tokens.access)
    for path in ("/agency/grants", "/agency/consents"):
        assert bank.ask(path, {}).body["error"] == "invalid_request"
        assert bank.call(path, {"client_id": "portal"}, {}).status == 401


@pytest.mark.parametrize("kind", KINDS, indirect=True)
def test_events_wait_until_they_were_taken(world: World, arrival: Arrival) -> None:
    arrival.tokens()
    assert fetch(world).body == {"sets": {}, "moreAvailable": False}
    consent = consent_id(world)
    withdraw(world, arrival)
    first = fetch(world, returnImmediately=True).body["sets"]
    ((jti, token),) = first.items()
    read = arrival.party.verified(token)
    assert read.header["typ"] == "secevent+jwt"
    assert (read.claims["jti"], read.claims["aud"]) == (jti, "portal")
    assert read.claims["events"] == {"urn:vn:eid:event:consent-withdrawn": {"consent": consent}}
    assert "not reached yet" in arrival.browser.open("/me/consents").text
    # Not taken yet, so it comes again; others never get it, nor can they take it.
    assert list(fetch(world).body["sets"]) == [jti]
    assert fetch(world, "bank", ack=[jti]).body["sets"] == {}
    assert list(fetch(world, maxEvents=0).body["sets"]) == []
    assert fetch(world, maxEvents=0).body["moreAvailable"] is True
    assert fetch(world, ack=[jti]).body == {"sets": {}, "moreAvailable": False}
    assert "not reached yet" not in arrival.browser.open("/me/consents").text


def test_an_event_that_cannot_be_used_is_seen_by_operators(world: World, arrival: Arrival) -> None:
    arrival.tokens()
    withdraw(world, arrival)
    (jti,) = fetch(world).body["sets"]
    error = {"err": "authentication_failed\n", "description": "who are you"}
    assert fetch(world, setErrs={jti: error}).body["sets"] == {}
    with world.transaction() as services:
        (backlog,) = services.outbox.backlogs()
    assert (backlog.is_given_up, backlog.fault) == (True, "authentication_failed")
    with world.transaction() as services:
        assert services.outbox.retry("portal", is_fetched=True) == 1
    assert list(fetch(world).body["sets"]) == [jti]


@pytest.mark.parametrize(
    "body",
    [
        {"maxEvents": -1},
        {"maxEvents": "3"},
        {"maxEvents": True},
        {"ack": "x"},
        {"ack": [1]},
        {"setErrs": []},
        {"setErrs": {"x": "y"}},
        {"setErrs": {"x": {}}},
        {"returnImmediately": 1},
        {"ack": ["x"] * 1001},
    ],
)
def test_a_poll_that_cannot_be_read_is_refused(
    world: World, arrival: Arrival, body: dict[str, Any]
) -> None:
    refused = fetch(world, **body)
    assert (refused.status, refused.body["error"]) == (400, "invalid_request")


def test_a_poll_is_json_of_who_registered_for_it(world: World, arrival: Arrival) -> None:
    party = world.party("portal")
    header = {"Authorization": basic(party.client_id, party.secret)}
    for sent in (
        {"content": b"[", "headers": {**header, "Content-Type": "application/json"}},
        {"content": b"[]", "headers": {**header, "Content-Type": "application/json"}},
        {"data": {"maxEvents": "1"}, "headers": header},
    ):
        answer = party.client.post("/agency/events", **sent)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    bare = party.client.post("/agency/events", json={})
    assert (bare.status_code, bare.json()["error"]) == (401, "invalid_client")
    register(world, "portal")
    assert fetch(world).body["error"] == "invalid_request"


def test_a_secret_that_belongs_into_a_form_goes_with_json_in_the_header(
    world: World, arrival: Arrival
) -> None:
    by_form = {"token_endpoint_auth_method": "client_secret_post"}
    register(world, "portal", events_delivery_method=FETCHED, **by_form)
    assert fetch(world).body == {"sets": {}, "moreAvailable": False}
    party = world.party("portal")
    wrong = basic(party.client_id, f"{party.secret}x")
    # Where there is a form, the registered way alone counts (RFC 6749 §2.3).
    for path, header, sent in (
        ("/agency/events", wrong, {"json": {}}),
        ("/agency/withdrawals", basic(party.client_id, party.secret), {"data": {}}),
        ("/introspect", basic(party.client_id, party.secret), {"data": {"token": "x"}}),
    ):
        refused = party.client.post(path, headers={"Authorization": header}, **sent)
        assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")


class TestDescription:
    """``/openapi.json`` says what the API does, and the API does what it says."""

    def test_every_call_is_described_and_no_other(self, world: World) -> None:
        described = world.client().get("/openapi.json").json()
        calls = {
            (path, method.upper()) for path, item in described["paths"].items() for method in item
        }
        routes = {
            (rule.rule, method)
            for rule in world.app.url_map.iter_rules()
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
            if rule.rule.startswith("/agency/")
        }
        assert calls == routes

    def test_whatever_is_sent_is_answered_as_described(
        self, world: World, arrival: Arrival
    ) -> None:
        real = {
            "grant_id": arrival.tokens().raw["grant_id"],
            "consent": consent_id(world),
            "case": asked(world, arrival),
            "reason": "the archive is in another town",
            "text": "your application of last week",
            "day": (world.installation.clock() - timedelta(days=1)).date().isoformat(),
        }
        withdraw(world, arrival)
        headers = {"Authorization": basic("portal", world.party("portal").secret)}
        schema = schemathesis.openapi.from_wsgi("/openapi.json", world.app)
        answers: set[tuple[str, int]] = set()
        for found in schema.get_all_operations():
            operation = found.ok()

            @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
            @given(case=operation.as_strategy(), takes_real=booleans())
            def send(case: schemathesis.Case, *, takes_real: bool) -> None:
                if takes_real and isinstance(case.body, dict):
                    # What has to be known or make sense, said right; the rest as invented.
                    for name in CREDENTIALS:
                        case.body.pop(name, None)
                    case.body.update((name, real[name]) for name in real if name in case.body)
                answer = case.call(headers=headers)
                case.validate_response(answer, checks=CHECKS)
                answers.add((case.path, answer.status_code))

            send()
        # Otherwise only refusals would have been looked at.
        assert {path for path, status in answers if status == 200} == set(schema)


def asked(world: World, arrival: Arrival) -> str:
    """Let her ask why; return the request's number."""
    arrival.party.userinfo(arrival.tokens().access)
    with world.transaction() as services:
        used = services.use_log.of_subject(world.subject_in(services, "lan"))
    position = next(entry.position for entry in used if entry.use.client_id == "portal")
    page = arrival.browser.open(f"/me/cases/ask?right=explain&use={position}")
    arrival.browser.submit(page.form("/me/cases/ask"), right="explain", words="")
    with world.transaction() as services:
        return services.cases.waiting_for("portal")[0].reference
