"""The six registers over X-Road: they keep the contract, and whatever is wrong with one is said and
never guessed.
"""

import json
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from accounts.attributes import Source
from accounts.base64url import base64url
from accounts.subject import IdentifierType
from connectors.breaker import REST, TOLERANCE
from connectors.protocol import Event, NotFound, Query, Record, Register, Unavailable
from connectors.registry import SERVICES, remote_registers
from connectors.remote import RemoteRegister
from connectors.simulation.server import Fault, Simulator
from connectors.simulation.store import opened, publish
from consent.use_receipts import Evidence, UseReceipts
from tests.connectors.contract import Known, RegisterContract
from tests.support.clock import Clock
from tests.support.registers import (
    CLIENT,
    RECEIPTS,
    authority,
    evidence,
    population,
    running,
    security_server,
)


@dataclass
class Registers:
    """A client's view of the registers, and the server that it talks to."""

    by_source: dict[Source, RemoteRegister]
    server: Simulator
    file: Path
    clock: Clock

    def one(self, sql: str) -> dict[str, Any]:
        db = sqlite3.connect(self.file)
        db.row_factory = sqlite3.Row
        try:
            return dict(db.execute(sql).fetchone())
        finally:
            db.close()

    def person(self, where: str = "1") -> Query:
        row = self.one(f"SELECT * FROM person WHERE {where} ORDER BY number LIMIT 1")
        return Query(
            IdentifierType.PERSONAL_NUMBER, row["number"], row["name"], row["birthdate"], ("name",)
        )


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return population(tmp_path_factory.mktemp("population") / "registers.db")


@pytest.fixture(scope="module")
def server(file: Path) -> Iterator[Simulator]:
    with running(file) as simulator:
        yield simulator


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def registers(server: Simulator, file: Path, clock: Clock) -> Iterator[Registers]:
    remote = remote_registers(security_server(authority(server)), clock)
    yield Registers(remote, server, file, clock)
    server.set_fault(None, None)


class _Remote(RegisterContract):
    source: Source
    values: dict[str, Any]

    @pytest.fixture
    def register(self, registers: Registers) -> Register:
        return registers.by_source[self.source]

    @pytest.fixture
    def known(self, registers: Registers, register: Register) -> Known:
        query = self.query(registers)
        answer = register.look_up(query, evidence(), datetime.now(UTC))
        assert isinstance(answer, Record), answer
        assert set(answer.values) == set(query.attributes)
        return Known(query, answer.values)

    def query(self, registers: Registers) -> Query:
        raise NotImplementedError


class TestPopulation(_Remote):
    source = Source.POPULATION

    def query(self, registers: Registers) -> Query:
        child = registers.person("father IS NOT NULL AND name LIKE '% % %'")
        return replace(child, attributes=("name", "family_name", "middle_name", "given_name",
            "birthdate", "gender", "nationalities", "vn_pid", "address", "parents"))  # fmt: skip

    def test_claims_are_in_the_shape_that_relying_parties_know(self, known: Known) -> None:
        values = known.values
        assert values["gender"] in {"male", "female"}
        assert values["nationalities"] == ["VNM"]
        assert values["address"]["country"] == "VN"
        assert values["address"]["formatted"].endswith(", Việt Nam")
        assert len(values["parents"]) == 2


class TestIdentityCards(_Remote):
    source = Source.IDENTITY_CARDS

    def query(self, registers: Registers) -> Query:
        holder = registers.person("number IN (SELECT number FROM card WHERE NOT withdrawn)")
        return replace(holder, attributes=("id_card", "portrait"))


class TestImmigration(_Remote):
    source = Source.IMMIGRATION

    def query(self, registers: Registers) -> Query:
        row = registers.one("SELECT * FROM foreigner LIMIT 1")
        return Query(IdentifierType.PASSPORT, row["passport"], row["name"], row["birthdate"],
            ("name", "passport", "residence_card", "passport_mrz", "foreigner_id"))  # fmt: skip


def test_a_passport_with_a_wrong_check_digit_is_no_answer(registers: Registers) -> None:
    row = registers.one("SELECT * FROM foreigner ORDER BY passport DESC LIMIT 1")
    with opened(registers.file) as db:
        wrong = row["mrz"][:-1] + str((int(row["mrz"][-1]) + 1) % 10)
        db.execute("UPDATE foreigner SET mrz = ? WHERE passport = ?", (wrong, row["passport"]))
    query = Query(
        IdentifierType.PASSPORT, row["passport"], row["name"], row["birthdate"], ("passport_mrz",)
    )
    answer = registers.by_source[Source.IMMIGRATION].look_up(query, evidence(), registers.clock())
    with opened(registers.file) as db:
        right = (row["mrz"], row["passport"])
        db.execute("UPDATE foreigner SET mrz = ? WHERE passport = ?", right)
    assert isinstance(answer, Unavailable)
    assert answer.reason == "wrong-answer"


