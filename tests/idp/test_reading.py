"""Registers are read when values are too old, with nothing locked meanwhile and an entry in advance."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from accounts.attributes import Source
from connectors.simulation.server import Fault, Simulator
from consent.data_use import PROVIDER, Channel, UseEntry
from idp.services import Installation
from tests.support.cast import COMPANY, TAX_CODE
from tests.support.clock import Clock
from tests.support.registers import (
    CLIENT,
    enter_enterprise,
    enter_person,
    installed,
    population,
    running,
)
from tests.support.world import Arrival, World

LAN = {"number": "999190000001", "name": "Nguyễn Thị Hương Lan", "birthdate": "1990-04-12"}
NEW_HOME = "1 Phố Mới, Phường Tân Sen, Hà Nội, Việt Nam"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = population(tmp_path_factory.mktemp("registers") / "p.db", people=20)
    enter_person(path, **LAN)
    enter_enterprise(path, tax_code=TAX_CODE, name=COMPANY)
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


def pulls(world: World, subject: str | None = None) -> list[UseEntry]:
    with world.transaction() as services:
        about = subject or world.subject_in(services, "lan")
        found = services.use_log.of_subject(about)
        assert services.use_log.is_intact(about)
    return [entry for entry in found if entry.use.channel is Channel.CONNECTOR_PULL]


def signed_in(world: World, scope: str = "openid name residence offline_access") -> Arrival:
    arrival = world.arrive("portal", scope)
    arrival.tokens()
    return arrival


def day_later(world: World, arrival: Arrival) -> Any:
    """Let the held values grow old, and return what userinfo tells then."""
    world.tick(hours=25)
    access = arrival.party.refresh(arrival.tokens().refresh).body["access_token"]
    answer = arrival.party.userinfo(access)
    assert answer.status == 200
    return answer.body


def test_values_of_today_are_not_asked_for(world: World, registers: Simulator) -> None:
    arrival = signed_in(world)
    arrival.party.userinfo(arrival.tokens().access)
    assert registers.asked[Source.POPULATION] == 0
    assert pulls(world) == []


def test_values_of_yesterday_are_read_again_and_that_is_an_entry(
    world: World, registers: Simulator
) -> None:
    told = day_later(world, signed_in(world))
    assert told["address"]["formatted"] == NEW_HOME
    (entry,) = pulls(world)
    assert entry.use.client_id == PROVIDER
    assert "address" in entry.use.attributes
    (seen,) = [row for row in registers.log if row["register"] == "population"]
    assert seen == {
        "register": "population", "X-Road-Client": CLIENT, "X-Road-UserId": "VN999190000001",
        "X-Road-Represented-Party": "", "X-Road-Issue": entry.id,
    }  # fmt: skip


def test_one_reading_serves_a_day(world: World, registers: Simulator) -> None:
    arrival = signed_in(world)
    day_later(world, arrival)
    access = arrival.party.userinfo(arrival.tokens().access)
    assert access.status in {200, 401}
    assert registers.asked[Source.POPULATION] == 1


def test_a_sign_in_that_needs_nothing_of_a_register_asks_nothing(
    world: World, registers: Simulator
) -> None:
    registers.set_fault(None, Fault.SLOW)
    world.tick(hours=30)
    begun = time.monotonic()
    arrival = signed_in(world, "openid contact")
    assert arrival.party.userinfo(arrival.tokens().access).body["email"] == "lan@example.vn"
    assert time.monotonic() - begun < 3
    assert sum(registers.asked.values()) == 0


@pytest.mark.parametrize("fault", [Fault.DOWN, Fault.ERROR, Fault.WRONG_PERSON, Fault.TRUNCATED])
def test_a_register_that_fails_leaves_what_is_held_and_the_entry_stands(
    world: World, registers: Simulator, fault: Fault
) -> None:
    registers.set_fault(Source.POPULATION, fault)
    told = day_later(world, signed_in(world))
    assert told["address"]["formatted"] == "1 Phố Mẫu, Hà Nội"
    assert len(pulls(world)) == 1
    remote = world.installation.registers[Source.POPULATION]
    assert remote.not_available_since == world.installation.clock()


def test_a_register_that_failed_is_not_asked_again_at_once(
    world: World, registers: Simulator
) -> None:
    arrival = signed_in(world)
    registers.set_fault(Source.POPULATION, Fault.WRONG_PERSON)
    world.tick(hours=25)
    access = arrival.party.refresh(arrival.tokens().refresh).body["access_token"]
    for _ in range(4):
        assert arrival.party.userinfo(access).status == 200
    assert registers.asked[Source.POPULATION] == 1
    assert len(pulls(world)) == 1


def test_a_register_killed_in_the_middle_of_an_answer_costs_no_sign_in(
    world: World, registers: Simulator
) -> None:
    arrival = signed_in(world)
    registers.set_fault(Source.POPULATION, Fault.SLOW)
    killer = threading.Timer(0.5, registers.released.set)
    killer.start()
    begun = time.monotonic()
    told = day_later(world, arrival)
    killer.join()
    assert time.monotonic() - begun < 3
    assert told["address"]["formatted"] == "1 Phố Mẫu, Hà Nội"


def test_nobody_else_waits_while_a_register_is_asked(world: World, registers: Simulator) -> None:
    arrival = signed_in(world)
    registers.set_fault(Source.POPULATION, Fault.SLOW)
    reader = threading.Thread(target=day_later, args=(world, arrival))
    reader.start()
    while not registers.asked[Source.POPULATION]:
        time.sleep(0.01)
    begun = time.monotonic()
    other = world.arrive("basic", "openid email", person="minh")
    other.tokens()
    assert time.monotonic() - begun < 1.5
    registers.released.set()
    reader.join()


def test_the_organisation_acted_for_is_read_and_both_are_told(
    world: World, registers: Simulator
) -> None:
    with world.transaction() as services:
        (mandate,) = services.mandates.held_by(world.subject_in(services, "lan"))
    arrival = world.arrive(
        "portal", "openid name represent organization offline_access", acting_for=mandate.id
    )
    arrival.tokens()
    told = day_later(world, arrival)
    assert told["represents"]["name"] == COMPANY
    (entry,) = pulls(world, mandate.principal_id)
    assert entry.use.other_party == world.subject()
    (seen,) = [row for row in registers.log if row["register"] == "enterprises"]
    assert seen["X-Road-UserId"] == "VN999190000001"
    assert seen["X-Road-Represented-Party"] == f"COM/{TAX_CODE}"


def test_a_code_is_good_for_tokens_even_if_a_register_had_to_be_read_first(
    world: World, registers: Simulator
) -> None:
    signed_in(world)
    world.tick(hours=25)
    asked = '{"id_token": {"name": null, "birthdate": null}}'
    arrival = world.arrive("basic", "openid name birth", claims=asked)
    assert arrival.tokens().claims["name"] == LAN["name"]
    assert registers.asked[Source.POPULATION] == 1
    assert arrival.party.try_redeem(arrival.attempt, arrival.code).body["error"] == "invalid_grant"
