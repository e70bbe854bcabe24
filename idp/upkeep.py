"""Upkeep in the background: what expired is removed, and the registers' news is followed."""

import threading
from datetime import timedelta

from sqlalchemy.exc import SQLAlchemyError

from idp import audit, changes
from idp.oidc.client_auth import purge_assertions
from idp.services import Installation

INTERVAL = timedelta(minutes=10)
_GRANTS_KEPT = timedelta(days=30)
_SESSIONS_KEPT = timedelta(days=1)


def purge(installation: Installation) -> dict[str, int]:
    """Remove what has expired and return how many rows of each kind went."""
    now = installation.clock()
    with installation.engine.begin() as db:
        services = installation.services(db)
        return {
            "interactions": services.interactions.purge(now),
            "ceremonies": services.passkeys.purge(now),
            "activation codes": services.accounts.purge(now),
            "browser sessions": services.sessions.purge(now - _SESSIONS_KEPT),
            "grants": services.grants.purge(now - _GRANTS_KEPT),
            "assertions": purge_assertions(db, now),
            "lapsed holds": services.standing.end_lapsed_holds(),
            "failures": services.limits.purge(now),
            "signing keys": services.signing_keys.purge(now),
        }


def purge_by_itself(installation: Installation) -> threading.Event:
    """Purge every so often in a background thread; set the returned event to stop it."""
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(INTERVAL.total_seconds()):
            try:
                purge(installation)
            except SQLAlchemyError as error:
                audit.note("purge.postponed", cause=type(error).__name__)

    threading.Thread(target=run, name="upkeep", daemon=True).start()
    return stop


def follow_by_itself(installation: Installation) -> threading.Event | None:
    """Follow the registers' feeds in a background thread; set the returned event to stop it.

    None when the installation has no registers.
    """
    if not installation.registers:
        return None
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(changes.INTERVAL.total_seconds()):
            try:
                changes.follow(installation)
            except Exception as error:  # noqa: BLE001 - the next round begins where this one ended
                audit.security_event("feed.postponed", cause=type(error).__name__)

    threading.Thread(target=run, name="feeds", daemon=True).start()
    return stop