class TestEnterprises(_Remote):
    source = Source.ENTERPRISES

    def query(self, registers: Registers) -> Query:
        row = registers.one("SELECT * FROM enterprise LIMIT 1")
        return Query(IdentifierType.TAX_CODE, row["tax_code"], row["name"], None,
            ("organization_name", "tax_code", "organization_legal_reps", "legal_representatives",
             "organization_status", "organization_address"))  # fmt: skip


class TestSocialInsurance(_Remote):
    source = Source.SOCIAL_INSURANCE

    def query(self, registers: Registers) -> Query:
        insured = registers.person("number IN (SELECT number FROM insurance)")
        return replace(insured, attributes=("si_number", "si_status", "hi_card"))


class TestOfficials(_Remote):
    source = Source.OFFICIALS

    def query(self, registers: Registers) -> Query:
        serving = registers.person("number IN (SELECT number FROM official)")
        return replace(serving, attributes=("civil_servant",))


def ask(registers: Registers, source: Source = Source.POPULATION) -> Any:
    return registers.by_source[source].look_up(registers.person(), evidence(), registers.clock())


WRONG = [
    (Fault.SLOW, "answer-too-slow"),
    (Fault.DRIP, "answer-too-slow"),
    (Fault.DOWN, "answer-cut-short"),
    (Fault.ERROR, "server-error"),
    (Fault.X_ROAD_ERROR, "server-error"),
    (Fault.TRUNCATED, "answer-cut-short"),
    (Fault.LARGE, "answer-too-large"),
    (Fault.GARBAGE, "wrong-answer"),
    (Fault.WRONG_PERSON, "wrong-answer"),
    (Fault.WRONG_ID, "wrong-answer"),
]


@pytest.mark.parametrize(("fault", "reason"), WRONG, ids=[fault.value for fault, _ in WRONG])
def test_what_is_wrong_is_said_within_three_seconds(
    registers: Registers, fault: Fault, reason: str
) -> None:
    registers.server.set_fault(Source.POPULATION, fault)
    begun = time.monotonic()
    answer = ask(registers)
    # On a busy machine it may take longer; all of what drips takes more than a minute.
    assert time.monotonic() - begun < 10
    assert answer == Unavailable("population", reason, registers.clock())


def test_every_fault_of_the_simulator_is_tried() -> None:
    assert {fault for fault, _ in WRONG} | {Fault.NO_RECEIPT} == set(Fault)


def test_a_register_that_is_gone_is_said_to_be_unavailable(clock: Clock) -> None:
    remote = remote_registers(security_server("127.0.0.1:9"), clock)
    query = Query(IdentifierType.PERSONAL_NUMBER, "001", "A", "2000-01-01", ("name",))
    answer = remote[Source.POPULATION].look_up(query, evidence(), clock())
    assert answer == Unavailable("population", "not-reachable", clock())


def test_a_look_up_is_sent_twice_at_most(registers: Registers) -> None:
    for fault, times in ((Fault.ERROR, 2), (Fault.WRONG_PERSON, 1)):
        registers.server.set_fault(Source.OFFICIALS, fault)
        before = registers.server.asked[Source.OFFICIALS]
        serving = registers.person("number IN (SELECT number FROM official)")
        query = replace(serving, attributes=("civil_servant",))
        registers.by_source[Source.OFFICIALS].look_up(query, evidence(), registers.clock())
        assert registers.server.asked[Source.OFFICIALS] - before == times


def test_a_register_that_keeps_failing_is_left_alone_and_probed_later(registers: Registers) -> None:
    registers.server.set_fault(Source.POPULATION, Fault.GARBAGE)
    since = registers.clock()
    for _ in range(TOLERANCE):
        ask(registers)
        registers.clock.advance(seconds=1)
    before = registers.server.asked[Source.POPULATION]
    assert ask(registers) == Unavailable("population", "resting", since)
    assert registers.server.asked[Source.POPULATION] == before
    registers.server.set_fault(Source.POPULATION, None)
    registers.clock.advance(seconds=REST.total_seconds())
    assert isinstance(ask(registers), Record)
    assert registers.by_source[Source.POPULATION].not_available_since is None


def test_one_register_that_fails_takes_no_other_with_it(registers: Registers) -> None:
    registers.server.set_fault(Source.POPULATION, Fault.DOWN)
    for _ in range(TOLERANCE + 1):
        ask(registers)
    holder = registers.person("number IN (SELECT number FROM card)")
    query = replace(holder, attributes=("id_card",))
    answer = registers.by_source[Source.IDENTITY_CARDS].look_up(
        query, evidence(), registers.clock()
    )
    assert isinstance(answer, Record)


def test_a_register_answers_by_its_own_kind_of_number_only(registers: Registers) -> None:
    query = replace(registers.person(), identifier_type=IdentifierType.PASSPORT)
    before = registers.server.asked[Source.POPULATION]
    answer = registers.by_source[Source.POPULATION].look_up(query, evidence(), registers.clock())
    assert answer == NotFound("population")
    assert registers.server.asked[Source.POPULATION] == before


