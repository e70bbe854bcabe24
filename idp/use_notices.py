"""What is told of uses after they were published: an agency that is new, data that are, and what is unusual.

Which case a use belongs to, and to whom data go on, the consent's terms say that it rests on; in which
country somebody is, the registration.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import Connection, Integer, bindparam, select

from accounts.attributes import SENSITIVE
from accounts.legal_clock import HANOI
from accounts.notice_choices import Topic
from accounts.notices import NoticeKind
from accounts.schema import Identifier
from accounts.statements import Statement
from consent import seen
from consent.data_use import (
    ENTRIES,
    PROVIDER,
    WITHOUT_MEANING,
    Channel,
    Outcome,
    UseEntry,
    data_use,
    moments_at,
)
from consent.decisions import Terms
from consent.history import Wanted
from consent.seen import Novelty
from consent.tallies import month_of
from consent.use_reports import Action
from consent.use_terms import use_terms
from idp.database import for_reading
from idp.oidc.relying_parties import HOME
from idp.services import Installation, Services

FRESH = timedelta(days=1)
"""Nobody is told of a use that is older: an installation may begin to follow years later."""
BURST = 20
"""So many uses by one agency within ``_SHORTLY`` are many."""
_SHORTLY = timedelta(hours=1)
_NIGHT = range(5)
_ONCE_IN = timedelta(days=1)
"""Unusual uses of one agency are told at most so often."""
_SETTLING = timedelta(hours=1)
"""What an agency reads so soon after its first use belongs to it."""
_FROM_HOUR = 8
_A_ROUND = 200
UNKNOWN_COUNTRY = "ZZ"
"""Said where data were transferred abroad to somebody who is not registered here (ISO 3166-1, for one's own use)."""

_latest = Statement(
    select(use_terms.c.client_id, use_terms.c.personal, data_use.c.at)
    .select_from(ENTRIES)
    .where(
        data_use.c.subject_id == bindparam("subject", type_=Identifier),
        data_use.c.position <= bindparam("position", type_=Integer),
        data_use.c.position > bindparam("position", type_=Integer) - 10 * BURST,
    ),
    plan_kept=True,
)


def tell(services: Services, entries: list[UseEntry]) -> None:
    """Note the entries and tell people what is worth telling, in the transaction that follows the log."""
    released = [one for one in entries if _is_personal(one) and one.use.outcome is Outcome.RELEASED]
    since = services.installation.clock() - FRESH
    told: set[tuple[str, str]] = set()
    terms = services.consents.terms_of(one.use.consent_id for one in released if one.use.consent_id)
    abroad = {one.id: _abroad(services, one, terms) for one in released}
    novelties = [one for one in seen.note(services.db, released, abroad) if one.entry.at >= since]
    crowded = _crowded(services.db, [one.entry for one in novelties if _may_be_told(one)])
    for novelty in novelties:
        use = novelty.entry.use
        # She was told of it when it was unsealed, and its time is that of no use.
        if "sealed_as" in use.detail:
            continue
        _tell_new(services, novelty)
        if novelty.countries:
            # Once for each country, so it is told whatever else was.
            _tell_unusual(
                services, novelty, "abroad", countries=" ".join(sorted(novelty.countries))
            )
        pair = use.subject_id, use.client_id
        if pair in told or not _may_be_told(novelty):
            continue
        why = _unusual(services, novelty.entry, is_crowded=novelty.entry.id in crowded)
        if not why and _lacks_case(services, novelty.entry, terms):
            why = "no-case"
        if why:
            told.add(pair)
            seen.note_told(services.db, novelty.entry)
            _tell_unusual(services, novelty, why)


def tell_months(installation: Installation) -> int:
    """Tell people of the month that is over, once each, in the morning; return how many months that was."""
    now = installation.clock()
    if now.astimezone(HANOI).hour < _FROM_HOUR:
        return 0
    count = 0
    with for_reading(installation.engine).begin() as db:
        due = seen.next_due(db, month_of(now), _A_ROUND)
    for month, subject_id in due:
        with installation.engine.begin() as db:
            if seen.settle(db, month, subject_id):
                count += 1
                _tell_month(installation.services(db), month, subject_id)
    return count


def _is_personal(entry: UseEntry) -> bool:
    names = frozenset(entry.use.attributes) - WITHOUT_MEANING
    return bool(names) and entry.use.client_id != PROVIDER


def _tell_new(services: Services, novelty: Novelty) -> None:
    use = novelty.entry.use
    new = novelty.attributes - WITHOUT_MEANING
    sensitive = new & SENSITIVE
    facts = {"client_id": use.client_id, "use": str(novelty.entry.position)}
    if novelty.is_first and not sensitive:
        services.telling.tell(use.subject_id, Topic.FIRST_USE, NoticeKind.FIRST_USE, facts)
        return
    is_settled = novelty.entry.at - novelty.first_at >= _SETTLING
    told = sensitive if not is_settled else new
    if told:
        facts |= {"attributes": " ".join(sorted(told)), "sensitive": "yes" if sensitive else ""}
        services.telling.tell(
            use.subject_id,
            Topic.NEW_DATA,
            NoticeKind.NEW_DATA,
            facts,
            is_secret=bool(SENSITIVE.intersection(use.attributes)),
        )


def _tell_unusual(services: Services, novelty: Novelty, why: str, **more: str) -> None:
    use = novelty.entry.use
    facts = {"client_id": use.client_id, "why": why, "use": str(novelty.entry.position), **more}
    services.telling.tell(
        use.subject_id,
        Topic.UNUSUAL,
        NoticeKind.UNUSUAL_USE,
        facts,
        is_secret=bool(SENSITIVE.intersection(use.attributes)),
    )


def _abroad(services: Services, entry: UseEntry, terms: Mapping[str, Terms]) -> frozenset[str]:
    """Return the other countries that the use goes to: the agency's own, those of whoever gets the data
    from it as the consent says, and of whom it says later that it transferred them to.
    """
    use = entry.use
    stated = terms.get(use.consent_id or "")
    goes_on = stated.recipients if stated is not None else ()
    found = {_country(services, one) for one in (use.client_id, *goes_on)}
    if use.channel is Channel.RP_REPORTED and use.detail.get("action") == Action.TRANSFER.value:
        # Abroad by its own word, whoever that is.
        country = _country(services, use.detail.get("recipient", ""))
        found.add(UNKNOWN_COUNTRY if country == HOME else country)
    return frozenset(found - {HOME})


def _country(services: Services, client_id: str) -> str:
    party = services.installation.relying_parties.find_any(client_id, services.db)
    return party.country if party is not None else HOME


def _lacks_case(services: Services, entry: UseEntry, terms: Mapping[str, Terms]) -> bool:
    """True where the agency registered that each of its uses belongs to a case, and this one tells none."""
    if entry.use.channel is Channel.RP_REPORTED:
        return False
    relying_parties = services.installation.relying_parties
    party = relying_parties.find_any(entry.use.client_id, services.db)
    if party is None or not party.states_cases:
        return False
    stated = terms.get(entry.use.consent_id or "")
    return stated is None or stated.case_reference is None


def _may_be_told(novelty: Novelty) -> bool:
    return novelty.told_at is None or novelty.entry.at - novelty.told_at >= _ONCE_IN


def _unusual(services: Services, entry: UseEntry, *, is_crowded: bool) -> str:
    """Return what is unusual about a use: ``burst``, ``night``, or nothing."""
    if is_crowded and _shortly_before(services.db, entry) >= BURST:
        return "burst"
    is_night = entry.at.astimezone(HANOI).hour in _NIGHT
    return "night" if is_night and not _was_there(services, entry) else ""


def _shortly_before(db: Connection, entry: UseEntry) -> int:
    latest = _latest.all(db, {"subject": entry.use.subject_id, "position": entry.position})
    begin = entry.at - _SHORTLY
    return sum(
        row.personal and row.client_id == entry.use.client_id and row.at > begin for row in latest
    )


def _was_there(services: Services, entry: UseEntry) -> bool:
    """True when she, or who acted for her, was in a browser then: what she does is no surprise."""
    acting = entry.use.other_party or entry.use.subject_id
    account = services.accounts.find_of_subject(acting)
    return account is not None and services.sessions.was_there(account.id, entry.at - _SHORTLY)


def _crowded(db: Connection, entries: list[UseEntry]) -> frozenset[str]:
    """Return the ids of entries before which there were many within a short time, of whomever."""
    wanted = {
        (one.use.subject_id, one.position - BURST + 1): one
        for one in entries
        if one.position >= BURST
    }
    if not wanted:
        return frozenset()
    moments = [one.at for one in wanted.values()]
    # Those longer ago make no crowd.
    rows = moments_at(db, sorted(wanted), min(moments) - _SHORTLY, max(moments) + _SHORTLY)
    near = ((wanted[row.subject_id, row.position], row.at) for row in rows)
    return frozenset(entry.id for entry, at in near if entry.at - at < _SHORTLY)


def _tell_month(services: Services, month: str, subject_id: str) -> None:
    begin = datetime(int(month[:4]), int(month[5:]), 1, tzinfo=HANOI)
    end = (begin + timedelta(days=32)).replace(day=1)
    uses = services.history(subject_id).by_agency(Wanted(since=begin, until=end))
    if uses:
        facts = {"month": month, "agencies": str(len(uses)), "uses": str(sum(uses.values()))}
        abroad = sum(_country(services, one) != HOME for one in uses)
        if abroad:
            facts["abroad"] = str(abroad)
        services.telling.tell(subject_id, Topic.DIGEST, NoticeKind.DIGEST, facts)
