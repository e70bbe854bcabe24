"""How long personal data is kept, and removing it afterwards.

=======================  ============================================================================
use entries              five years from the use (Decree 69/2024 Art. 28, before it Decree 59/2022
                         Art. 21); ``SEN_KEEP_USES_YEARS`` may ask for more
account data             for ever (the same articles): accounts, identifiers, events, issued applications
refused applications     ``SEN_KEEP_REFUSED_DAYS``, two years unless told otherwise: no article says how long;
with their evidence      a decision can be sued over for one (Law 93/2015 Art. 116, to verify)
abandoned applications   one year without the visit that they wait for; our own choice
requests of officers     two years after their answer, as refused applications
about contacts
notices                  one year; our own choice
agencies seen            as use entries, from the month of an agency's last use
=======================  ============================================================================
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from consent import seen
from consent.errors import ArchiveError
from idp import archiving, audit
from idp.services import Installation, Services

ABANDONED_AFTER = timedelta(days=365)
NOTICES_KEPT = timedelta(days=365)
_CHAINS = 50
"""Chains a transaction: on SQLite everybody else waits for that long."""


def purge(installation: Installation) -> dict[str, int]:
    """Remove what has been kept long enough and return how many rows of each kind went."""
    now, kept = installation.clock(), installation.settings.retention
    before = years_before(now, kept.use_years)
    tasks: dict[str, Callable[[Services], int]] = {
        "use entries": lambda services: services.use_log.purge(before, chains=_CHAINS),
        "applications": lambda services: services.applications.purge(
            refused_before=now - kept.refused, abandoned_before=now - ABANDONED_AFTER
        ),
        "officers' requests": lambda services: (
            services.contact_requests.purge(now - kept.refused)
            + services.unlock_requests.purge(now - kept.refused)
        ),
        "requests to agencies": lambda services: services.cases.purge(before),
        "agencies seen": lambda services: seen.purge(services.db, before),
        "notices": lambda services: services.notices.purge(now - NOTICES_KEPT),
    }
    gone = dict.fromkeys(tasks, 0)
    try:
        gone["use entries"] = archiving.let_go(installation, before)
    except (ArchiveError, OSError) as error:
        archiving.postponed(error)
        # Chains are cut from their beginnings, so nothing later goes either.
        del tasks["use entries"]
    for kind, task in tasks.items():
        while True:
            with installation.engine.begin() as db:
                removed = task(installation.services(db))
            if not removed:
                break
            gone[kind] += removed
        if gone[kind]:
            audit.security_event("retention.purged", removed=kind, rows=gone[kind])
    return gone


def years_before(moment: datetime, years: int) -> datetime:
    """Return the same moment so many years earlier; 29 February becomes the 28th."""
    try:
        return moment.replace(year=moment.year - years)
    except ValueError:
        return moment.replace(year=moment.year - years, day=28)
