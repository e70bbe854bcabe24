"""Tells people of uses that were sealed, on the day that was fixed when they were."""

from datetime import timedelta

from accounts.notices import NoticeKind
from idp import audit
from idp.services import Installation

INTERVAL = timedelta(minutes=10)


def unseal_due(installation: Installation) -> int:
    """Write what is due into people's records, with a notice; return how many."""
    with installation.engine.connect() as db:
        due = installation.services(db).sealing.due()
    done = 0
    for entry_id in due:
        with installation.engine.begin() as db:
            services = installation.services(db, correlation="unsealing")
            recorded = services.sealing.unseal(entry_id)
            if recorded is None:
                continue
            services.contact_book.tell(recorded.subject_id, NoticeKind.UNSEALED, {})
        audit.security_event("use.unsealed", party=recorded.client_id)
        done += 1
    return done
