"""Published figures and the logs' health, as pages show them."""

from datetime import UTC, datetime
from typing import Any

from connectors import face_match
from consent.reconciliation import Comparison, Kind, Reconciled
from consent.sealing import SealClass
from consent.small_counts import LEAST
from consent.use_reports import Coverage
from idp import ledger
from idp.statistics import Cell, Figure, Health, How, Row
from idp.web import context, timeline, words
from idp.web.language import N_, translate

_TOLD = {
    How.SMALL: N_("fewer than 10"),
    How.HIDDEN: N_("not shown"),
    How.AT_LEAST: N_("at least %(value)s"),
}
_SEALED = {
    SealClass.INVESTIGATION: N_("Investigation"),
    SealClass.COURT: N_("Court case"),
}
_FACES = N_("Comparison of faces")
_TOO_FEW, _NOTHING = N_("too few reads to tell"), N_("nothing reported")
_LITTLE, _PART = N_("less than a tenth"), N_("at least %(part)s of 10")
_TENTHS = 10
_NONE = Figure(How.EXACT, 0)


def told(figure: Figure) -> str:
    """Return a figure in words."""
    if figure.how is How.EXACT:
        return str(figure.value)
    return translate(_TOLD[figure.how], value=figure.value)


def small(count: int) -> str:
    """Return a count that stands alone: one below ten is not told."""
    return told(Figure(How.EXACT, count) if count >= LEAST else Figure(How.SMALL))


def row(found: Row, months: list[str]) -> list[str]:
    """Return a row's figures, one a month."""
    return [told(found.get(month, _NONE)) for month in months]


def sealed(found: dict[Cell, Row], months: list[str]) -> list[dict[str, Any]]:
    """Return the rows of sealed reads, one a class."""
    return [
        {"names": (translate(_SEALED[SealClass(seal_class)]),), "figures": row(each, months)}
        for (seal_class,), each in found.items()
    ]


def compared(found: Reconciled | None) -> dict[str, Any] | None:
    """Return what the daily comparison came to: who told what it holds, who did not, and what the record
    lacks.
    """
    if found is None:
        return None
    told_of = [one for one in found.comparisons if one.theirs is not None]
    return {
        "day": found.day,
        "lacking": found.unlogged,
        "sides": [
            {"name": _side(one), "lacking": one.unlogged, "only_ours": small(one.unconfirmed)}
            for one in told_of
        ],
        "silent": [_side(one) for one in found.comparisons if one.theirs is None],
    }


def coverage(found: list[Coverage]) -> list[dict[str, Any]]:
    """Return how far each agency reports, as a part in whole tenths: it tells of no number of reads."""
    return [{"agency": timeline.agency(one.client_id), "part": _part(one)} for one in found]


def _part(one: Coverage) -> str:
    if one.releases < LEAST or one.share is None:
        return translate(_TOO_FEW)
    if not one.cited:
        return translate(_NOTHING)
    tenths = int(one.share * _TENTHS)
    if not tenths:
        return translate(_LITTLE)
    return translate(_PART, part=tenths)


def _side(one: Comparison) -> str:
    if one.kind is Kind.RELYING_PARTY:
        return timeline.agency(one.party)
    if one.party == face_match.NAME:
        return translate(_FACES)
    known = {source.value: name for source, name in words.SOURCES.items()}.get(one.party)
    return translate(known) if known else one.party


def month(text: str) -> str:
    """Return a month as charts and tables name it."""
    return f"{int(text[5:])}/{text[2:4]}"


def logs(found: Health | None) -> dict[str, Any] | None:
    """Return how the published logs are, with each cosigner and when it last confirmed."""
    if found is None:
        return None
    trusted = ledger.policy(context.installation())
    confirmed = {**found.standing.witnesses, **found.standing.auditors}
    return {
        "epochs": found.epochs,
        "published_at": _moment(found.published_at),
        "is_quorum": found.standing.is_quorum and bool(trusted.cosigners),
        "cosigners": [
            {
                "name": name,
                "is_auditor": name in trusted.auditors,
                "at": _moment(confirmed[name]) if name in confirmed else None,
            }
            for name in sorted(trusted.cosigners, key=lambda one: (one in trusted.auditors, one))
        ],
    }


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
