"""What every register must do, whoever implements it.

A test class takes these behaviours over by inheriting from `RegisterContract` and giving `register`
and `known`.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from connectors.protocol import NotFound, Query, Record, Register
from consent.use_receipts import Evidence
from tests.support.registers import RECEIPTS, evidence

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


@dataclass(frozen=True)
class Known:
    """Somebody the register knows: a query that names her rightly, and her values."""

    query: Query
    values: dict[str, Any]


class RegisterContract:
    """The behaviours."""

    @pytest.fixture
    def register(self) -> Register:
        raise NotImplementedError

    @pytest.fixture
    def known(self, register: Register) -> Known:
        raise NotImplementedError

    def ask(self, register: Register, query: Query) -> Record | NotFound:
        answer = register.look_up(query, evidence(), datetime.now(UTC))
        assert isinstance(answer, (Record, NotFound))
        assert answer.register == register.name
        return answer

    def test_whoever_is_named_rightly_is_found(self, register: Register, known: Known) -> None:
        answer = self.ask(register, known.query)
        assert isinstance(answer, Record)
        assert answer.values == known.values
        assert answer.as_of.tzinfo is not None

    def test_only_the_attributes_asked_for_come_back(
        self, register: Register, known: Known
    ) -> None:
        wanted = next(iter(known.values))
        answer = self.ask(register, replace(known.query, attributes=(wanted, "no_such")))
        assert isinstance(answer, Record)
        assert answer.values == {wanted: known.values[wanted]}

    def test_a_name_may_be_spelled_in_capitals_and_with_more_spaces(
        self, register: Register, known: Known
    ) -> None:
        spelled = "  ".join(known.query.name.upper().split())
        assert isinstance(self.ask(register, replace(known.query, name=spelled)), Record)

    def test_another_name_finds_nobody(self, register: Register, known: Known) -> None:
        other = replace(known.query, name=known.query.name + " X")
        assert isinstance(self.ask(register, other), NotFound)

    def test_a_number_nobody_bears_finds_nobody(self, register: Register, known: Known) -> None:
        other = replace(known.query, identifier="999999999999")
        assert isinstance(self.ask(register, other), NotFound)

    def test_another_birth_date_finds_nobody(self, register: Register, known: Known) -> None:
        if known.query.birthdate is None:
            pytest.skip("organisations have none")
        other = replace(known.query, birthdate="1900-01-01")
        assert isinstance(self.ask(register, other), NotFound)

    def test_nobody_is_asked_about_without_a_use_entry(
        self, register: Register, known: Known
    ) -> None:
        with pytest.raises(ValueError, match="use entry"):
            register.look_up(known.query, Evidence(evidence().of._replace(id=""), RECEIPTS), NOW)
