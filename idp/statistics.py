"""Figures of how agencies use data, for everybody and for inspectors: computed once in a while, from
figures that are kept by month, and never so small that they tell of one person.
"""

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import NamedTuple
from weakref import WeakKeyDictionary

from sqlalchemy import Connection

from accounts.legal_clock import HANOI
from consent import tallies, use_reports
from consent.data_use import Channel
from consent.ledger import tiles
from consent.ledger.epoch import ROOT_LOG, Epoch
from consent.ledger.policy import Standing
from consent.log_state import LogState
from consent.reconciliation import Reconciled, Reconciliations
from consent.sequencer import oldest_waiting
from consent.small_counts import LEAST, hidden
from consent.tallies import Kind
from consent.use_reports import Coverage
from idp import ledger
from idp.database import for_reading
from idp.services import Installation, Services

EVERY = timedelta(minutes=10)
MONTHS = 12
_COMPARED_WITHIN = timedelta(days=7)


class How(Enum):
    """How a figure is told."""

    EXACT = "exact"
    SMALL = "small"
    """Fewer than ten."""
    HIDDEN = "hidden"
    """Not shown, because another could be computed from it."""
    AT_LEAST = "at-least"
    """Of a month that is not over: so many tens, lest two looks at the page tell what happened between."""


class Figure(NamedTuple):
    """One figure as it is published."""

    how: How
    value: int = 0


Cell = tuple[str, ...]
"""What a figure counts: a period, an agency, and what else it is told by."""
Row = dict[str, Figure]
"""Figures by month; a month without one had none."""


class Late(NamedTuple):
    """What an agency owes after the legal day: answers, and words that it has stopped."""

    cases: int
    withdrawals: int


@dataclass(frozen=True)
class Statistics:
    """All figures. ``months`` are the newest first, the first is not over yet."""

    made_at: datetime
    months: list[str]
    by_purpose: dict[Cell, Row]
    """By agency and purpose."""
    by_channel: dict[Cell, Row]
    """By agency, channel and outcome."""
    late: dict[str, Late]
    oldest_waiting: datetime | None
    """When the oldest use was made that was not published then."""
    sealed: dict[Cell, Row]
    """Sealed reads by class. All exact: the published list names each, with authority and day."""
    reconciled: Reconciled | None
    """The newest day that was compared with what others hold, of the last week."""
    coverage: list[Coverage]
    """How far agencies report later uses, of what they were given since the month before began."""


@dataclass(frozen=True)
class Health:
    """How the published logs are: the newest checkpoint, who cosigned it, and when."""

    epochs: int
    published_at: int
    """Seconds of POSIX of the newest epoch."""
    standing: Standing


_KEPT: WeakKeyDictionary[Installation, Statistics] = WeakKeyDictionary()
_ONE_AT_A_TIME = threading.Lock()


def statistics(installation: Installation) -> Statistics:
    """Return the figures, not older than ``EVERY``."""
    with _ONE_AT_A_TIME:
        kept = _KEPT.get(installation)
        # Nobody waits ten minutes for the very first ones.
        if not kept or not kept.by_purpose or installation.clock() - kept.made_at >= EVERY:
            with for_reading(installation.engine).begin() as db:
                kept = _KEPT[installation] = _compute(installation, db)
        return kept


def health(installation: Installation, db: Connection) -> Health | None:
    """Return how the logs are; None before anything was published."""
    state = LogState(db)
    root = state.find_log(ROOT_LOG)
    standing = ledger.standing(db, ledger.policy(installation))
    if root is None or standing is None:
        return None
    number = root.size - 1
    leaves = tiles.unbundle(state.tile(ROOT_LOG, tiles.ENTRIES, number // tiles.WIDTH))
    epoch = Epoch.parse(leaves[number % tiles.WIDTH])
    return Health(root.size, epoch.seconds, standing)


def of_day(db: Connection, day: str) -> dict[Cell, Figure]:
    """Return the figures of a day that is over, by agency, purpose, channel and outcome; without
    sealed reads, which have a list of their own.
    """
    return _published(_cells(tallies.of(db, [day]), _by_all), "")


def _compute(installation: Installation, db: Connection) -> Statistics:
    now, services = installation.clock(), installation.services(db)
    months = _last_months(now)
    kept = tallies.of(db, months)
    compared = Reconciliations(db, installation.clock).since((now - _COMPARED_WITHIN).date())
    return Statistics(
        now,
        months,
        _rows(_published(_cells(kept, _by_purpose), months[0])),
        _rows(_published(_cells(kept, _by_channel), months[0])),
        late(services),
        oldest_waiting(db),
        _rows(_sealed(services)),
        compared[-1] if compared else None,
        use_reports.coverage(db, _begin(months[1])),
    )


def late(services: Services) -> dict[str, Late]:
    """Return by agency how much it answers late at this moment."""
    cases, withdrawals = services.cases.late_by_agency(), services.withdrawals.late_by_agency()
    return {
        client_id: Late(cases.get(client_id, 0), withdrawals.get(client_id, 0))
        for client_id in sorted({*cases, *withdrawals})
    }


def _sealed(services: Services) -> dict[Cell, Figure]:
    counted = Counter((one.day.isoformat()[:7], one.seal_class) for one in services.sealing.all())
    return {cell: Figure(How.EXACT, reads) for cell, reads in counted.items()}


def _begin(month: str) -> datetime:
    return datetime(int(month[:4]), int(month[5:]), 1, tzinfo=HANOI).astimezone(UTC)


def _by_purpose(kind: Kind) -> Cell:
    return kind.period, kind.client_id, kind.purpose


def _by_channel(kind: Kind) -> Cell:
    return kind.period, kind.client_id, kind.channel.value, kind.outcome.value


def _by_all(kind: Kind) -> Cell:
    return *_by_purpose(kind), kind.channel.value, kind.outcome.value


def _cells(kept: Mapping[Kind, int], part: Callable[[Kind], Cell]) -> dict[Cell, int]:
    cells: dict[Cell, int] = {}
    for kind, uses in kept.items():
        # Known exactly elsewhere: a figure hidden among these would hide nothing.
        if kind.channel is Channel.SEALED:
            continue
        cells[part(kind)] = cells.get(part(kind), 0) + uses
    return cells


def _published(figures: Mapping[Cell, int], not_over: str) -> dict[Cell, Figure]:
    """Return the figures as they may be told. Known besides are the sums of a period, which the
    published logs tell, and those of an agency in it, which stand on the public page.
    """
    away = hidden(figures, (lambda cell: cell[0], lambda cell: cell[:2]))
    told = {}
    for cell, figure in figures.items():
        if figure < LEAST:
            told[cell] = Figure(How.SMALL)
        elif cell in away:
            told[cell] = Figure(How.HIDDEN)
        elif cell[0] == not_over:
            told[cell] = Figure(How.AT_LEAST, figure // LEAST * LEAST)
        else:
            told[cell] = Figure(How.EXACT, figure)
    return told


def _rows(told: Mapping[Cell, Figure]) -> dict[Cell, Row]:
    rows: dict[Cell, Row] = {}
    for cell, figure in sorted(told.items()):
        rows.setdefault(cell[1:], {})[cell[0]] = figure
    return rows


def _last_months(now: datetime) -> list[str]:
    here = tallies.month_of(now)
    last = int(here[:4]) * 12 + int(here[5:]) - 1
    return [f"{n // 12:04}-{n % 12 + 1:02}" for n in range(last, last - MONTHS, -1)]
