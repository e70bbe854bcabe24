"""Requests to read a chip: each is good once and not for long."""

import pytest
from sqlalchemy import select

from accounts.applications import ApplicationKind
from accounts.chip_requests import LIFE, chip_request
from accounts.subject import SubjectKind
from idp.services import Services
from tests.support.clock import Clock


@pytest.fixture
def application(services: Services) -> str:
    subject = services.subjects.add(SubjectKind.PERSON)
    id_, _reference = services.applications.submit(
        ApplicationKind.CITIZEN_02,
        {"name": "A"},
        subject_id=subject,
        applicant_id=None,
        due_at=None,
    )
    return id_


def test_a_request_is_good_for_one_reading(services: Services, application: str) -> None:
    code = services.chip_requests.begin(application)
    found = services.chip_requests.spend(f" {code.lower()} ")
    assert found is not None
    assert (found.application_id, len(found.nonce)) == (application, 8)
    assert services.chip_requests.spend(code) is None
    assert services.chip_requests.find_open(code) is None


def test_a_request_ends_by_itself_and_by_the_next_one(
    services: Services, application: str, clock: Clock
) -> None:
    first = services.chip_requests.begin(application)
    second = services.chip_requests.begin(application)
    assert services.chip_requests.find_open(first) is None
    found = services.chip_requests.find_open(second)
    assert found is not None
    clock.advance(seconds=LIFE.total_seconds())
    assert services.chip_requests.spend(second) is None
    clock.advance(seconds=1)
    assert services.chip_requests.purge(clock()) == 2


def test_a_code_is_kept_as_a_mac_only(services: Services, application: str) -> None:
    code = services.chip_requests.begin(application)
    (row,) = services.db.execute(select(chip_request)).all()
    assert all(code.replace("-", "").encode() not in bytes(str(value), "utf-8") for value in row)
    assert services.chip_requests.find_open("") is None
