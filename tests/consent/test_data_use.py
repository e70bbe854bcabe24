"""The log of uses: gap-free, in order, and nothing in it can be changed unnoticed."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError

from accounts.subject import SubjectKind
from bench.forging import forge
from consent.data_use import (
    PROVIDER,
    Channel,
    Outcome,
    Use,
    data_use,
    entry_of,
    moments_at,
    rows_at,
    subject_chain,
    subject_key,
)
from idp.services import Installation, Services
from tests.support.at_once import at_once
from tests.support.clock import Clock


@pytest.fixture
def subject(services: Services) -> str:
    return services.subjects.add(SubjectKind.PERSON)


@pytest.fixture
def use(subject: str) -> Use:
    return _use(subject)


def _use(subject_id: str) -> Use:
    return Use(
        subject_id=subject_id,
        client_id="portal",
        channel=Channel.USERINFO,
        attributes=("sub", "name"),
        purpose="public-service",
        purpose_version=1,
        legal_basis="consent",
        correlation="c" * 32,
        consent_id="b" * 32,
        grant_id="a" * 32,
    )


@pytest.fixture
def five(services: Services, use: Use, clock: Clock) -> Iterator[str]:
    """A subject with five entries, a second apart."""
    for number in range(5):
        services.use_log.record(replace(use, correlation=f"{number}"))
        clock.advance(seconds=1)
    assert services.use_log.is_intact(use.subject_id)
    return use.subject_id  # type: ignore[return-value]


def test_an_entry_says_who_what_why_and_when(services: Services, use: Use, clock: Clock) -> None:
    services.use_log.record(use)
    (entry,) = services.use_log.of_subject(use.subject_id)
    assert replace(entry.use, attributes=tuple(sorted(entry.use.attributes))) == replace(
        use, attributes=("name", "sub")
    )
    assert (entry.position, entry.at) == (1, clock())


def test_positions_have_no_gaps_and_newest_come_first(services: Services, five: str) -> None:
    entries = services.use_log.of_subject(five)
    assert [entry.position for entry in entries] == [5, 4, 3, 2, 1]
    page = services.use_log.of_subject(five, before=4, limit=2)
    assert [entry.position for entry in page] == [3, 2]


def test_entries_are_found_by_their_places_as_far_as_they_are_there(
    services: Services, use: Use, five: str, clock: Clock
) -> None:
    other = services.subjects.add(SubjectKind.PERSON)
    services.use_log.record(replace(use, subject_id=other))
    mine = {entry.position: entry for entry in services.use_log.of_subject(five)}
    (theirs,) = services.use_log.of_subject(other)
    places = [(five, 2), (five, 5), (five, 6), (other, 1), ("f" * 32, 1)]
    since, until = mine[2].at, clock() + timedelta(microseconds=1)

    found = [entry_of(row) for row in rows_at(services.db, places, since, until)]
    assert sorted(found, key=lambda entry: entry.at) == [mine[2], mine[5], theirs]
    moments = moments_at(services.db, places, since, mine[5].at)
    assert [tuple(row) for row in moments] == [(five, 2, mine[2].at)]
    assert not rows_at(services.db, [], since, until)


def test_many_appended_at_once_are_what_one_after_the_other_would_be(
    services: Services, use: Use, five: str, clock: Clock
) -> None:
    new = services.subjects.add(SubjectKind.PERSON)
    odd = replace(use, correlation="tab\tand \\ back", detail={"reason": "a\nb"}, consent_id=None)
    uses = [
        replace(use, correlation="6"),
        replace(odd, subject_id=new),
        replace(use, outcome=Outcome.REFUSED),
        replace(odd, subject_id=new, attributes=("sub",)),
    ]
    before = len(services.use_log.released)
    written = services.use_log.record_many(uses)
    assert [(one.subject_id, one.position) for one in written] == [
        (five, 6), (new, 1), (five, 7), (new, 2),
    ]  # fmt: skip
    assert all(services.use_log.is_committed(one) for one in written)
    assert services.use_log.released[before:] == [written[0], written[1], written[3]]
    found = services.use_log.of_subject(new)[1]
    assert (replace(found.use, attributes=()), found.at) == (
        replace(odd, subject_id=new, attributes=()), clock(),
    )  # fmt: skip
    # One by one goes on where many ended.
    services.use_log.record(use)
    services.use_log.record(replace(use, subject_id=new))
    for subject_id, length in ((five, 8), (new, 3)):
        assert services.use_log.is_intact(subject_id)
        assert services.use_log.of_subject(subject_id)[0].position == length
    assert services.use_log.record_many([]) == []


@pytest.mark.parametrize(
    ("wrong", "error"),
    [({"detail": {"reason": object()}}, TypeError), ({"correlation": None}, IntegrityError)],
    ids=["what-cannot-be-spelled", "what-the-database-refuses"],
)
def test_many_of_which_one_cannot_be_written_are_not_written_at_all(
    installation: Installation, wrong: dict[str, Any], error: type[Exception]
) -> None:
    with installation.engine.begin() as db:
        person = installation.services(db).subjects.add(SubjectKind.PERSON)
    good = [_use(person)] * 1000
    with pytest.raises(error), installation.engine.begin() as db:
        installation.services(db).use_log.record_many([*good, replace(good[0], **wrong), *good])
    with installation.engine.begin() as db:
        log = installation.services(db).use_log
        assert log.of_subject(person) == []
        assert [one.position for one in log.record_many(good)] == list(range(1, 1001))
        assert log.is_intact(person)


def test_many_appended_by_two_at_once_in_other_orders_are_all_there(
    installation: Installation,
) -> None:
    with installation.engine.begin() as db:
        people = [installation.services(db).subjects.add(SubjectKind.PERSON) for _ in range(20)]

    def append(subjects: list[str]) -> None:
        for _ in range(5):
            with installation.engine.begin() as db:
                installation.services(db).use_log.record_many([_use(one) for one in subjects])

    results = at_once(lambda: append(people), lambda: append(people[::-1]))
    assert results == [None, None]
    with installation.engine.begin() as db:
        log = installation.services(db).use_log
        assert all(log.is_intact(one) and len(log.of_subject(one)) == 10 for one in people)


def test_an_empty_chain_is_intact(services: Services, subject: str) -> None:
    assert services.use_log.is_intact(subject)


CHANGES = [
    {"client_id": "other"},
    {"attributes": '["name"]'},
    {"purpose": "banking"},
    {"outcome": "refused"},
    {"channel": "id_token"},
    {"at": datetime(2001, 1, 1, tzinfo=UTC)},
    {"consent_id": None},
    {"legal_basis": "statutory-function"},
    {"correlation": "x"},
    {"commitment": bytes(32)},
    {"position": 9},
    {"other_party": "x" * 32},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
def test_an_edited_entry_is_noticed(
    services: Services, five: str, change: dict[str, object]
) -> None:
    forge(services.db, five, 3, **change)
    assert not services.use_log.is_intact(five)


@pytest.mark.parametrize("position", [1, 3, 5])
def test_a_deleted_entry_is_noticed(services: Services, five: str, position: int) -> None:
    services.db.execute(
        delete(data_use).where(data_use.c.subject_id == five, data_use.c.position == position)
    )
    assert not services.use_log.is_intact(five)


def test_reordered_entries_are_noticed(services: Services, five: str) -> None:
    for old, new in ((2, 9), (3, 2), (9, 3)):
        services.db.execute(
            update(data_use)
            .where(data_use.c.subject_id == five, data_use.c.position == old)
            .values(position=new)
        )
    assert not services.use_log.is_intact(five)


def test_a_cut_tail_is_noticed_unless_the_head_is_forged_too(services: Services, five: str) -> None:
    services.db.execute(
        delete(data_use).where(data_use.c.subject_id == five, data_use.c.position == 5)
    )
    services.db.execute(
        update(subject_chain).where(subject_chain.c.subject_id == five).values(length=4)
    )
    assert not services.use_log.is_intact(five)


def test_without_the_years_key_nothing_can_be_proved(services: Services, five: str) -> None:
    services.db.execute(delete(subject_key).where(subject_key.c.subject_id == five))
    assert not services.use_log.is_intact(five)


def test_a_chain_goes_on_over_new_year(services: Services, use: Use, clock: Clock) -> None:
    clock.set(datetime(clock().year, 12, 31, 23, 59, 59, tzinfo=UTC))
    services.use_log.record(use)
    clock.advance(seconds=2)
    services.use_log.record(use)
    clock.advance(days=400)
    services.use_log.record(use)
    assert services.use_log.is_intact(use.subject_id)
    keys = services.db.execute(
        select(subject_key.c.year).where(subject_key.c.subject_id == use.subject_id)
    )
    assert len(keys.all()) == 3


def test_f14_time_in_a_chain_never_runs_backwards(
    services: Services, use: Use, clock: Clock
) -> None:
    later = clock()
    services.use_log.record(use)
    clock.advance(hours=-1)
    services.use_log.record(use)
    assert [entry.at for entry in services.use_log.of_subject(use.subject_id)] == [later, later]
    assert services.use_log.is_intact(use.subject_id)


def test_the_summary_counts_agencies_and_uses_of_personal_data(
    services: Services, use: Use, clock: Clock
) -> None:
    services.use_log.record(replace(use, client_id="old"))
    clock.advance(days=31)
    services.use_log.record(use)
    services.use_log.record(use)
    services.use_log.record(replace(use, client_id="bank"))
    services.use_log.record(replace(use, client_id="third", attributes=("sub",)))
    services.use_log.record(replace(use, client_id="fourth", outcome=Outcome.REFUSED))
    services.use_log.record(replace(use, client_id=PROVIDER, channel=Channel.CONNECTOR_PULL))
    summary = services.use_log.summary(use.subject_id, timedelta(days=30))
    assert (summary.agencies, summary.uses) == (2, 3)


def test_two_subjects_have_two_chains(services: Services, use: Use) -> None:
    other = services.subjects.add(SubjectKind.PERSON)
    for subject in (use.subject_id, other, use.subject_id):
        services.use_log.record(replace(use, subject_id=subject))
    assert len(services.use_log.of_subject(other)) == 1
    assert services.use_log.is_intact(other)
    assert services.use_log.is_intact(use.subject_id)


def test_many_writers_at_once_leave_no_gap_and_no_fork(
    installation: Installation,
) -> None:
    with installation.engine.begin() as db:
        subject = installation.services(db).subjects.add(SubjectKind.PERSON)
    use = Use(subject, "portal", Channel.USERINFO, ("sub",), "public-service", 1, "consent", "c")
    failures: list[BaseException] = []

    def write() -> None:
        try:
            for _ in range(10):
                with installation.engine.begin() as db:
                    installation.services(db).use_log.record(use)
        except BaseException as error:  # noqa: BLE001 - told by the main thread
            failures.append(error)

    writers = [threading.Thread(target=write) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert not failures
    with installation.engine.begin() as db:
        log = installation.services(db).use_log
        assert [e.position for e in log.of_subject(subject)] == list(range(40, 0, -1))
        assert log.is_intact(subject)


def test_a_rolled_back_release_leaves_no_entry(installation: Installation) -> None:
    with installation.engine.begin() as db:
        subject = installation.services(db).subjects.add(SubjectKind.PERSON)
    use = Use(subject, "portal", Channel.USERINFO, ("sub",), "public-service", 1, "consent", "c")
    with installation.engine.connect() as db:
        installation.services(db).use_log.record(use)
        db.rollback()
    with installation.engine.begin() as db:
        log = installation.services(db).use_log
        assert log.of_subject(subject) == []
        log.record(use)
        assert log.is_intact(subject)
