"""The outbox: messages to relying parties, written in the transaction of the act that causes them.

So nothing that was done goes untold, whatever dies right after it, and nothing is told that was not
done. ``idp.dispatch`` delivers them afterwards. A row keeps whom a message is for in clear, because
operators have to see who cannot be reached; what it says of a person is sealed.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import orjson
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    delete,
    func,
    insert,
    select,
    update,
)

from accounts import turns
from accounts.schema import Chance, Clock, UTCDateTime, metadata, new_id
from accounts.vault import Vault, sealed_as


class MessageKind(StrEnum):
    """What a message is; how each kind is signed and sent is the delivery's business."""

    LOGOUT = "logout"
    EVENT = "event"


outbox_message = Table(
    "outbox_message",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("client_id", String(255), nullable=False),
    Column("kind", String(24), nullable=False),
    Column("sealed", LargeBinary, nullable=False, info=sealed_as("outbox", "id")),
    Column("made_at", UTCDateTime, nullable=False),
    Column("attempts", Integer, nullable=False),
    # From when on it may be taken up; empty once it was delivered or given up.
    # Also empty while it waits to be fetched.
    Column("due_at", UTCDateTime),
    Column("delivered_at", UTCDateTime),
    Column("given_up_at", UTCDateTime),
    # Why the last attempt failed; empty while none did.
    Column("fault", String(40), nullable=False),
)
Index(
    "ix_outbox_message_due_at",
    outbox_message.c.due_at,
    sqlite_where=outbox_message.c.due_at.is_not(None),
    postgresql_where=outbox_message.c.due_at.is_not(None),
)
Index(
    "ix_outbox_message_undelivered",
    outbox_message.c.client_id,
    outbox_message.c.made_at,
    sqlite_where=outbox_message.c.delivered_at.is_(None),
    postgresql_where=outbox_message.c.delivered_at.is_(None),
)


@dataclass(frozen=True)
class OutboxMessage:
    """One message. ``id`` stays the same at every attempt; ``claims`` are what it says."""

    id: str
    client_id: str
    kind: MessageKind
    claims: dict[str, Any]
    made_at: datetime
    attempts: int


@dataclass(frozen=True)
class Backlog:
    """What a relying party has not taken: how many messages, since when, and why not."""

    client_id: str
    is_given_up: bool
    fault: str
    count: int
    since: datetime


