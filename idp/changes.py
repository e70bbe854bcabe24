"""Follows the registers' feeds: what they tell reaches accounts, sessions and grants within a minute.

Each event is applied in one transaction of its own: the use entry, the locks, the end of sessions
and grants, the mandates. What comes again or too late changes nothing (``connectors.cursor``).

A death and the end of an enterprise close the account for good; all else locks, until the register
has better news.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from accounts.account import Actor, ActorKind, CloseReason, LockReason
from accounts.attributes import Source
from accounts.errors import IdentifierTakenError
from accounts.subject import IdentifierType
from connectors.cursor import Cursors
from connectors.protocol import Event, EventKind, Feed, Unavailable
from consent.data_use import PROVIDER, Channel, SubjectRole, Use
from idp import audit
from idp.database import for_reading
from idp.oidc.readings import IDENTIFIED_BY
from idp.services import Installation, Services
from idp.standing import UnfittingReasonError

INTERVAL = timedelta(seconds=20)
"""Each feed is polled so often, by whichever server comes first."""
_PAGE = 500
_MOST_PAGES = 20
_CORRELATION = "register-feed"
SOURCES = (Source.POPULATION, Source.IDENTITY_CARDS, Source.IMMIGRATION, Source.ENTERPRISES)
"""The registers whose changes matter to accounts."""


Change = Callable[[Services, str, Event, Actor], None]


@dataclass(frozen=True)
class Followed:
    """What one round came to."""

    polled: int = 0
    applied: int = 0
    unavailable: int = 0


def follow(installation: Installation, *, interval: timedelta = INTERVAL) -> Followed:
    """Poll every feed whose turn it is, and apply what is new."""
    polled = applied = unavailable = 0
    for source in SOURCES:
        feed = installation.registers.get(source)
        if feed is None:
            continue
        with installation.engine.begin() as db:
            after = Cursors(db).claim(source.value, installation.clock(), interval)
        if after is None:
            continue
        polled += 1
        count = _follow(installation, source, feed, after)
        if count is None:
            unavailable += 1
        else:
            applied += count
    return Followed(polled, applied, unavailable)


def _follow(installation: Installation, source: Source, feed: Feed, after: int) -> int | None:
    """Apply a register's news; None when it does not answer."""
    applied = 0
    for _ in range(_MOST_PAGES):
        events = feed.changes(after, _PAGE)
        if isinstance(events, Unavailable):
            _note_failure(installation, events)
            return None
        for event in events:
            applied += apply(installation, source, event)
        after = events[-1].sequence if events else after
        with installation.engine.begin() as db:
            Cursors(db).advance(source.value, after)
        if len(events) < _PAGE:
            break
    return applied


def apply(installation: Installation, source: Source, event: Event) -> bool:
    """Apply one event in one transaction; False when it is no news, or of nobody known here."""
    try:
        kind = EventKind(event.kind)
    except ValueError:
        audit.note("register.unknown_event", register=source.value, sequence=event.sequence)
        return False
    # Most news is of people without an account here; reading alone holds nobody up.
    with for_reading(installation.engine).begin() as db:
        subjects = installation.services(db).subjects
        subject_id = subjects.find(IDENTIFIED_BY[source], event.number)
    if subject_id is None:
        return False
    with installation.engine.begin() as db:
        services = installation.services(db, correlation=_CORRELATION)
        cursors = Cursors(db)
        if not cursors.is_news(source.value, subject_id, kind, event.sequence, event.at):
            return False
        _record(services, source, subject_id, kind)
        _APPLIED[kind](services, subject_id, event, Actor(ActorKind.REGISTER, source.value))
    audit.security_event(
        f"register.{kind.value}", register=source.value, sequence=event.sequence, subject=subject_id
    )
    return True


def _record(services: Services, source: Source, subject_id: str, kind: EventKind) -> None:
    services.use_log.record(
        Use(
            subject_id=subject_id,
            client_id=PROVIDER,
            channel=Channel.CONNECTOR_PUSH,
            attributes=_ABOUT.get(kind, ()),
            purpose="account-issuing",
            purpose_version=1,
            legal_basis="statutory-function",
            correlation=_CORRELATION,
            subject_role=SubjectRole.ORGANISATION
            if source is Source.ENTERPRISES
            else SubjectRole.PRIMARY,
        )
    )


def _note_failure(installation: Installation, failed: Unavailable) -> None:
    with installation.engine.begin() as db:
        Cursors(db).failed(failed.register, failed.since or installation.clock())
    audit.note("register.feed_unavailable", register=failed.register, reason=failed.reason)


