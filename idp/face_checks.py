"""Has a live picture compared with the portrait of the identity-card register, in steps that hold no
lock meanwhile.

First the use entry is written and committed, together with the ticket's end: whatever becomes of the
question, the person sees it, and nobody asks twice with one ticket. Then the service is asked, with no
transaction open. Then its verdict is kept. The picture is passed on from memory and kept nowhere.
"""

import hmac
import re

from accounts.attributes import Source
from accounts.face_checks import Verdict
from accounts.sessions import BrowserSession
from connectors.face_match import NAME as FACE_MATCH
from connectors.face_match import Judgement
from connectors.protocol import Query, Unavailable
from consent.data_use import Recorded
from idp import audit, limits
from idp.login.errors import SignInExpiredError, TooManyFailuresError
from idp.services import Installation, Services

TICKET_LIFE = 600
"""Seconds for which the page may be open before its picture is taken."""
_TICKET = re.compile(r"([0-9]{1,12})\.([0-9a-f]{32})\.([0-9a-f]{64})", re.ASCII)
_FAILED = frozenset({Verdict.NO_MATCH, Verdict.NOT_LIVE, Verdict.UNUSABLE})


def ticket(installation: Installation, session: BrowserSession, interaction_id: str) -> str:
    """Return what lets this session send one picture for this interaction."""
    until = int(installation.clock().timestamp()) + TICKET_LIFE
    lot = installation.chance(16).hex()
    return f"{until}.{lot}.{_mac(installation, session, interaction_id, until, lot)}"


def compare(
    services: Services,
    session: BrowserSession,
    interaction_id: str,
    given: str,
    picture: bytes,
    *,
    address: str,
) -> Verdict | None:
    """Return the service's verdict; None when it gave none. ``services`` are only taken to know the
    installation and the correlation: call this with no transaction of one's own open.

    Raises:
        SignInExpiredError: the ticket is another session's or interaction's, too old, or used; or
            another picture is being compared.
        TooManyFailuresError: too many pictures of this account, or address, did not agree.
    """
    installation = services.installation
    _check(installation, session, interaction_id, given)
    counted = (
        (limits.FACE_ACCOUNT, f"account {session.account_id}"),
        (limits.FACE_ADDRESS, address),
    )
    begun = _begin(services, session, given, counted)
    if begun is None:
        return Verdict.NO_PORTRAIT
    check_id, entry, query = begun
    evidence = installation.evidence(entry)
    service = installation.face_match
    assert service is not None  # noqa: S101 - without it the step is not offered
    said = service.compare(query, picture, evidence, installation.clock())
    if isinstance(said, Unavailable):
        audit.note("register.unavailable", register=service.name, reason=said.reason)
        return None
    verdict = said.verdict if isinstance(said, Judgement) else Verdict.NO_PORTRAIT
    with installation.engine.begin() as db:
        again = installation.services(db)
        if isinstance(said, Judgement):
            again.face_checks.conclude(check_id, verdict, said.reference, said.at)
        if verdict in _FAILED:
            again.limits.count_failure(*counted)
    if verdict is not Verdict.MATCH:
        audit.security_event(
            "sign-in.refused",
            method="face",
            account=session.account_id,
            reason=verdict.value,
            address=address,
        )
    return verdict


def _begin(
    services: Services,
    session: BrowserSession,
    given: str,
    counted: tuple[tuple[limits.Limit, str], ...],
) -> tuple[str, Recorded, Query] | None:
    """Commit the use entry and the ticket's end; None when the register cannot know the person."""
    installation = services.installation
    with installation.engine.begin() as db:
        own = installation.services(db, correlation=services.correlation)
        if own.limits.is_exhausted(*counted):
            audit.security_event("sign-in.throttled", method="face", address=counted[1][1])
            raise TooManyFailuresError
        if own.face_checks.was_used(given):
            raise SignInExpiredError
        asking = own.disclosure.asking(
            session.subject_id,
            Source.IDENTITY_CARDS,
            only=("portrait",),
            purpose="account-identity-check",
            # Biometric data are compared because she pressed the button that says so.
            legal_basis="consent",
            register=FACE_MATCH,
        )
        if asking is None:
            return None
        query, entry = asking
        check_id = own.face_checks.begin(session.account_id, session.id, given, entry.id)
        if check_id is None:
            # Somebody was faster: this entry is taken back with the transaction.
            raise SignInExpiredError
    return check_id, entry, query


def _check(
    installation: Installation, session: BrowserSession, interaction_id: str, given: str
) -> None:
    found = _TICKET.fullmatch(given)
    if found is None or int(found[1]) <= installation.clock().timestamp():
        raise SignInExpiredError
    expected = _mac(installation, session, interaction_id, int(found[1]), found[2])
    if not hmac.compare_digest(expected, found[3]):
        raise SignInExpiredError


def _mac(
    installation: Installation, session: BrowserSession, interaction_id: str, until: int, lot: str
) -> str:
    return installation.vault.mac("face-check", session.id, interaction_id, str(until), lot).hex()
