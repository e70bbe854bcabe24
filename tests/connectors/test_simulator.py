"""The simulated registers keep the contract of every register."""

import pytest
from sqlalchemy import select

from accounts.attributes import Source
from accounts.subject import IdentifierType
from connectors.protocol import NotFound, Query, Record, Register
from connectors.registry import registers
from connectors.simulator import SimulatedRegister, simulated_record, simulated_registers
from idp.services import Services
from tests.connectors.contract import NOW, Known, RegisterContract

PERSON = {"name": "Đỗ Thị Mẫu", "birthdate": "1991-02-03", "gender": "female"}
COMPANY = {"organization_name": "Công ty Mẫu", "tax_code": "9990000011"}


class TestPopulation(RegisterContract):
    @pytest.fixture
    def register(self, services: Services) -> Register:
        return simulated_registers(services.db, services.installation.vault)[Source.POPULATION]

    @pytest.fixture
    def known(self, register: SimulatedRegister) -> Known:
        number = IdentifierType.PERSONAL_NUMBER
        register.enter(number, "999091000009", PERSON, NOW)
        query = Query(number, "999091000009", PERSON["name"], PERSON["birthdate"], tuple(PERSON))
        return Known(query, PERSON)

    def test_a_record_written_again_is_replaced(
        self, register: SimulatedRegister, known: Known
    ) -> None:
        register.enter(
            known.query.identifier_type, known.query.identifier, PERSON | {"gender": "male"}, NOW
        )
        answer = register.look_up(known.query, "e", NOW)
        assert isinstance(answer, Record)
        assert answer.values["gender"] == "male"

    def test_records_are_sealed(
        self, services: Services, register: SimulatedRegister, known: Known
    ) -> None:
        rows = services.db.execute(
            select(simulated_record.c.sealed, simulated_record.c.blind_index)
        ).all()
        assert rows
        for row in rows:
            assert known.query.identifier.encode() not in row.sealed + row.blind_index
            assert b"1991-02-03" not in row.sealed

    def test_one_register_does_not_answer_for_another(
        self, services: Services, known: Known
    ) -> None:
        other = simulated_registers(services.db, services.installation.vault)[Source.IMMIGRATION]
        assert isinstance(other.look_up(known.query, "e", NOW), NotFound)


class TestEnterprises(RegisterContract):
    @pytest.fixture
    def register(self, services: Services) -> Register:
        return simulated_registers(services.db, services.installation.vault)[Source.ENTERPRISES]

    @pytest.fixture
    def known(self, register: SimulatedRegister) -> Known:
        tax_code = IdentifierType.TAX_CODE
        register.enter(tax_code, COMPANY["tax_code"], COMPANY, NOW)
        query = Query(
            tax_code, COMPANY["tax_code"], COMPANY["organization_name"], None, tuple(COMPANY)
        )
        return Known(query, COMPANY)


def test_every_source_that_is_a_register_has_one(services: Services) -> None:
    held = registers(services.db, services.installation.vault)
    assert {source.value: register.name for source, register in held.items()} == {
        name: name for name in ("population", "immigration", "enterprises")
    }