def _lock(reason: LockReason) -> Change:
    """Lock the subject's account; sessions and every token end in the same transaction."""

    def lock(services: Services, subject_id: str, event: Event, actor: Actor) -> None:
        account = services.accounts.find_of_subject(subject_id)
        if account is None or account.closed_at is not None:
            return
        try:
            services.standing.lock(account.id, reason, actor)
        except UnfittingReasonError:
            # News of what she was before: of the residence of one who is a citizen by now.
            audit.note("register.unfitting_event", news=event.kind, sequence=event.sequence)

    return lock


def _unlock(*reasons: LockReason) -> Change:
    """Take the reasons away that the register gave; others stay."""

    def unlock(services: Services, subject_id: str, _event: Event, actor: Actor) -> None:
        account = services.accounts.find_of_subject(subject_id)
        if account is not None and account.closed_at is None:
            for reason in reasons:
                services.standing.unlock(account.id, reason, actor)

    return unlock


def _close(reason: CloseReason) -> Change:
    """Close the subject's account for good, with its mandates; nothing of its record is lost."""

    def close(services: Services, subject_id: str, _event: Event, actor: Actor) -> None:
        account = services.accounts.find_of_subject(subject_id)
        if account is not None and account.closed_at is None:
            services.standing.close(account.id, reason, actor)

    return close


def _change_number(services: Services, subject_id: str, event: Event, actor: Actor) -> None:
    """Give the subject the new number; the account, its ``sub`` and its consents stay.

    The old number's validity ends and is kept as history (Decree 70/2024 Art. 11).
    """
    new = str(event.detail.get("number", ""))
    if not new.isdigit() or len(new) != 12:
        audit.note("register.bad_event", register="population", sequence=event.sequence)
        return
    number = IdentifierType.PERSONAL_NUMBER
    try:
        services.subjects.identify(subject_id, number, new, Source.POPULATION.value)
    except IdentifierTakenError:
        # Two people with one number is for officers to untangle: nobody signs in meanwhile.
        _lock(LockReason.RISK)(services, subject_id, event, actor)
        return
    held = services.held.of_subject(subject_id).get(Source.POPULATION)
    if held is not None and "vn_pid" in held.values:
        services.held.hold(
            subject_id, Source.POPULATION, {**held.values, "vn_pid": new}, asked=held.asked
        )


def _change_representatives(
    services: Services, subject_id: str, event: Event, _actor: Actor
) -> None:
    numbers = event.detail.get("representatives")
    if not isinstance(numbers, list) or not all(isinstance(number, str) for number in numbers):
        audit.note("register.bad_event", register="enterprises", sequence=event.sequence)
        return
    found = {services.subjects.find(IdentifierType.PERSONAL_NUMBER, number) for number in numbers}
    joint = event.detail.get("joint")
    services.mandating.follow_representatives(
        subject_id,
        {one for one in found if one is not None},
        Source.ENTERPRISES.value,
        joint=joint if isinstance(joint, bool) else None,
        named=len(numbers),
        version=str(event.sequence),
    )


_APPLIED: dict[EventKind, Change] = {
    EventKind.DEATH: _close(CloseReason.DEATH),
    EventKind.NUMBER_CHANGED: _change_number,
    EventKind.CARD_EXPIRED: _lock(LockReason.CARD_EXPIRED),
    EventKind.CARD_WITHDRAWN: _lock(LockReason.CARD_REVOKED),
    EventKind.CARD_ISSUED: _unlock(LockReason.CARD_EXPIRED, LockReason.CARD_REVOKED),
    EventKind.RESIDENCE_ENDED: _lock(LockReason.RESIDENCE_ENDED),
    EventKind.RESIDENCE_EXTENDED: _unlock(LockReason.RESIDENCE_ENDED),
    EventKind.COMPANY_DISSOLVED: _close(CloseReason.DISSOLUTION),
    EventKind.REPRESENTATIVES_CHANGED: _change_representatives,
}
_ABOUT: dict[EventKind, tuple[str, ...]] = {
    EventKind.NUMBER_CHANGED: ("vn_pid",),
    EventKind.CARD_EXPIRED: ("id_card",),
    EventKind.CARD_WITHDRAWN: ("id_card",),
    EventKind.CARD_ISSUED: ("id_card",),
    EventKind.RESIDENCE_ENDED: ("residence_card",),
    EventKind.RESIDENCE_EXTENDED: ("residence_card",),
    EventKind.COMPANY_DISSOLVED: ("organization_status",),
    EventKind.REPRESENTATIVES_CHANGED: ("organization_legal_reps",),
}
