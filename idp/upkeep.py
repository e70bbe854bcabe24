"""Upkeep in the background: what expired is removed, the registers' news is followed, registers that
owe an answer are asked again, notices and the outbox are delivered, the published logs are kept and
followed, and inspectors' exports are made.
"""

import threading
from collections.abc import Callable
from datetime import timedelta

from consent import partitions
from consent.reconciliation import REPORTED_WITHIN, Reconciliations
from consent.use_receipts import KeptReceipts
from consent.use_reports import purge as purge_reports
from idp import (
    audit,
    changes,
    consent_care,
    data_rotation,
    delivery,
    dispatch,
    following,
    ledger,
    reconciling,
    register_checks,
    retention,
    supervision,
    unsealing,
    use_notices,
)
from idp.oidc.client_auth import purge_assertions
from idp.services import Installation

INTERVAL = timedelta(minutes=10)
_PARTITIONS_EVERY = timedelta(hours=1)
_GRANTS_KEPT = timedelta(days=30)
# By them a place is known from which she signed in before.
_SESSIONS_KEPT = timedelta(days=30)
_RECOVERIES_KEPT = timedelta(days=365)
_FACE_CHECKS_KEPT = timedelta(days=90)
# So long relying parties may fetch them.
_RECEIPTS_KEPT = timedelta(days=90)
# So long whoever asked for a reading may see why it was refused.
_CHIP_REQUESTS_KEPT = timedelta(days=1)


def purge(installation: Installation) -> dict[str, int]:
    """Remove what has expired and return how many rows of each kind went."""
    now = installation.clock()
    with installation.engine.begin() as db:
        services = installation.services(db)
        gone = {
            "interactions": services.interactions.purge(now),
            "ceremonies": services.passkeys.purge(now),
            "apps never used": services.second_factors.purge(now),
            "activation codes": services.accounts.purge(now),
            "browser sessions": services.sessions.purge(now - _SESSIONS_KEPT),
            "grants": services.grants.purge(now - _GRANTS_KEPT),
            "assertions": purge_assertions(db, now),
            "lapsed holds": services.standing.end_lapsed_holds(),
            "chip requests": services.chip_requests.purge(now - _CHIP_REQUESTS_KEPT),
            "phone invitations": services.phone_invitations.purge(now),
            "face checks": services.face_checks.purge(now - _FACE_CHECKS_KEPT),
            "sign-ins by QR code": services.qr_sign_ins.purge(now),
            "failures": services.limits.purge(now),
            "recoveries": services.recoveries.purge(now - _RECOVERIES_KEPT),
            "messages": services.outbox.purge(now - dispatch.KEPT),
            "signing keys": services.signing_keys.purge(now),
            "held receipts": Reconciliations(db, installation.clock).purge(
                (now - REPORTED_WITHIN).date()
            ),
            "use reports": purge_reports(
                db, now - timedelta(days=366 * installation.settings.retention.use_years)
            ),
            "use receipts": KeptReceipts(db).purge(now - _RECEIPTS_KEPT),
            "exports": supervision.purge(db, now),
        }
    gone |= retention.purge(installation)
    return {**gone, "data keys": data_rotation.destroy_outlived(installation)}


def _prepare_partitions(installation: Installation) -> None:
    with installation.engine.begin() as db:
        partitions.prepare(db, installation.clock())


def run_by_itself(installation: Installation) -> Callable[[], None]:
    """Do all upkeep every so often, each kind in a thread; return what ends it and waits for the
    rounds that are under way.

    Without registers there is nobody to follow or to ask.
    """
    kinds: list[tuple[str, timedelta, Callable[[Installation], object]]] = [
        ("purge", INTERVAL, purge),
        ("partitions", _PARTITIONS_EVERY, _prepare_partitions),
        ("ledger", ledger.INTERVAL, ledger.Keeper()),
        ("reconciliation", reconciling.INTERVAL, reconciling.reconcile_due),
        ("unsealing", unsealing.INTERVAL, unsealing.unseal_due),
        ("outbox", dispatch.INTERVAL, dispatch.dispatch),
        ("following", following.INTERVAL, following.follow),
        ("exports", INTERVAL, supervision.export_due),
        ("months", INTERVAL, use_notices.tell_months),
        ("consents", INTERVAL, consent_care.care),
    ]
    if installation.messengers:
        kinds.append(("notices", delivery.INTERVAL, delivery.deliver))
    if installation.registers:
        kinds += [
            ("feeds", changes.INTERVAL, changes.follow),
            ("register-checks", register_checks.INTERVAL, register_checks.check_all),
        ]
    stop = threading.Event()
    threads = [
        threading.Thread(
            target=_repeat, args=(installation, stop, name, interval, act), name=name, daemon=True
        )
        for name, interval, act in kinds
    ]
    for thread in threads:
        thread.start()

    def end() -> None:
        stop.set()
        for thread in threads:
            thread.join()

    return end


def _repeat(
    installation: Installation,
    stop: threading.Event,
    name: str,
    interval: timedelta,
    act: Callable[[Installation], object],
) -> None:
    while not stop.wait(interval.total_seconds()):
        try:
            act(installation)
        except Exception as error:  # noqa: BLE001 - a thread that dies would do nothing ever after
            audit.security_event("upkeep.postponed", task=name, cause=type(error).__name__)
