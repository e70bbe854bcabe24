"""Mandates: the register decides who may act for whom."""

import pytest

from accounts.mandates import Mandate, MandateType
from accounts.subject import SubjectKind
from idp.services import Services
from tests.support.clock import Clock

LEGAL = MandateType.LEGAL_REP


@pytest.fixture
def company(services: Services) -> str:
    return services.subjects.add(SubjectKind.ORGANISATION)


@pytest.fixture
def agent(services: Services, company: str) -> str:
    agent = services.subjects.add(SubjectKind.PERSON)
    services.mandates.follow_register(LEGAL, company, {agent}, "enterprises")
    return agent


def held(services: Services, agent: str) -> list[Mandate]:
    return services.mandates.held_by(agent)


def test_a_representative_holds_a_mandate(services: Services, company: str, agent: str) -> None:
    (mandate,) = held(services, agent)
    assert (mandate.principal_id, mandate.type, mandate.valid_to) == (company, LEGAL, None)


def test_the_same_register_entry_again_changes_nothing(
    services: Services, company: str, agent: str
) -> None:
    before = held(services, agent)
    assert services.mandates.follow_register(LEGAL, company, {agent}, "enterprises") == set()
    assert held(services, agent) == before


def test_a_mandate_ends_with_the_register_entry(
    services: Services, company: str, agent: str, clock: Clock
) -> None:
    (mandate,) = held(services, agent)
    other = services.subjects.add(SubjectKind.PERSON)
    lost = services.mandates.follow_register(LEGAL, company, {other}, "enterprises")
    clock.advance(seconds=1)
    assert lost == {agent}
    assert held(services, agent) == []
    assert services.mandates.find_in_force(mandate.id, agent) is None
    assert len(held(services, other)) == 1


def test_a_mandate_is_nobody_elses(services: Services, agent: str) -> None:
    (mandate,) = held(services, agent)
    stranger = services.subjects.add(SubjectKind.PERSON)
    assert services.mandates.find_in_force(mandate.id, agent) == mandate
    assert services.mandates.find_in_force(mandate.id, stranger) is None
