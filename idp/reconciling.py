"""The daily job that lays the record of uses beside what registers and relying parties hold.

A day is compared twice: a few hours after its end, and once more a day later, when relying parties
have had the time to say what they hold; and again each hour while a register owes its answer. A result
is written as a whole, so a job that was stopped simply runs again.
"""

from datetime import UTC, date, datetime, time, timedelta

from prometheus_client import Gauge

from connectors.protocol import Unavailable
from connectors.remote import Remote
from consent.archive.days import archived_day
from consent.reconciliation import Kind, OldDay, Reconciled, Reconciliations
from idp import audit
from idp.database import for_reading
from idp.services import Installation

INTERVAL = timedelta(minutes=10)
_SETTLES = timedelta(hours=2)
"""After a day's end, so that registers have written down the last of it."""
_LOOKS_BACK = 3
_AGAIN = timedelta(hours=1)
_PAGE = 1000

_UNLOGGED = Gauge(
    "sen_reconciliation_unlogged",
    "Releases of the latest compared day that others hold and the record does not",
    multiprocess_mode="max",
)
_COMPARED = Gauge(
    "sen_reconciliation_day_seconds",
    "The latest compared day, as seconds since 1970",
    multiprocess_mode="max",
)


def reconcile_due(installation: Installation) -> list[Reconciled]:
    """Compare every day whose time has come."""
    today = installation.clock().astimezone(UTC).date()
    days = [today - timedelta(days=back) for back in range(_LOOKS_BACK, 0, -1)]
    return [reconcile(installation, day) for day in days if _is_due(installation, day)]


def reconcile(installation: Installation, day: date) -> Reconciled:
    """Compare one day, keep the result, and raise the alarm where something was never logged. Of a day
    in the archive the month's files are read.

    Raises:
        ArchiveError: a file of the archive is missing or damaged.
    """
    folder = installation.settings.archive_folder
    with for_reading(installation.engine).begin() as db:
        found = archived_day(db, installation.vault, folder, day)
    old = OldDay(found.entries, found.untold) if found else None
    asked: list[Remote] = list(installation.registers.values())
    if installation.face_match is not None:
        asked.append(installation.face_match)
    listed = {register.name: _answered(register, day) for register in asked}
    with installation.engine.begin() as db:
        result = Reconciliations(db, installation.clock).run(day, listed, old)
    _UNLOGGED.set(result.unlogged)
    _COMPARED.set(datetime.combine(day, time.min, UTC).timestamp())
    for one in result.comparisons:
        if one.unlogged:
            audit.security_event(
                "reconciliation.unlogged",
                day=day.isoformat(),
                party=one.party,
                unlogged=one.unlogged,
                ours=one.ours,
                theirs=one.theirs,
            )
    return result


def told(result: Reconciled) -> list[str]:
    """Return the result in lines for an operator: which side lacks what."""
    lines = [f"{result.day}: {result.unlogged} releases that are not in the record"]
    for one in result.comparisons:
        holds = "told nothing" if one.theirs is None else f"holds {one.theirs}"
        lines.append(
            f"{one.kind.value}\t{one.party}\tthe record has {one.ours}\t{holds}\t"
            f"the record lacks {one.unlogged}\tthe other lacks {one.unconfirmed}"
        )
    return lines


def _is_due(installation: Installation, day: date) -> bool:
    now = installation.clock()
    end = datetime.combine(day + timedelta(days=1), time.min, UTC) + _SETTLES
    with installation.engine.connect() as db:
        known = Reconciliations(db, installation.clock).of(day)
    if now < end:
        return False
    if known is None or known.made_at < end:
        return True
    again = end + timedelta(days=1)
    owed = any(one.kind is Kind.REGISTER and one.theirs is None for one in known.comparisons)
    return (known.made_at < again <= now) or (owed and now - known.made_at >= _AGAIN)


def _answered(register: Remote, day: date) -> list[str] | None:
    """Return the commitments under which a register answered; None when it does not tell."""
    found: list[str] = []
    after = 0
    while True:
        page = register.answered(day, after, _PAGE)
        if isinstance(page, Unavailable):
            audit.note("register.unavailable", register=register.name, reason=page.reason)
            return None
        found += (one.commitment for one in page)
        if len(page) < _PAGE:
            return found
        after = page[-1].sequence
