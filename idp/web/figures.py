"""Published figures and the logs' health, as pages show them."""

from datetime import UTC, datetime
from typing import Any

from consent.small_counts import LEAST
from idp import ledger
from idp.statistics import Figure, Health, How, Row
from idp.web import context
from idp.web.language import N_, translate

_TOLD = {
    How.SMALL: N_("fewer than 10"),
    How.HIDDEN: N_("not shown"),
    How.AT_LEAST: N_("at least %(value)s"),
}
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
