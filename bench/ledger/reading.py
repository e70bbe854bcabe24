"""Measures 1 to 5: reading records, as the person's pages do."""

import random
import re
import statistics
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from bench.ledger.world import ISSUER, RUNS, Place, Report, milliseconds, now, percentile
from consent.history import History, Wanted
from idp.app import create_app
from idp.database import for_reading
from idp.door import Door
from idp.web.language import TIME_ZONE

_LINKED = re.compile(rb'(?:href|src)="(/static/[^"]+)"')
FIRST_LOAD = 100 * 1024
_FIRST = 24


def of(place: Place, subject_id: str, act: Callable[[History], Any]) -> float:
    """Return the milliseconds of reading one record in a transaction of its own."""
    with for_reading(place.installation.engine).begin() as db:
        history = History(db, subject_id)
        return milliseconds(lambda: act(history))


def latest(history: History) -> Any:
    """Read the newest page."""
    return history.page(Wanted(), limit=50)


def random_people(place: Place, times: int, act: Callable[[History], Any] = latest) -> list[float]:
    """Return the milliseconds of reading different people's records."""
    chance = random.Random(place.people[-1])
    return [of(place, chance.choice(place.people[1:]), act) for _ in range(times)]


def agencies(history: History) -> None:
    """Read what the page of agencies tells."""
    history.agencies()


def months(history: History) -> None:
    """Read what the page of months tells: uses by agency and by attribute in twelve of them."""
    history.months(now() - timedelta(days=365), TIME_ZONE)


def measure_reading(place: Place, report: Report, times: int) -> float:
    """Measure a person's reads; return the median of the newest page."""
    random_people(place, times)
    took = [random_people(place, times) for _ in range(RUNS)]
    report.runs("1", "latest 50 of random people, warm", took, 10)
    report.runs("3", "latest 50 of the person with the long record",
                 _long_record(place, times, latest), 15)  # fmt: skip
    for what, act in (("12 months by agency", months), ("agencies and what they saw", agencies)):
        each = [random_people(place, times, act) for _ in range(RUNS)]
        report.runs("4", f"{what}, random people", each, 20)
        report.runs("4", f"{what}, the long record (latest 20,000)",
                     _long_record(place, times // 5, act), 20)  # fmt: skip
    return statistics.median(percentile(run, 0.5) for run in took)


def _long_record(place: Place, times: int, act: Callable[[History], Any]) -> list[list[float]]:
    return [[of(place, place.people[0], act) for _ in range(times)] for _ in range(RUNS)]


def measure_cold(place: Place, report: Report, times: int) -> None:
    """Measure after a restart with nothing of the database's files in memory."""
    if place.server is None:
        report.say("1", "cold", "not measured on SQLite")
        return
    chance, runs = random.Random(1), []
    for _ in range(RUNS):
        place.installation.engine.dispose()
        place.server.restart_cold()
        some = chance.sample(place.people[1:], min(_FIRST + times, len(place.people) - 1))
        # By the first the connection gets its plans, which a running server has.
        for subject_id in some[:_FIRST]:
            of(place, subject_id, latest)
        runs.append([of(place, subject_id, latest) for subject_id in some[_FIRST:]])
    report.runs("1", "latest 50 of random people, files not in memory", runs, 50)


def measure_page(place: Place, report: Report, times: int) -> None:
    """Measure the timeline's page in a signed-in browser."""
    app = create_app(installation=place.installation)
    try:
        for who, name in ((1, "a record of usual length"), (0, "the long record")):
            client = app.test_client()
            client.set_cookie("__Host-sen_session", place.citizens[who].cookie, domain="id.example")
            get = lambda path, client=client: client.get(  # noqa: E731
                path, base_url=ISSUER, headers={"Accept-Encoding": "gzip, br"}
            )
            page = get("/me/uses")
            assert page.status_code == 200, page.status
            assert b"/me/uses/" in page.data
            again = partial(get, "/me/uses")
            took = [[milliseconds(again) for _ in range(times)] for _ in range(RUNS)]
            report.runs("5", f"/me/uses, {name}", took, 150, 0.95)
            if who == 0:
                continue
            linked = [get(path.decode()).data for path in set(_LINKED.findall(page.data))]
            size, rest = len(page.data), sum(map(len, linked))
            figure = f"{size / 1024:.0f} + {rest / 1024:.0f} KB"
            report.say("5", "first load, as sent: page + what it links but fonts", figure,
                       "≤ 100 KB", met=size + rest <= FIRST_LOAD)  # fmt: skip
    finally:
        door = app.wsgi_app
        assert isinstance(door, Door)
        door.close()
