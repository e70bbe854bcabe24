"""PostgreSQL keeps a table a month, made ahead; what came before its table was made is moved there."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select, text

from accounts.subject import SubjectKind
from consent import partitions
from consent.data_use import Channel, Use, data_use
from consent.history import History
from idp import ledger
from idp.database import upgrade
from idp.services import Installation, prepare_keys
from tests.support.at_once import at_once
from tests.support.clock import Clock
from tests.support.stores import on_the_stricter_database, settings_for

pytestmark = on_the_stricter_database
USE = Use(
    subject_id="", client_id="portal", channel=Channel.USERINFO, attributes=("sub", "name"),
    purpose="public-service", purpose_version=1, legal_basis="consent", correlation="c" * 32,
)  # fmt: skip


@pytest.fixture
def time() -> Clock:
    return Clock(datetime(2026, 12, 30, tzinfo=UTC))


@pytest.fixture
def place(empty_database_url: str, tmp_path: Path, time: Clock) -> Iterator[Installation]:
    """An installation of its own: what is made here stays in a database."""
    installation = Installation(settings_for(empty_database_url, tmp_path), clock=time)
    upgrade(installation.engine)
    prepare_keys(installation)
    yield installation
    installation.engine.dispose()


def use(place: Installation, subject_id: str, times: int = 1) -> None:
    with place.engine.begin() as db:
        for _ in range(times):
            place.services(db).use_log.record(replace(USE, subject_id=subject_id))


def where(place: Installation) -> list[str]:
    """Return the tables of a month in which the entries are, by their moments."""
    table = text("tableoid::regclass::text")
    with place.engine.begin() as db:
        rows = db.execute(select(table, data_use.c.at).order_by(data_use.c.at, data_use.c.position))
        return [row[0].removeprefix("data_use_")[:7] for row in rows]


def prepare(place: Installation) -> list[partitions.Month]:
    with place.engine.begin() as db:
        return partitions.prepare(db, place.clock())


def test_entries_are_kept_by_month(place: Installation, time: Clock) -> None:
    with place.engine.begin() as db:
        one, other = (place.services(db).subjects.add(SubjectKind.PERSON) for _ in range(2))
    use(place, one, 3)
    assert where(place) == ["rest"] * 3
    # The months that were made at once by two servers, and by upkeep, are made once.
    made = at_once(lambda: prepare(place), lambda: prepare(place))
    assert sorted(made, key=len) == [[], [(2026, 12), (2027, 1), (2027, 2), (2027, 3)]]
    assert where(place) == ["2026_12"] * 3
    sequencer = ledger.sequencer(place)
    sequencer.run_once()
    time.advance(days=3)
    use(place, one, 2)
    use(place, other)
    assert where(place) == ["2026_12"] * 3 + ["2027_01"] * 3
    assert sequencer.run_once().entries == 3
    time.advance(days=365)
    use(place, one)
    assert where(place)[-1] == "rest"
    assert prepare(place) == [(2028, 1), (2028, 2), (2028, 3), (2028, 4)]
    assert where(place)[-1] == "2028_01"
    with place.engine.begin() as db:
        log, history = place.services(db).use_log, History(db, one)
        assert log.is_intact(one)
        assert [entry.position for entry in log.of_subject(one)] == [6, 5, 4, 3, 2, 1]
        (agency,) = history.agencies()
        assert (agency.uses, agency.first.year, agency.last.year) == (6, 2026, 2028)
        partitions.drop(db, (2026, 12))
        assert [entry.position for entry in log.of_subject(one)] == [6, 5, 4]