def test_news_comes_in_order_after_what_was_read(registers: Registers) -> None:
    with opened(registers.file) as db:
        written = [publish(db, "officials", "x", str(n), {"n": n}) for n in range(3)]
    feed = registers.by_source[Source.OFFICIALS]
    events = feed.changes(written[0], 10)
    assert isinstance(events, tuple)
    assert [(e.sequence, e.number, e.detail) for e in events] == [
        (written[1], "1", {"n": 1}), (written[2], "2", {"n": 2}),
    ]  # fmt: skip
    assert isinstance(events[0], Event)
    assert len(feed.changes(0, 1)) == 1  # type: ignore[arg-type]


def raw(registers: Registers, path: str, headers: dict[str, str], body: Any = None) -> Any:
    with httpx.Client(base_url=f"http://{authority(registers.server)}", trust_env=False) as client:
        return client.post(path, headers=headers, content=json.dumps(body or {}))


def test_the_simulator_speaks_the_protocol_to_strangers_too(registers: Registers) -> None:
    query = registers.person()
    body = {"full_name": query.name, "birth_date": query.birthdate,
            "personal_number": query.identifier, "fields": ["sex"]}  # fmt: skip
    path = "/r1/VN-TEST/GOV/MPS/population/look-up"
    receipt = evidence().receipt("population", json.dumps(body).encode())
    told = {"X-Road-Client": CLIENT, "X-Road-Id": "m1", "Use-Receipt": receipt}
    answer = raw(registers, path, told, body)
    assert answer.status_code == 200
    assert set(answer.json()["fields"]) == {"sex"}
    assert answer.headers["X-Road-Id"] == "m1"
    assert answer.headers["X-Road-Service"] == "VN-TEST/GOV/MPS/population/look-up"
    refused = raw(registers, path, {}, body)
    assert (refused.status_code, refused.headers["X-Road-Error"]) == (400, "Client.MissingHeader")
    unknown = raw(registers, "/r1/VN-TEST/GOV/MPS/nothing/look-up", {"X-Road-Client": CLIENT})
    assert unknown.headers["X-Road-Error"] == "Server.ServerProxy.UnknownService"


def test_no_receipt_no_data(registers: Registers) -> None:
    query = registers.person()
    body = {"full_name": query.name, "birth_date": query.birthdate,
            "personal_number": query.identifier, "fields": ["sex"]}  # fmt: skip
    other = {**body, "fields": ["sex", "marital_status"]}
    asked, asked_more = (json.dumps(one).encode() for one in (body, other))

    def look_up(receipt: str, what: Any = body) -> int:
        headers = {"X-Road-Client": CLIENT, "X-Road-Id": "m"}
        headers |= {"Use-Receipt": receipt} if receipt else {}
        path = "/r1/VN-TEST/GOV/MPS/population/look-up"
        return int(raw(registers, path, headers, what).status_code)

    good = evidence("e-1")
    forger = UseReceipts(RECEIPTS.issuer, Ed25519PrivateKey.generate())
    header, claims, _ = good.receipt("population", asked).split(".")
    forged = Evidence(good.of, forger).receipt("population", asked)
    assert look_up("") == 403
    assert look_up("x.y.z") == 403
    assert look_up(forged) == 403
    assert look_up(".".join((header, claims, forged.rpartition(".")[2]))) == 403
    assert look_up(good.receipt("officials", asked)) == 403
    assert look_up(good.receipt("population", asked_more)) == 403
    assert look_up(good.receipt("population", asked)) == 200
    # The same question may be sent again; another one needs a receipt of its own.
    assert look_up(good.receipt("population", asked)) == 200
    assert look_up(good.receipt("population", asked_more), other) == 403
    # What it answered is in its own list, once, also where it was made to answer.
    registers.server.set_fault(Source.POPULATION, Fault.NO_RECEIPT)
    assert look_up("") == 200
    registers.server.set_fault(Source.POPULATION, None)
    listed = registers.by_source[Source.POPULATION].answered(good.of.at.date(), 0, 1000)
    assert isinstance(listed, tuple)
    mine = [one for one in listed if one.entry == "e-1"]
    assert [one.commitment for one in mine] == [base64url(good.of.commitment)]
    assert listed[-1].entry == ""
    after = registers.by_source[Source.POPULATION].answered(
        good.of.at.date(), listed[-1].sequence, 1000
    )
    assert after == ()


def test_faults_are_switched_while_it_runs(registers: Registers) -> None:
    switch = {"register": "*", "fault": "garbage"}
    assert raw(registers, "/control/faults", {}, switch).status_code == 200
    assert isinstance(ask(registers), Unavailable)
    assert raw(registers, "/control/faults", {}, switch | {"fault": None}).status_code == 200
    assert isinstance(ask(registers), Record)
    assert raw(registers, "/control/faults", {}, {"register": "x"}).status_code == 400


def test_every_register_has_a_place_of_its_own() -> None:
    places = {service.place("VN") for service in SERVICES}
    assert len(places) == len(SERVICES) == 6
