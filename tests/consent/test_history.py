"""What is told of a whole record agrees with its entries, by whichever plan the database counts them."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from accounts.subject import SubjectKind
from consent import history
from consent.data_use import PROVIDER, Channel, Outcome, Use, UseEntry
from consent.history import History, Wanted
from idp.services import Services
from tests.support.clock import Clock

HANOI = ZoneInfo("Asia/Ho_Chi_Minh")


@pytest.fixture
def record(services: Services, clock: Clock) -> str:
    """Seventy uses in five months and more, by three agencies and the provider, some refused."""
    subject_id = services.subjects.add(SubjectKind.PERSON)
    for number in range(70):
        clock.advance(days=2, hours=7)
        services.use_log.record(
            Use(
                subject_id=subject_id,
                client_id=("portal", "bank", "hospital", PROVIDER)[number % 4],
                channel=Channel.USERINFO,
                attributes=(("sub", "name"), ("sub",), ("sub", "birthdate", "name"))[number % 3],
                purpose="public-service",
                purpose_version=1,
                legal_basis="consent",
                correlation="c" * 32,
                outcome=Outcome.REFUSED if number % 7 == 0 else Outcome.RELEASED,
            )
        )
    return subject_id


def counted(entries: list[UseEntry]) -> dict[str, Counter[tuple[int, int]]]:
    told: dict[str, Counter[tuple[int, int]]] = {}
    for one in entries:
        if one.use.common.personal and one.use.outcome is Outcome.RELEASED:
            local = one.at.astimezone(HANOI)
            told.setdefault(one.use.client_id, Counter())[local.year, local.month] += 1
    return told


@pytest.mark.parametrize("long", [0, 1_000], ids=["planned anew", "plan kept"])
@pytest.mark.parametrize("latest", [30, 20_000], ids=["cut off", "whole"])
def test_months_and_agencies_are_what_the_entries_say(
    services: Services, record: str, clock: Clock, monkeypatch: pytest.MonkeyPatch,
    long: int, latest: int,
) -> None:  # fmt: skip
    monkeypatch.setattr(history, "_LONG", long)
    monkeypatch.setattr(history, "LOOKS_BACK", latest)
    told = History(services.db, record)
    entries = list(told.all(Wanted()))[:latest]
    since = clock() - timedelta(days=365)
    assert told.months(since, HANOI).by_agency == counted(entries)
    assert told.months(since, HANOI).is_whole == (latest > 70)
    assert set(told.months(since, HANOI, "bank").by_agency) == {"bank"}
    lately = clock() - timedelta(days=20)
    assert told.months(lately, HANOI).by_agency == counted([e for e in entries if e.at >= lately])
    agencies = {one.client_id: one for one in told.agencies(latest)}
    for name in ("portal", "bank", "hospital", PROVIDER):
        own = [one for one in entries if one.use.client_id == name]
        refused = sum(one.use.outcome is Outcome.REFUSED for one in own)
        assert (agencies[name].uses, agencies[name].refused) == (len(own) - refused, refused)
        assert (agencies[name].first, agencies[name].last) == (own[-1].at, own[0].at)


def test_pages_follow_one_another_and_leave_out_what_is_not_told(
    services: Services, record: str
) -> None:
    whole = History(services.db, record)
    first = whole.page(Wanted())
    assert [one.position for one in first] == list(range(70, 20, -1))
    rest = whole.page(Wanted(), before=first[-1].position)
    assert [one.position for one in rest] == list(range(20, 0, -1))
    part = History(services.db, record, without=frozenset({"birthdate"}))
    told = [one for one in [*first, *rest] if part.entry(one.position) is not None]
    assert part.page(Wanted()) == told[:50]
    assert all(
        one.use.client_id == PROVIDER or "birthdate" not in one.use.attributes for one in told
    )
    assert replace(Wanted(), agency="bank").fits(told[0]) == (told[0].use.client_id == "bank")
