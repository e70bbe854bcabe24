"""What is kept for how long: use history five years, refused applications two, account data for ever."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from accounts.applications import ApplicationKind, ApplicationState, application, evidence
from accounts.notices import NoticeKind
from consent.data_use import Channel, Use, data_use, subject_chain, subject_key
from idp.retention import purge, years_before
from idp.services import Services
from idp.settings import Retention
from tests.support.office import GOOD_VISIT, NEWCOMER, Office
from tests.support.world import World

sqlite_only = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)


def use(services: Services, subject: str, times: int = 1) -> None:
    for _ in range(times):
        services.use_log.record(
            Use(subject, "portal", Channel.ID_TOKEN, ("sub",), "public-service", 1, "consent", "c")
        )


def test_uses_go_after_five_years_and_the_chain_stays_verifiable(world: World) -> None:
    lan, minh = world.subject("lan"), world.subject("minh")
    with world.transaction() as services:
        use(services, lan, 3)
    world.tick(days=2000)
    with world.transaction() as services:
        use(services, lan, 2)
        count = len(services.use_log.of_subject(lan))
    gone = purge(world.installation)["use entries"]
    with world.transaction() as services:
        left = services.use_log.of_subject(lan)
        assert [entry.position for entry in left] == [count, count - 1]
        assert services.use_log.is_intact(lan)
        assert services.use_log.is_intact(minh)
        assert services.use_log.of_subject(minh) == []
        keys = services.db.execute(
            subject_key.select().where(subject_key.c.subject_id == lan)
        ).all()
        assert len(keys) == 1
        use(services, minh)
        use(services, lan)
        assert services.use_log.is_intact(minh)
        assert services.use_log.is_intact(lan)
    assert gone >= count - 2
    assert purge(world.installation)["use entries"] == 0
    # What was emptied once is found again when its new entries grow old.
    world.tick(days=2000)
    assert purge(world.installation)["use entries"] == 4
    with world.transaction() as services:
        assert services.use_log.is_intact(lan)
        found = services.accounts.find_of_subject(lan)
        assert found is not None
        assert services.accounts.history(found.id)
        assert services.held.of_subject(lan)


@pytest.mark.parametrize("tampered", ["removed", "removed_head", "entry"])
@sqlite_only
def test_a_shortened_chain_shows_what_was_tampered_with(world: World, tampered: str) -> None:
    lan = world.subject()
    world.tick(days=2000)
    with world.transaction() as services:
        use(services, lan, 3)
    purge(world.installation)
    with world.transaction() as services:
        chain = update(subject_chain).where(subject_chain.c.subject_id == lan)
        match tampered:
            case "removed":
                services.db.execute(chain.values(removed=subject_chain.c.removed + 1))
            case "removed_head":
                services.db.execute(chain.values(removed_head=bytes(32)))
            case _:
                first = services.use_log.of_subject(lan)[-1].position
                services.db.execute(
                    data_use.delete().where(
                        data_use.c.subject_id == lan, data_use.c.position == first
                    )
                )
    with world.transaction() as services:
        assert not services.use_log.is_intact(lan)


def test_refused_and_abandoned_applications_go_with_their_evidence(world: World) -> None:
    office = Office(world)
    office.knows_citizen(NEWCOMER)
    issued = office.apply(ApplicationKind.CITIZEN_01, NEWCOMER)
    office.issue(issued.id)
    refused = office.apply(ApplicationKind.CITIZEN_02, NEWCOMER)
    abandoned = office.apply(ApplicationKind.CITIZEN_02, {**NEWCOMER, "name": "Đỗ Thị Khác"})
    visited = office.apply(ApplicationKind.CITIZEN_02, NEWCOMER)
    office.visit(refused.id)
    office.visit(visited.id, GOOD_VISIT)
    officer = office.officer()
    with world.transaction() as services:
        services.application_office.refuse(refused.id, officer, "Không đủ điều kiện cấp.")
    world.tick(days=360)
    assert purge(world.installation)["applications"] == 0
    world.tick(days=10)
    assert purge(world.installation)["applications"] == 1
    world.tick(days=365)
    assert purge(world.installation)["applications"] == 1
    with world.transaction() as services:
        tables = services.db
        left = {row.id for row in tables.execute(application.select())}
        assert left == {issued.id, visited.id}
        assert abandoned.id not in left
        kept = {row.application_id for row in tables.execute(evidence.select())}
        assert kept <= left
        assert services.applications.application(issued.id).state is ApplicationState.ISSUED
        assert services.applications.evidence_of(issued.id)


@sqlite_only
def test_periods_can_be_longer_and_notices_go_after_a_year(world: World) -> None:
    settings = world.installation.settings
    world.installation.settings = replace(settings, retention=Retention(use_years=8))
    lan = world.subject()
    with world.transaction() as services:
        services.notices.tell(lan, NoticeKind.DATA_COPIED, {})
    world.tick(days=364)
    assert purge(world.installation)["notices"] == 0
    world.tick(days=2000)
    gone = purge(world.installation)
    assert (gone["notices"], gone["use entries"]) == (1, 0)


def test_five_years_are_counted_by_the_calendar() -> None:
    assert years_before(datetime(2028, 2, 29, tzinfo=UTC), 5) == datetime(2023, 2, 28, tzinfo=UTC)
    assert years_before(datetime(2027, 6, 2, 3, tzinfo=UTC), 5) == datetime(
        2022, 6, 2, 3, tzinfo=UTC
    )
    assert timedelta(days=730) == Retention().refused
