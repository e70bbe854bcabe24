"""Attributes of the dictionary end to end: asked of a register when wanted, released with an entry,
withheld with a reason. The database makes no difference here, so one will do.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from accounts.attributes import Source
from connectors.simulation.server import Simulator
from consent.data_use import PROVIDER, Channel, UseEntry
from idp.oidc.relying_parties import RegistrationError
from idp.services import Installation
from tests.support.clock import Clock
from tests.support.registers import (
    enter_card,
    enter_insured,
    enter_person,
    installed,
    population,
    running,
)
from tests.support.world import World

LAN = "999190000001"


@pytest.fixture
def kind() -> str:
    return "sqlite"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = population(tmp_path_factory.mktemp("registers") / "p.db", people=5)
    enter_person(
        path, number="999160000010", name="Nguyễn Văn Cha", birthdate="1960-01-01", sex="M"
    )
    enter_person(
        path, number=LAN, name="Nguyễn Thị Hương Lan", birthdate="1990-04-12", father="999160000010"
    )
    enter_card(path, number=LAN)
    enter_insured(path, number=LAN)
    return path


@pytest.fixture
def registers(file: Path) -> Iterator[Simulator]:
    with running(file) as simulator:
        yield simulator


@pytest.fixture
def installation(
    database_url: str, clock: Clock, tmp_path: Path, registers: Simulator
) -> Iterator[Installation]:
    with installed(database_url, tmp_path, registers, clock) as made:
        yield made


def asked_for(*claims: str, essential: bool = False) -> str:
    return json.dumps({"userinfo": {one: {"essential": essential} for one in claims}})


def told(world: World, scope: str, **how: Any) -> dict[str, Any]:
    """Return what userinfo tells after a sign-in with a passkey."""
    arrival = world.arrive("portal", scope, **{"how": "passkey", **how})
    answer = arrival.party.userinfo(arrival.tokens().access)
    assert answer.status == 200
    body: dict[str, Any] = answer.body
    return body


def pulls(world: World) -> list[UseEntry]:
    with world.transaction() as services:
        found = services.use_log.of_subject(world.subject_in(services, "lan"))
    return [entry for entry in found if entry.use.channel is Channel.CONNECTOR_PULL]


def test_a_sensitive_value_is_asked_for_only_when_she_ticked_it(
    world: World, registers: Simulator
) -> None:
    plain = told(world, "openid insurance")
    assert plain["si_status"] == "contributing"
    assert "hi_card" not in plain
    assert ["hi_card" in entry.use.attributes for entry in pulls(world)] == [False]
    # The register's word is of today, and still it is asked for what nobody wanted before.
    world.tick(minutes=11)
    more = told(world, "openid insurance contact", tick=("hi_card",))
    assert more["hi_card"]["facility"] == "Trạm Y tế Mẫu"
    assert "hi_card" in pulls(world)[0].use.attributes
    assert registers.asked[Source.SOCIAL_INSURANCE] == 2
    with world.transaction() as services:
        newest = services.use_log.of_subject(world.subject_in(services, "lan"))[0]
    assert newest.use.client_id != PROVIDER
    assert "hi_card" in newest.use.attributes


def test_being_essential_makes_nothing_sensitive_a_condition(world: World) -> None:
    asked = asked_for("hi_card", essential=True)
    browser = world.sign_in("lan", how="passkey")
    page = browser.visit(world.party("portal").begin("openid insurance", claims=asked).url)
    assert page.has_form("/consent")
    box = next(tag for tag in page.html.split("<input") if 'value="hi_card"' in tag)
    assert "checked" not in box.split(">")[0]
    assert "Sensitive personal data" in page.text
    assert "hi_card" not in told(world, "openid insurance", claims=asked)


def test_the_identity_card_comes_from_its_own_register(world: World, registers: Simulator) -> None:
    card = told(world, "openid documents")["id_card"]
    assert (card["number"], card["state"]) == (LAN, "valid")
    assert registers.asked[Source.IDENTITY_CARDS] == 1
    assert registers.asked[Source.SOCIAL_INSURANCE] == 0


def test_an_age_is_told_without_the_date(world: World) -> None:
    claims = asked_for("age_over_18", "age_over_60", essential=True)
    answer = told(world, "openid name", claims=claims)
    assert (answer["age_over_18"], answer["age_over_60"]) == (True, False)
    assert "birthdate" not in answer


def test_level_three_is_withheld_and_the_relying_party_learns_why(
    world: World, registers: Simulator
) -> None:
    claims = asked_for("parents", "ethnicity", essential=True)
    answer = told(world, "openid family", claims=claims, tick=("ethnicity",))
    assert answer["marital_status"] == "single"
    assert "parents" not in answer
    assert answer["vn_withheld"] == {
        "parents": "authentication-level-3",
        "ethnicity": "authentication-level-3",
    }
    (entry,) = pulls(world)
    assert not {"parents", "ethnicity"} & set(entry.use.attributes)


def test_what_needs_level_02_is_withheld_from_level_01(world: World) -> None:
    answer = told(world, "openid insurance", person="hoa", how="password")
    assert answer["vn_withheld"] == {
        "si_number": "account-level-02",
        "si_status": "account-level-02",
    }


def test_personal_numbers_are_for_bodies_that_the_law_lists(world: World) -> None:
    registration = {
        **world.cast.relying_parties["clinic"],
        "client_id": "clinic-2",
        "scope": "openid pid",
    }
    with world.transaction() as services, pytest.raises(RegistrationError, match="Decree 70/2024"):
        services.registrations.register(registration)


@pytest.mark.parametrize(("language", "words"), [("vi", "Thẻ bảo hiểm y tế"), ("en", "Sensitive")])
def test_everybody_may_read_the_dictionary(world: World, language: str, words: str) -> None:
    browser = world.browser()
    browser.language = language
    page = browser.open("/attributes")
    assert page.status == 200
    for claim in ("hi_card", "age_over_18", "face_template"):
        assert f"<code>{claim}</code>" in page.html
    assert words in page.text


def test_the_dictionary_is_searched_without_marks(world: World) -> None:
    page = world.browser().open("/attributes?q=the+bao+hiem")
    assert "<code>hi_card</code>" in page.html
    assert "<code>birthdate</code>" not in page.html
    assert "Nothing fits" in world.browser().open("/attributes?q=<script>").text
