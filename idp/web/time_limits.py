"""For how long a person agrees: as long as is asked, or shorter by her own choice."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import flask

from idp.web.language import N_, translate

_SHORTER = {
    "once": (timedelta(hours=1), N_("Only this once: it ends after an hour")),
    "1": (timedelta(days=1), N_("1 day")),
    "30": (timedelta(days=30), N_("30 days")),
    "90": (timedelta(days=90), N_("90 days")),
    "365": (timedelta(days=365), N_("1 year")),
}


@dataclass(frozen=True)
class Option:
    """One choice, as a form shows it."""

    value: str
    label: str


def shorter(than: timedelta) -> list[Option]:
    """Return what may be chosen instead of so long."""
    return [
        Option(value, translate(label))
        for value, (lasts, label) in _SHORTER.items()
        if lasts < than
    ]


def chosen(now: datetime, at_most: datetime) -> datetime:
    """Return the end that the form asks for; never later than ``at_most``."""
    found = _SHORTER.get(flask.request.form.get("lasts", ""))
    return min(now + found[0], at_most) if found else at_most
