"""Looks after consents and withdrawals as time goes by, and tells people of it once each."""

from accounts.notice_choices import Topic
from accounts.notices import NoticeKind
from idp.database import for_reading
from idp.services import Installation, Services

_A_TURN = 100


def care(installation: Installation) -> int:
    """Tell of withdrawals that agencies did not confirm in time; return how many people were told."""
    count = 0
    while done := _turn(installation):
        count += done
    return count


def _turn(installation: Installation) -> int:
    with for_reading(installation.engine).begin() as db:
        if not _has_work(installation.services(db)):
            return 0
    with installation.engine.begin() as db:
        return _tell_late(installation.services(db))


def _has_work(services: Services) -> bool:
    return services.withdrawals.has_untold()


def _tell_late(services: Services) -> int:
    late = services.withdrawals.take_late(_A_TURN)
    for one in late:
        given = services.consents.consent(one.consent_id)
        facts = {"client_id": one.client_id, "what": "late"}
        services.telling.tell_one(
            given.subject_id, Topic.WITHDRAWAL, NoticeKind.WITHDRAWAL_MOVED, facts
        )
    return len(late)
