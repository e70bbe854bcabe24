"""Delivers the outbox: again and again, with growing pauses, until it is taken or given up.

A relying party that cannot be reached is left alone for the rest of a round, so that it holds up
nobody else's messages.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from connectors.errors import OutboundRefusedError
from idp import audit
from idp.database import for_reading
from idp.oidc import events
from idp.oidc.backchannel import TOKEN_TYPE, logout_claims
from idp.oidc.events import withdrawn_in
from idp.oidc.relying_parties import RelyingParty
from idp.outbox import MessageKind, OutboxMessage
from idp.services import Installation

INTERVAL = timedelta(seconds=3)
KEPT = timedelta(days=30)
"""How long operators see what was given up."""
_A_ROUND = 100
_PATIENCE = (
    timedelta(seconds=10),
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=8),
    timedelta(hours=24),
    timedelta(hours=24),
)
"""How long is waited after each attempt that failed; after the last one it is given up."""
_CLAIM = timedelta(minutes=1)
"""For so long nobody else takes up what a process is sending; longer than any answer may take."""
_TAKEN = range(200, 300)


@dataclass(frozen=True)
class _Letter:
    """What is posted, and where."""

    url: str
    media_type: str
    body: bytes


class _RefusedError(Exception):
    """It was not taken; ``is_final`` when trying again would change nothing."""

    def __init__(self, fault: str, *, is_final: bool = False) -> None:
        super().__init__(fault)
        self.fault = fault
        self.is_final = is_final


def dispatch(installation: Installation) -> dict[str, int]:
    """Send what is due; return how many messages were ``delivered``, ``postponed``, ``given up``.

    Nothing is locked while a relying party is spoken to: each message is claimed first, so that of
    several processes one sends it. A process that dies in between lets it be sent once more, with the
    same ``jti``.
    """
    outcome = {"delivered": 0, "postponed": 0, "given up": 0}
    with for_reading(installation.engine).connect() as db:
        if not installation.services(db).outbox.has_due(installation.clock()):
            return outcome
    silent: set[str] = set()
    for _ in range(_A_ROUND):
        with installation.engine.begin() as db:
            now = installation.clock()
            due = installation.services(db).outbox.claim(now, now + _CLAIM, but=silent)
        if due is None:
            break
        became = _send(installation, due)
        outcome[became] += 1
        if became == "postponed":
            silent.add(due.client_id)
    return outcome


def _send(installation: Installation, message: OutboxMessage) -> str:
    try:
        _post(installation, message)
    except _RefusedError as error:
        again = None if error.is_final else _again(message, installation.clock())
        audit.note(
            "outbox.postponed" if again else "outbox.given-up",
            party=message.client_id,
            message=message.kind.value,
            reason=error.fault,
        )
        with installation.engine.begin() as db:
            outbox = installation.services(db).outbox
            if again is None:
                outbox.give_up(message.id, error.fault)
                return "given up"
            outbox.postpone(message.id, again, error.fault)
        return "postponed"
    with installation.engine.begin() as db:
        services = installation.services(db)
        services.outbox.mark_delivered(message.id)
        if (consent_id := withdrawn_in(message)) is not None:
            services.withdrawals.note_told([consent_id])
    return "delivered"


def _post(installation: Installation, message: OutboxMessage) -> None:
    relying_party = installation.relying_parties.find(message.client_id)
    if relying_party is None:
        raise _RefusedError("not-registered", is_final=True)
    letter = _LETTERS[message.kind](installation, message, relying_party)
    try:
        reply = installation.outbound.exchange(
            "POST", letter.url, headers={"Content-Type": letter.media_type}, body=letter.body
        )
    except OutboundRefusedError as error:
        raise _RefusedError(error.detail) from error
    if reply.status not in _TAKEN:
        # 400 is the relying party's judgement (Back-Channel Logout §2.8); all else may pass.
        raise _RefusedError(f"status-{reply.status}", is_final=reply.status == 400)


def _logout_token(
    installation: Installation, message: OutboxMessage, relying_party: RelyingParty
) -> _Letter:
    """Back-Channel Logout §2.5: a form with the token in it."""
    if relying_party.backchannel_logout_uri is None:
        raise _RefusedError("no-address", is_final=True)
    claims = logout_claims(
        message,
        relying_party,
        issuer=installation.settings.issuer,
        now=int(installation.clock().timestamp()),
    )
    token = installation.keys.sign(claims, relying_party.id_token_algorithm, typ=TOKEN_TYPE)
    return _Letter(
        relying_party.backchannel_logout_uri,
        "application/x-www-form-urlencoded",
        urlencode({"logout_token": token}).encode(),
    )


def _event_token(
    installation: Installation, message: OutboxMessage, relying_party: RelyingParty
) -> _Letter:
    """RFC 8935 §2: the token is the body."""
    if relying_party.events_uri is None:
        raise _RefusedError("no-address", is_final=True)
    issuer, keys = installation.settings.issuer, installation.keys
    token = events.event_token(message, relying_party, issuer=issuer, keys=keys)
    return _Letter(relying_party.events_uri, events.MEDIA_TYPE, token.encode())


_LETTERS: dict[MessageKind, Callable[[Installation, OutboxMessage, RelyingParty], _Letter]] = {
    MessageKind.LOGOUT: _logout_token,
    MessageKind.EVENT: _event_token,
}
"""How each kind is made into what is sent; a new kind of message needs one entry here."""


def _again(message: OutboxMessage, now: datetime) -> datetime | None:
    if message.attempts >= len(_PATIENCE):
        return None
    return now + _PATIENCE[message.attempts]
