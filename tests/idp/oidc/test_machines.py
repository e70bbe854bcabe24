"""A key that an organisation named acts for it, with nobody present."""

from typing import Any

import pytest

from accounts.attributes import Source
from connectors.protocol import Unavailable
from consent.data_use import Channel, SubjectRole, UseEntry
from idp.oidc.thumbprints import thumbprint
from tests.support.cast import COMPANY, TAX_CODE
from tests.support.mandates import YEAR, mandate_id, organisation, press, state, strong
from tests.support.office import Office
from tests.support.relying_party import Answer, new_key
from tests.support.stores import KINDS
from tests.support.world import World

SERVICES = ["public-service"]


@pytest.fixture
def named(world: World) -> str:
    """Lan names the bank's key for public services; the mandate's id."""
    register(world, registration(world))
    lan = strong(world, "lan")
    form = lan.open(f"/me/mandates/give?type=machine&under={mandate_id(world, 'lan')}").form(
        "/me/mandates/give"
    )
    key = thumbprint(world.cast.keys["bank"].as_dict(private=False)) or ""
    lan.submit(form, client_id="bank", key_thumbprint=key, lasts=YEAR, services=SERVICES)
    with world.transaction() as services:
        (found,) = services.mandates.of_relying_party("bank")
    assert found.id in lan.open(f"/me/mandates/{found.id}").html
    return found.id


def ask(world: World, mandate: str, **changes: str) -> Answer:
    return world.party("bank").ask("/token", {**asked(mandate), **changes})


def asked(mandate: str) -> dict[str, str]:
    return {"grant_type": "client_credentials", "mandate_id": mandate, "audience": "portal"}


def token(world: World, mandate: str) -> str:
    answer = ask(world, mandate)
    assert answer.status == 200, answer.text
    assert set(answer.body) == {"access_token", "token_type", "expires_in"}
    return str(answer.body["access_token"])


def checks(world: World) -> list[UseEntry]:
    company = organisation(world)
    with world.transaction() as services:
        assert services.use_log.is_intact(company)
        entries = services.use_log.of_subject(company)
    return [one for one in entries if one.use.channel is Channel.INTROSPECTION]


def test_a_key_acts_and_the_service_and_the_organisation_see_it(world: World, named: str) -> None:
    told = world.party("portal").introspect(token(world, named)).body
    assert (told["active"], told["client_id"], told["sub"]) == (True, "bank", "bank")
    assert (told["aud"], told["iss"]) == ("portal", world.issuer)
    represents = told["represents"]
    assert (represents["sub"], represents["name"]) == (TAX_CODE, COMPANY)
    assert (represents["mandate_id"], represents["mandate_type"]) == (named, "machine")
    assert represents["scopes"] == SERVICES
    (entry,) = checks(world)
    assert (entry.use.client_id, entry.use.other_party) == ("portal", named)
    assert entry.use.subject_role is SubjectRole.ORGANISATION
    assert entry.use.attributes == ("represents",)
    page = world.sign_in("lan").open(f"/me/uses?of={mandate_id(world, 'lan')}")
    assert "Checked that this system may act for the organisation" in page.text
    # The holder of the key is named.
    assert "Ngân hàng Mẫu" in page.text


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"mandate_id": "f" * 32}, "invalid_grant"),
        ({"mandate_id": "' or 1=1"}, "invalid_grant"),
        ({"mandate_id": ""}, "invalid_request"),
        ({"audience": ""}, "invalid_request"),
        # Nobody, one that knows no mandates, and one of another purpose.
        ({"audience": "nobody"}, "invalid_target"),
        ({"audience": "é"}, "invalid_target"),
        ({"audience": "basic"}, "invalid_target"),
        ({"scope": "openid"}, "invalid_scope"),
    ],
)
def test_what_was_not_given_is_refused(
    world: World, named: str, changes: dict[str, str], error: str
) -> None:
    answer = ask(world, named, **changes)
    assert (answer.status, answer.body["error"]) == (400, error)


