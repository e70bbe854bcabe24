"""Looks after consents and withdrawals as time goes by, and tells people of it once each."""

from datetime import timedelta

from accounts.notice_choices import Topic
from accounts.notices import NoticeKind
from idp import audit
from idp.database import for_reading
from idp.oidc import events
from idp.services import Installation, Services

SOON = timedelta(days=14)
"""So long before a consent ends its giver is told."""
_LONG = timedelta(days=31)
_A_TURN = 100


def care(installation: Installation) -> int:
    """Tell of withdrawals that agencies did not confirm in time, of consents that end, and let those
    be confirmed that no longer count as they were given; return how many were looked at.
    """
    count = 0
    while done := _turn(installation):
        count += done
    return count


def _turn(installation: Installation) -> int:
    with for_reading(installation.engine).begin() as db:
        if not _has_work(installation.services(db)):
            return 0
    with installation.engine.begin() as db:
        services = installation.services(db)
        return _tell_late(services) + _tell_ending(services) + _let_confirm(services)


def _has_work(services: Services) -> bool:
    soon = services.installation.clock() + SOON
    return (
        services.withdrawals.has_untold()
        or services.consents.has_ending(soon)
        or services.consents.has_outdated()
    )


def _let_confirm(services: Services) -> int:
    """Stop what rests on consents that no longer count as they were given, and tell who may confirm."""
    outdated = services.consents.take_outdated(_A_TURN)
    for one in outdated:
        services.grants.revoke_of_consent(one.id)
        account = services.accounts.find_of_subject(one.subject_id)
        if account is not None:
            services.consent_events.tell(events.PAUSED, one, account.id)
        facts = {"client_id": one.client_id, "consent": one.id}
        services.telling.tell_one(
            one.acting_for or one.subject_id, Topic.CONSENT, NoticeKind.RECONFIRM, facts
        )
        audit.security_event("consent.outdated", party=one.client_id)
    return len(outdated)


def _tell_ending(services: Services) -> int:
    """Tell of consents that end within two weeks; one given for a short time ends as was chosen."""
    now = services.installation.clock()
    ending = services.consents.take_ending(now + SOON, _A_TURN)
    for one in ending:
        if one.valid_until > now and one.valid_until - one.given_at > _LONG:
            facts = {"client_id": one.client_id, "consent": one.id}
            services.telling.tell_one(one.subject_id, Topic.CONSENT, NoticeKind.CONSENT_ENDS, facts)
    return len(ending)


def _tell_late(services: Services) -> int:
    late = services.withdrawals.take_late(_A_TURN)
    for one in late:
        given = services.consents.consent(one.consent_id)
        facts = {"client_id": one.client_id, "what": "late"}
        services.telling.tell_one(
            given.subject_id, Topic.WITHDRAWAL, NoticeKind.WITHDRAWAL_MOVED, facts
        )
    return len(late)