class Outbox:
    """All messages to relying parties."""

    def __init__(self, db: Connection, clock: Clock, chance: Chance, vault: Vault) -> None:
        self._db = db
        self._clock = clock
        self._chance = chance
        self._vault = vault

    @property
    def connection(self) -> Connection:
        """The transaction that this outbox writes in."""
        return self._db

    def put(
        self, client_id: str, kind: MessageKind, claims: dict[str, Any], *, is_fetched: bool = False
    ) -> None:
        """Order a message to be delivered as soon as this transaction is committed, or to wait until
        the relying party fetches it.
        """
        now = self._clock()
        message_id = new_id(now, self._chance)
        self._db.execute(
            insert(outbox_message).values(
                id=message_id,
                client_id=client_id,
                kind=kind.value,
                sealed=self._vault.seal("outbox", orjson.dumps(claims), context=message_id),
                made_at=now,
                attempts=0,
                due_at=None if is_fetched else now,
                fault="",
            )
        )

    def has_due(self, now: datetime) -> bool:
        """True when something waits to be delivered."""
        return (
            self._db.execute(
                select(outbox_message.c.id).where(outbox_message.c.due_at <= now).limit(1)
            ).first()
            is not None
        )

    def claim(
        self, now: datetime, until: datetime, *, but: Iterable[str] = ()
    ) -> OutboxMessage | None:
        """Return what has been due for the longest time and keep it from others until the moment;
        None when there is nothing, or only for the relying parties that are left out.
        """
        others = outbox_message.c.client_id.not_in(list(but))
        row = turns.take(self._db, outbox_message, now, until, others)
        return None if row is None else self._message(row)

    def waiting(self, client_id: str, most: int) -> list[OutboxMessage]:
        """Return what the relying party has to fetch, oldest first."""
        rows = self._db.execute(
            select(outbox_message)
            .where(*_to_fetch(client_id))
            .order_by(outbox_message.c.made_at, outbox_message.c.id)
            .limit(most)
        )
        return [self._message(row) for row in rows]

    def take(self, client_id: str, message_ids: Sequence[str]) -> list[OutboxMessage]:
        """Note that the relying party took what it fetched; return what that was news of."""
        rows = self._db.execute(
            update(outbox_message)
            .where(*_to_fetch(client_id), outbox_message.c.id.in_(message_ids))
            .values(delivered_at=self._clock(), attempts=outbox_message.c.attempts + 1, fault="")
            .returning(outbox_message)
        )
        return [self._message(row) for row in rows.all()]

    def refuse(self, client_id: str, message_id: str, fault: str) -> None:
        """Note that the relying party could not use what it fetched; operators see why."""
        self._db.execute(
            update(outbox_message)
            .where(*_to_fetch(client_id), outbox_message.c.id == message_id)
            .values(given_up_at=self._clock(), fault=_plain(fault))
        )

    def mark_delivered(self, message_id: str) -> None:
        """Note that the relying party took it."""
        self._end(message_id, delivered_at=self._clock(), fault="")

    def postpone(self, message_id: str, until: datetime, fault: str) -> None:
        """Note an attempt that failed, and when the next one is."""
        self._end(message_id, due_at=until, fault=fault[:40])

    def give_up(self, message_id: str, fault: str) -> None:
        """Note that nobody tries any more; operators see it until it is purged."""
        self._end(message_id, given_up_at=self._clock(), fault=fault[:40])

    def retry(self, client_id: str, *, is_fetched: bool = False) -> int:
        """Try everything again that was given up for a relying party, or let it be fetched again;
        return how many.
        """
        given_up = (
            outbox_message.c.client_id == client_id,
            outbox_message.c.given_up_at.is_not(None),
        )
        is_event = outbox_message.c.kind == MessageKind.EVENT.value
        events = self._again(None if is_fetched else self._clock(), *given_up, is_event)
        return events + self._again(self._clock(), *given_up)

    def _again(self, due_at: datetime | None, *which: ColumnElement[bool]) -> int:
        return self._db.execute(
            update(outbox_message).where(*which).values(given_up_at=None, due_at=due_at, attempts=0)
        ).rowcount

    def backlogs(self) -> list[Backlog]:
        """Return what is not delivered, by relying party."""
        given_up = outbox_message.c.given_up_at.is_not(None)
        rows = self._db.execute(
            select(
                outbox_message.c.client_id,
                given_up.label("given_up"),
                outbox_message.c.fault,
                func.count().label("messages"),
                func.min(outbox_message.c.made_at).label("since"),
            )
            .where(outbox_message.c.delivered_at.is_(None))
            .group_by(outbox_message.c.client_id, given_up, outbox_message.c.fault)
            .order_by(outbox_message.c.client_id)
        )
        return [
            Backlog(row.client_id, bool(row.given_up), row.fault, row.messages, row.since)
            for row in rows
        ]

    def purge(self, before: datetime) -> int:
        """Remove what was delivered or given up and made before the moment; return how many."""
        return self._db.execute(
            delete(outbox_message).where(
                outbox_message.c.due_at.is_(None), outbox_message.c.made_at < before
            )
        ).rowcount

    def _end(self, message_id: str, **values: Any) -> None:
        self._db.execute(
            update(outbox_message)
            .where(outbox_message.c.id == message_id)
            .values(**{"attempts": outbox_message.c.attempts + 1, "due_at": None, **values})
        )

    def _message(self, row: Any) -> OutboxMessage:
        return OutboxMessage(
            id=row.id,
            client_id=row.client_id,
            kind=MessageKind(row.kind),
            claims=orjson.loads(self._vault.open("outbox", row.sealed, context=row.id)),
            made_at=row.made_at,
            attempts=row.attempts,
        )


def _to_fetch(client_id: str) -> tuple[ColumnElement[bool], ...]:
    return (
        outbox_message.c.client_id == client_id,
        outbox_message.c.kind == MessageKind.EVENT.value,
        outbox_message.c.due_at.is_(None),
        outbox_message.c.delivered_at.is_(None),
        outbox_message.c.given_up_at.is_(None),
    )


def _plain(fault: str) -> str:
    """Return somebody else's word for a fault as it may stand in our records."""
    return re.sub(r"[^A-Za-z0-9_.\-]", "", fault)[:40] or "refused"