def test_nobody_else_acts_under_it_and_a_persons_mandate_is_no_keys(
    world: World, named: str
) -> None:
    assert ask(world, mandate_id(world, "lan")).body["error"] == "invalid_grant"
    # TK06: another relying party has no such grant type.
    assert world.party("portal").ask("/token", asked(named)).body["error"] == "unauthorized_client"
    # Another key of the same relying party is not the one that was named.
    other = new_key()
    registered = registration(world)
    registered["jwks"] = {"keys": [*registered["jwks"]["keys"], other.as_dict(private=False)]}
    register(world, registered)
    bank = world.party("bank")
    bank.key = other
    assert bank.ask("/token", asked(named)).body["error"] == "invalid_grant"


def test_its_token_is_good_at_that_service_only_and_for_nothing_else(
    world: World, named: str
) -> None:
    held = token(world, named)
    assert world.party("basic").introspect(held).body == {"active": False}
    assert world.party("bank").introspect(held).body["active"] is True
    assert world.party("portal").introspect(held + "A").body == {"active": False}
    assert world.party("portal").userinfo(held).status == 401
    assert world.party("portal").refresh(held).body["error"] == "invalid_grant"
    revoked = world.party("bank").revoke(held)
    assert (revoked.status, revoked.body["error"]) == (400, "unsupported_token_type")
    world.tick(minutes=11)
    assert world.party("portal").introspect(held).body == {"active": False}


def test_ended_narrowed_or_without_its_key_it_is_dead_at_once(world: World, named: str) -> None:
    held = token(world, named)
    registered = registration(world)
    register(world, {**registered, "jwks": {"keys": [new_key().as_dict(private=False)]}})
    assert world.party("portal").introspect(held).body == {"active": False}
    register(world, registered)
    assert world.party("portal").introspect(held).body["active"] is True
    press(world.sign_in("lan"), named, "revoke")
    assert state(world, named) == "revoked"
    assert world.party("portal").introspect(held).body == {"active": False}
    assert ask(world, named).body["error"] == "invalid_grant"


def registration(world: World) -> dict[str, Any]:
    grant_types = ["authorization_code", "refresh_token", "client_credentials"]
    return {**world.cast.relying_parties["bank"], "grant_types": grant_types}


def register(world: World, document: dict[str, Any]) -> None:
    with world.transaction() as services:
        services.registrations.register(document)
    world.installation.relying_parties.forget()


class TestWithTheRegister:
    """The word on which the mandate rests is asked for again after a day."""

    @pytest.fixture(params=KINDS[:1])
    def kind(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)

    @pytest.fixture
    def office(self, world: World) -> Office:
        made = Office(world)
        made.knows_company(TAX_CODE, COMPANY, "lan")
        return made

    def test_confirmed(self, world: World, office: Office, named: str) -> None:
        world.tick(hours=25)
        assert ask(world, named).status == 200

    def test_not_confirmed(self, world: World, office: Office, named: str) -> None:
        office.knows_company(TAX_CODE, COMPANY, "nga")
        world.tick(hours=25)
        assert ask(world, named).body["error"] == "invalid_grant"
        assert state(world, named) == "suspended"

    def test_down(self, world: World, office: Office, named: str) -> None:
        class Silent:
            rests = True

            def look_up(self, *_asked: object) -> Unavailable:
                return Unavailable("enterprises", "no-answer", None)

        registers: dict[Source, Any] = dict(world.installation.registers)
        registers[Source.ENTERPRISES] = Silent()
        world.installation.registers = registers  # type: ignore[assignment]
        world.tick(hours=25)
        _, proof = world.party("bank").authentication()
        answer = world.client().post("/token", data={**proof, **asked(named)})
        assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
        assert answer.headers["Retry-After"] == "60"
        assert state(world, named) == "active"
