"""Cases: what a person asks of an agency about a use of her data, and what becomes of it by when.

A case goes from open to acknowledged to answered to closed; each step is one conditional UPDATE, so two
who act at once are one. The person's and the agency's words are sealed.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Connection,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    delete,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from accounts.schema import Chance, Clock, UTCDateTime, metadata, new_id
from accounts.vault import Vault, sealed_as
from consent.deadlines import Right, deadline

LONGEST = 2000
"""Of what is written, in characters."""
_SIGNS = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
_MOST = 200
_A_MOMENT = timedelta(seconds=1)


class CaseState(StrEnum):
    """Where a case stands."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    ANSWERED = "answered"
    CLOSED = "closed"


class Finding(StrEnum):
    """What the agency found or did."""

    EXPLAINED = "explained"
    STOPPED = "stopped"
    CORRECTED = "corrected"
    REFUSED = "refused"
    """It goes on, for the legal reason that the answer names."""
    NOT_OURS = "not-ours"
    """The agency knows nothing of such a use."""


data_case = Table(
    "data_case",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("reference", String(16), nullable=False, unique=True),
    Column("right", String(16), nullable=False),
    Column("subject_id", String(32), ForeignKey("subject.id"), nullable=False),
    # Who asks: the subject, or who stands for her.
    Column("opened_by", String(32), ForeignKey("subject.id"), nullable=False),
    Column("client_id", String(255), nullable=False),
    # The use that it is about, by its place in the chain; 0 when it is about the agency as such.
    Column("position", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("words", LargeBinary, info=sealed_as("case", "id")),
    Column("opened_at", UTCDateTime, nullable=False),
    Column("acknowledge_by", UTCDateTime, nullable=False),
    Column("answer_by", UTCDateTime, nullable=False),
    Column("acknowledged_at", UTCDateTime),
    Column("through_others", Boolean, nullable=False),
    Column("extended_at", UTCDateTime),
    Column("extension_reason", LargeBinary, info=sealed_as("case-extension", "id")),
    Column("answered_at", UTCDateTime),
    Column("finding", String(16)),
    Column("answer", LargeBinary, info=sealed_as("case-answer", "id")),
    Column("escalated_at", UTCDateTime),
    Column("ruled_by", String(32)),
    Column("ruling", LargeBinary, info=sealed_as("case-ruling", "id")),
    Column("closed_at", UTCDateTime),
)
_UNANSWERED = data_case.c.state.in_([CaseState.OPEN.value, CaseState.ACKNOWLEDGED.value])
Index("ix_data_case_subject_id_opened_at", data_case.c.subject_id, data_case.c.opened_at)
Index("ix_data_case_opened_by", data_case.c.opened_by)
Index("ix_data_case_client_id_state", data_case.c.client_id, data_case.c.state)
# The same thing is not asked twice while it waits for an answer.
Index(
    "uq_data_case_unanswered",
    data_case.c.subject_id,
    data_case.c.client_id,
    data_case.c.right,
    data_case.c.position,
    unique=True,
    sqlite_where=_UNANSWERED,
    postgresql_where=_UNANSWERED,
)


@dataclass(frozen=True)
class Case:
    """One case. ``acknowledge_by`` and ``answer_by`` are the first moments that are too late."""

    id: str
    reference: str
    right: Right
    subject_id: str
    opened_by: str
    client_id: str
    position: int
    state: CaseState
    words: str
    opened_at: datetime
    acknowledge_by: datetime
    answer_by: datetime
    acknowledged_at: datetime | None
    through_others: bool
    extended_at: datetime | None
    extension_reason: str
    answered_at: datetime | None
    finding: Finding | None
    answer: str
    escalated_at: datetime | None
    ruled_by: str | None
    ruling: str
    closed_at: datetime | None

    def is_late(self, now: datetime) -> bool:
        """True when the agency has missed a moment by which it had to act."""
        if self.answered_at is not None or self.state is CaseState.CLOSED:
            return self.answered_at is not None and self.answered_at >= self.answer_by
        acknowledging = self.acknowledged_at is None and now >= self.acknowledge_by
        return acknowledging or now >= self.answer_by


class Cases:
    """All cases."""

    def __init__(self, db: Connection, clock: Clock, chance: Chance, vault: Vault) -> None:
        self._db = db
        self._clock = clock
        self._chance = chance
        self._vault = vault

    def open(
        self,
        right: Right,
        *,
        subject_id: str,
        opened_by: str,
        client_id: str,
        position: int,
        words: str,
    ) -> tuple[Case, bool]:
        """Open a case; False with the one that asks the same and still waits for an answer."""
        now = self._clock()
        row = deadline(right, now)
        case_id = new_id(now, self._chance)
        dialect = postgresql if self._db.dialect.name == "postgresql" else sqlite
        opened = self._db.execute(
            dialect.insert(data_case)
            .values(
                id=case_id,
                reference=self._reference(),
                right=right.value,
                subject_id=subject_id,
                opened_by=opened_by,
                client_id=client_id,
                position=position,
                state=CaseState.OPEN.value,
                words=self._sealed("case", case_id, words),
                opened_at=now,
                acknowledge_by=row.acknowledge.ends(now),
                answer_by=row.answer.ends(now),
                through_others=False,
                # A complaint goes to the authority too, at once.
                escalated_at=now if right is Right.COMPLAIN else None,
            )
            .on_conflict_do_nothing()
            .returning(data_case.c.id)
        ).first()
        same = self._one(
            data_case.c.subject_id == subject_id,
            data_case.c.client_id == client_id,
            data_case.c.right == right.value,
            data_case.c.position == position,
            _UNANSWERED,
        )
        assert same is not None  # noqa: S101 - made just now, or in the way
        return same, opened is not None

    def case(self, case_id: str) -> Case:
        """Return the case; the id must exist."""
        return self._case(
            self._db.execute(select(data_case).where(data_case.c.id == case_id)).one()
        )

    def find(self, reference: str) -> Case | None:
        """Return the case with the reference, however it is typed."""
        text = reference.strip().upper()[:16]
        return self._one(data_case.c.reference == text)

    def of_person(self, subject_id: str) -> list[Case]:
        """Return the cases about the person and those that she opened for others, newest first."""
        return self._all(
            or_(data_case.c.subject_id == subject_id, data_case.c.opened_by == subject_id)
        )

    def waiting_for(self, client_id: str) -> list[Case]:
        """Return what an agency has to answer, the most urgent first."""
        return self._all(data_case.c.client_id == client_id, _UNANSWERED, by_urgency=True)

    def before_the_authority(self, own: str) -> list[Case]:
        """Return what officers have to look at: asked of the provider ``own`` itself, or brought to
        the authority because an agency's answer was late or did not satisfy.
        """
        theirs = (data_case.c.client_id == own) & _UNANSWERED
        escalated = data_case.c.escalated_at.is_not(None) & data_case.c.closed_at.is_(None)
        return self._all(theirs | escalated, by_urgency=True)

    def overdue(self) -> list[Case]:
        """Return every case whose answer is late, the latest first."""
        return self._all(_UNANSWERED, data_case.c.answer_by <= self._clock(), by_urgency=True)

    def late_by_agency(self) -> dict[str, int]:
        """Return how many cases each agency answers late at this moment."""
        rows = self._db.execute(
            select(data_case.c.client_id, func.count().label("late"))
            .where(_UNANSWERED, data_case.c.answer_by <= self._clock())
            .group_by(data_case.c.client_id)
        )
        return {row.client_id: row.late for row in rows}

    def stirring(self, since: datetime, until: datetime) -> list[Case]:
        """Return every case that somebody opened or moved in the time, and those late at its end."""
        moved = [
            column.between(since, until) for column in data_case.c if column.name.endswith("ed_at")
        ]
        late = _UNANSWERED & (data_case.c.answer_by <= until)
        rows = self._db.execute(select(data_case).where(or_(*moved, late)).order_by(data_case.c.id))
        return [self._case(row) for row in rows]

    def acknowledge(self, reference: str, client_id: str) -> bool:
        """Note that the agency has the case; False when it noted so before, or the case is not its."""
        return self._change(
            reference,
            client_id,
            data_case.c.state == CaseState.OPEN.value,
            state=CaseState.ACKNOWLEDGED.value,
            acknowledged_at=self._clock(),
        )

    def extend(
        self, reference: str, client_id: str, reason: str, *, through_others: bool = False
    ) -> bool:
        """Take the one extension, before the answer is late and with a reason; False when it cannot be.

        ``through_others`` says that a processor or third party has to act, for which the law gives
        more time from the beginning. It can be said once, and the extension is left all the same.
        """
        found = self.find(reference)
        if found is None:
            return False
        row = deadline(found.right, found.opened_at)
        # An extension begins where the time ends.
        last_day = found.answer_by - _A_MOMENT
        once: tuple[ColumnElement[bool], dict[str, Any]] = (
            data_case.c.extended_at.is_(None),
            {"extended_at": self._clock()},
        )
        if through_others:
            once = (data_case.c.through_others.is_(False), {"through_others": True})
        until = (
            row.through_others.ends(found.opened_at)
            if through_others
            else row.extension.ends(last_day)
        )
        return self._change(
            reference,
            client_id,
            _UNANSWERED,
            once[0],
            data_case.c.answer_by > self._clock(),
            answer_by=max(until, found.answer_by),
            **once[1],
            extension_reason=self._sealed("case-extension", found.id, reason),
        )

    def answer(self, reference: str, client_id: str, finding: Finding, text: str) -> bool:
        """Answer once; False when it was answered before, is closed, or is not the agency's."""
        found = self.find(reference)
        if found is None:
            return False
        now = self._clock()
        return self._change(
            reference,
            client_id,
            _UNANSWERED,
            state=CaseState.ANSWERED.value,
            acknowledged_at=found.acknowledged_at or now,
            answered_at=now,
            finding=finding.value,
            answer=self._sealed("case-answer", found.id, text),
        )

    def escalate(self, case_id: str, subject_id: str) -> bool:
        """Bring it to the authority: an answer that does not satisfy, or one that is late."""
        now = self._clock()
        late = (data_case.c.answer_by <= now) | (data_case.c.answered_at.is_not(None))
        return self._changed(
            data_case.c.id == case_id,
            _is_party(subject_id),
            data_case.c.closed_at.is_(None),
            data_case.c.escalated_at.is_(None),
            late,
            escalated_at=now,
        )

    def rule(self, case_id: str, officer_id: str, text: str) -> bool:
        """Close what was brought to the authority with what it found; False when it is closed."""
        return self._changed(
            data_case.c.id == case_id,
            data_case.c.escalated_at.is_not(None),
            data_case.c.closed_at.is_(None),
            state=CaseState.CLOSED.value,
            closed_at=self._clock(),
            ruled_by=officer_id,
            ruling=self._sealed("case-ruling", case_id, text),
        )

    def close(self, case_id: str, subject_id: str) -> bool:
        """Close it, answered or not: the person is satisfied, or asks no more."""
        return self._changed(
            data_case.c.id == case_id,
            _is_party(subject_id),
            data_case.c.closed_at.is_(None),
            state=CaseState.CLOSED.value,
            closed_at=self._clock(),
        )

    def purge(self, before: datetime) -> int:
        """Remove cases that were closed or answered before the moment; return how many."""
        over = or_(data_case.c.closed_at < before, data_case.c.answered_at < before)
        unruled = data_case.c.escalated_at.is_not(None) & data_case.c.closed_at.is_(None)
        return self._db.execute(delete(data_case).where(over, ~unruled)).rowcount

    def _change(
        self, reference: str, client_id: str, *conditions: ColumnElement[bool], **values: Any
    ) -> bool:
        return self._changed(
            data_case.c.reference == reference.strip().upper()[:16],
            data_case.c.client_id == client_id,
            *conditions,
            **values,
        )

    def _changed(self, *conditions: ColumnElement[bool], **values: Any) -> bool:
        return self._db.execute(update(data_case).where(*conditions).values(**values)).rowcount == 1

    def _reference(self) -> str:
        drawn = "".join(_SIGNS[byte % len(_SIGNS)] for byte in self._chance(8))
        return f"{drawn[:4]}-{drawn[4:]}"

    def _sealed(self, purpose: str, case_id: str, text: str) -> bytes | None:
        return self._vault.seal(purpose, text.encode(), context=case_id) if text else None

    def _opened(self, purpose: str, case_id: str, sealed: bytes | None) -> str:
        return self._vault.open(purpose, sealed, context=case_id).decode() if sealed else ""

    def _one(self, *conditions: ColumnElement[bool]) -> Case | None:
        row = self._db.execute(select(data_case).where(*conditions)).first()
        return None if row is None else self._case(row)

    def _all(self, *conditions: ColumnElement[bool], by_urgency: bool = False) -> list[Case]:
        order = data_case.c.answer_by if by_urgency else data_case.c.opened_at.desc()
        rows = self._db.execute(
            select(data_case).where(*conditions).order_by(order, data_case.c.id).limit(_MOST)
        )
        return [self._case(row) for row in rows]

    def _case(self, row: Any) -> Case:
        return Case(
            id=row.id,
            reference=row.reference,
            right=Right(row.right),
            subject_id=row.subject_id,
            opened_by=row.opened_by,
            client_id=row.client_id,
            position=row.position,
            state=CaseState(row.state),
            words=self._opened("case", row.id, row.words),
            opened_at=row.opened_at,
            acknowledge_by=row.acknowledge_by,
            answer_by=row.answer_by,
            acknowledged_at=row.acknowledged_at,
            through_others=row.through_others,
            extended_at=row.extended_at,
            extension_reason=self._opened("case-extension", row.id, row.extension_reason),
            answered_at=row.answered_at,
            finding=Finding(row.finding) if row.finding else None,
            answer=self._opened("case-answer", row.id, row.answer),
            escalated_at=row.escalated_at,
            ruled_by=row.ruled_by,
            ruling=self._opened("case-ruling", row.id, row.ruling),
            closed_at=row.closed_at,
        )


def _is_party(subject_id: str) -> ColumnElement[bool]:
    return or_(data_case.c.subject_id == subject_id, data_case.c.opened_by == subject_id)
