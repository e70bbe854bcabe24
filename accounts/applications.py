"""Applications for an account: what was stated, what proves it, who agreed, and what was decided.

The rules of the kinds live above, in ``idp.applications``; here is what is kept. Whatever names
somebody is sealed. A decision, an answer and a turn at asking the register are each one conditional
UPDATE, so of two at once one counts.
"""

import base64
import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    and_,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from accounts.errors import UnknownApplicationError
from accounts.schema import Chance, Clock, UTCDateTime, metadata, new_id
from accounts.subject import IdentifierType, canonical
from accounts.vault import Vault, sealed_as


class ApplicationKind(StrEnum):
    """What is applied for (Decree 69/2024 Art. 7 and 10 to 12)."""

    CITIZEN_01 = "citizen-01"
    CITIZEN_02 = "citizen-02"
    FOREIGNER_01 = "foreigner-01"
    FOREIGNER_02 = "foreigner-02"
    MINOR = "minor"
    ORGANISATION = "organisation"


class ApplicationState(StrEnum):
    """Where an application stands; the last two are final."""

    SUBMITTED = "submitted"
    CHECKING = "checking"
    READY = "ready"
    REFUSED = "refused"
    ISSUED = "issued"

    @property
    def is_open(self) -> bool:
        """True until it is decided."""
        return self not in {ApplicationState.REFUSED, ApplicationState.ISSUED}


class EvidenceSource(StrEnum):
    """Where a piece of evidence comes from: a register, a card's chip, or something shown at a desk."""

    POPULATION = "population"
    IMMIGRATION = "immigration"
    ENTERPRISES = "enterprises"
    IDENTITY_CARDS = "identity_cards"
    CHIP = "chip"
    VISIT = "visit"
    DOCUMENT = "document"


class Outcome(StrEnum):
    """What became of asking or showing."""

    FOUND = "found"
    NOT_FOUND = "not-found"
    UNAVAILABLE = "unavailable"
    SHOWN = "shown"


class Answer(StrEnum):
    """What a legal representative answers when asked to agree."""

    ASKED = "asked"
    AGREED = "agreed"
    DECLINED = "declined"


application = Table(
    "application",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("subject_id", String(32), ForeignKey("subject.id"), nullable=False, index=True),
    Column("applicant_id", String(32), ForeignKey("subject.id"), index=True),
    Column("reference_mac", LargeBinary, unique=True),
    Column("sealed", LargeBinary, nullable=False, info=sealed_as("application", "id")),
    Column("submitted_at", UTCDateTime, nullable=False),
    Column("due_at", UTCDateTime),
    Column("next_check_at", UTCDateTime, index=True),
    Column("checks", Integer, nullable=False),
    Column("decided_at", UTCDateTime),
    Column("decided_by", String(32)),
    Column("decision", LargeBinary, info=sealed_as("application-decision", "id")),
    Column("account_id", String(32), ForeignKey("account.id")),
)
Index("ix_application_state_due_at", application.c.state, application.c.due_at)

evidence = Table(
    "application_evidence",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("application_id", String(32), ForeignKey("application.id"), nullable=False, index=True),
    Column("source", String(16), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column(
        "sealed",
        LargeBinary,
        nullable=False,
        info=sealed_as("application-evidence", "application_id"),
    ),
    Column("as_of", UTCDateTime, nullable=False),
    Column("received_at", UTCDateTime, nullable=False),
    # The use entry under which a register was asked, or the officer to whom something was shown.
    Column("entry_id", String(32)),
    Column("officer_id", String(32)),
)

agreement = Table(
    "application_agreement",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("application_id", String(32), ForeignKey("application.id"), nullable=False),
    Column("blind_index", LargeBinary, nullable=False, index=True),
    Column(
        "sealed",
        LargeBinary,
        nullable=False,
        info=sealed_as("application-agreement", "application_id"),
    ),
    Column("answer", String(16), nullable=False),
    Column("asked_at", UTCDateTime, nullable=False),
    Column("answered_at", UTCDateTime),
    Column("answered_by", String(32)),
)
Index(
    "uq_application_agreement_representative",
    agreement.c.application_id,
    agreement.c.blind_index,
    unique=True,
)

_OPEN = [state.value for state in ApplicationState if state.is_open]


@dataclass(frozen=True)
class Application:
    """An application as it stands. ``due_at`` is the first moment too late; None until it is full.

    ``subject_id`` is for whom, ``applicant_id`` who applies if she has an account already.
    """

    id: str
    kind: ApplicationKind
    state: ApplicationState
    subject_id: str
    applicant_id: str | None
    stated: dict[str, str]
    submitted_at: datetime
    due_at: datetime | None
    next_check_at: datetime | None
    checks: int
    decided_at: datetime | None
    decided_by: str | None
    decision: str
    account_id: str | None

    def is_late(self, now: datetime) -> bool:
        """True when the law's time for deciding is over and nothing is decided."""
        return self.state.is_open and self.due_at is not None and now >= self.due_at


@dataclass(frozen=True)
class Evidence:
    """One piece of evidence, with its source and age."""

    source: EvidenceSource
    outcome: Outcome
    values: dict[str, Any]
    as_of: datetime
    received_at: datetime
    officer_id: str | None


@dataclass(frozen=True)
class Agreement:
    """A legal representative who is asked to agree, and her answer."""

    id: str
    application_id: str
    name: str
    answer: Answer
    asked_at: datetime
    answered_at: datetime | None


class Applications:
    """All applications."""

    def __init__(self, db: Connection, clock: Clock, chance: Chance, vault: Vault) -> None:
        self._db = db
        self._clock = clock
        self._chance = chance
        self._vault = vault

    def submit(
        self,
        kind: ApplicationKind,
        stated: dict[str, str],
        *,
        subject_id: str,
        applicant_id: str | None,
        due_at: datetime | None,
    ) -> tuple[str, str]:
        """Keep an application; return its id and the reference by which it is followed.

        The reference is 100 bits of chance and is kept as a MAC only.
        """
        now = self._clock()
        application_id = new_id(now, self._chance)
        reference = base64.b32encode(self._chance(13)).decode().rstrip("=")[:20]
        self._db.execute(
            insert(application).values(
                id=application_id,
                kind=kind.value,
                state=ApplicationState.SUBMITTED.value,
                subject_id=subject_id,
                applicant_id=applicant_id,
                reference_mac=self._reference_mac(reference),
                sealed=self._seal("application", application_id, stated),
                submitted_at=now,
                due_at=due_at,
                next_check_at=now,
                checks=0,
            )
        )
        return application_id, "-".join(reference[i : i + 5] for i in range(0, 20, 5))

    def application(self, application_id: str) -> Application:
        """Return the application.

        Raises:
            UnknownApplicationError: there is none with this id.
        """
        return self._required(application.c.id == application_id)

    def hold(self, application_id: str) -> Application:
        """Return the application, its row held until the transaction ends.

        Whoever weighs evidence and answers against each other holds it first, so that of two at once
        the second sees what the first did.

        Raises:
            UnknownApplicationError: there is none with this id.
        """
        self._db.execute(
            select(application.c.id).where(application.c.id == application_id).with_for_update()
        )
        return self.application(application_id)

    def find_by_reference(self, reference: str) -> Application | None:
        """Return the application that bears this reference, however it is spelled."""
        found = self._list(application.c.reference_mac == self._reference_mac(reference))
        return found[0] if found else None

    def of_applicant(self, subject_id: str) -> list[Application]:
        """Return what the person applied for, newest first."""
        return self._list(
            (application.c.applicant_id == subject_id) | (application.c.subject_id == subject_id)
        )[::-1]

    def undecided(self) -> list[Application]:
        """Return the queue: what is not decided, the most urgent first, what has no date last."""
        found = self._list(application.c.state.in_(_OPEN))
        return sorted(found, key=lambda one: (one.due_at is None, one.due_at or one.submitted_at))

    def to_check(self, now: datetime, limit: int = 50) -> list[str]:
        """Return the ids of applications whose register is to be asked now."""
        rows = self._db.execute(
            select(application.c.id)
            .where(application.c.next_check_at <= now, application.c.state.in_(_OPEN))
            .order_by(application.c.next_check_at)
            .limit(limit)
        )
        return list(rows.scalars())

    def claim_check(self, application_id: str, until: datetime) -> bool:
        """Take the turn at asking the register until the moment; False when another has it."""
        claimed = self._db.execute(
            update(application)
            .where(
                application.c.id == application_id,
                application.c.next_check_at <= self._clock(),
                application.c.state.in_(_OPEN),
            )
            .values(next_check_at=until, checks=application.c.checks + 1)
        ).rowcount
        return claimed == 1

    def check_again(self, application_id: str, at: datetime | None) -> None:
        """Set when the register is asked next; None when it has answered."""
        self._change(application_id, next_check_at=at)

    def set_due(self, application_id: str, due_at: datetime) -> None:
        """Set by when the law wants it decided."""
        self._change(application_id, due_at=due_at)

    def move(self, application_id: str, state: ApplicationState) -> None:
        """Move an undecided application to another undecided state."""
        self._db.execute(
            update(application)
            .where(application.c.id == application_id, application.c.state.in_(_OPEN))
            .values(state=state.value)
        )

    def decide(
        self,
        application_id: str,
        state: ApplicationState,
        *,
        officer_id: str,
        reason: str,
        account_id: str | None = None,
    ) -> bool:
        """Decide; False when it was not ready, or somebody decided before."""
        decided = self._db.execute(
            update(application)
            .where(
                application.c.id == application_id,
                application.c.state == ApplicationState.READY.value,
            )
            .values(
                state=state.value,
                decided_at=self._clock(),
                decided_by=officer_id,
                decision=self._vault.seal(
                    "application-decision", reason.encode(), context=application_id
                ),
                account_id=account_id,
                next_check_at=None,
            )
        ).rowcount
        return decided == 1

    def add_evidence(
        self,
        application_id: str,
        source: EvidenceSource,
        outcome: Outcome,
        values: dict[str, Any],
        *,
        as_of: datetime,
        entry_id: str | None = None,
        officer_id: str | None = None,
    ) -> None:
        """Keep a piece of evidence."""
        now = self._clock()
        self._db.execute(
            insert(evidence).values(
                id=new_id(now, self._chance),
                application_id=application_id,
                source=source.value,
                outcome=outcome.value,
                sealed=self._seal("application-evidence", application_id, values),
                as_of=as_of,
                received_at=now,
                entry_id=entry_id,
                officer_id=officer_id,
            )
        )

    def evidence_of(self, application_id: str) -> list[Evidence]:
        """Return the evidence, oldest first."""
        rows = self._db.execute(
            select(evidence)
            .where(evidence.c.application_id == application_id)
            .order_by(evidence.c.received_at, evidence.c.id)
        )
        return [
            Evidence(
                source=EvidenceSource(row.source),
                outcome=Outcome(row.outcome),
                values=self._open("application-evidence", application_id, row.sealed),
                as_of=row.as_of,
                received_at=row.received_at,
                officer_id=row.officer_id,
            )
            for row in rows
        ]

    def ask_to_agree(self, application_id: str, personal_number: str, name: str) -> None:
        """Ask a legal representative; asking again changes nothing."""
        now = self._clock()
        dialect = postgresql if self._db.dialect.name == "postgresql" else sqlite
        self._db.execute(
            dialect.insert(agreement)
            .values(
                id=new_id(now, self._chance),
                application_id=application_id,
                blind_index=self._representative(personal_number or name),
                sealed=self._seal("application-agreement", application_id, {"name": name}),
                answer=Answer.ASKED.value,
                asked_at=now,
            )
            .on_conflict_do_nothing()
        )

    def agreements_of(self, application_id: str) -> list[Agreement]:
        """Return who was asked to agree, and the answers."""
        return self._agreements(agreement.c.application_id == application_id)

    def asked_of(self, personal_number: str) -> list[Agreement]:
        """Return what the bearer of this personal number was asked to agree to."""
        return self._agreements(agreement.c.blind_index == self._representative(personal_number))

    def answer(self, agreement_id: str, answer: Answer, by: str) -> bool:
        """Record an answer; False when one was given before: the first answer counts."""
        answered = self._db.execute(
            update(agreement)
            .where(agreement.c.id == agreement_id, agreement.c.answer == Answer.ASKED.value)
            .values(answer=answer.value, answered_at=self._clock(), answered_by=by)
        ).rowcount
        return answered == 1

    def purge(
        self, *, refused_before: datetime, abandoned_before: datetime, limit: int = 200
    ) -> int:
        """Remove refused applications, and those that wait for a visit that never came, with all
        their evidence; return how many, at most ``limit``.
        """
        refused = and_(
            application.c.state == ApplicationState.REFUSED.value,
            application.c.decided_at < refused_before,
        )
        abandoned = and_(
            application.c.state.in_(_OPEN),
            application.c.due_at.is_(None),
            application.c.submitted_at < abandoned_before,
        )
        gone = list(
            self._db.execute(
                select(application.c.id)
                .where(refused | abandoned)
                .order_by(application.c.id)
                .limit(limit)
                .with_for_update()
            ).scalars()
        )
        for table, column in (
            (evidence, evidence.c.application_id),
            (agreement, agreement.c.application_id),
            (application, application.c.id),
        ):
            self._db.execute(delete(table).where(column.in_(gone)))
        return len(gone)

    def _agreements(self, condition: ColumnElement[bool]) -> list[Agreement]:
        rows = self._db.execute(
            select(agreement).where(condition).order_by(agreement.c.asked_at, agreement.c.id)
        )
        return [
            Agreement(
                id=row.id,
                application_id=row.application_id,
                name=self._open("application-agreement", row.application_id, row.sealed)["name"],
                answer=Answer(row.answer),
                asked_at=row.asked_at,
                answered_at=row.answered_at,
            )
            for row in rows
        ]

    def _change(self, application_id: str, **values: Any) -> None:
        self._db.execute(
            update(application).where(application.c.id == application_id).values(**values)
        )

    def _required(self, condition: ColumnElement[bool]) -> Application:
        found = self._list(condition)
        if not found:
            raise UnknownApplicationError
        return found[0]

    def _list(self, condition: ColumnElement[bool]) -> list[Application]:
        rows = self._db.execute(
            select(application)
            .where(condition)
            .order_by(application.c.submitted_at, application.c.id)
        )
        return [self._application(row) for row in rows]

    def _application(self, row: Any) -> Application:
        return Application(
            id=row.id,
            kind=ApplicationKind(row.kind),
            state=ApplicationState(row.state),
            subject_id=row.subject_id,
            applicant_id=row.applicant_id,
            stated=self._open("application", row.id, row.sealed),
            submitted_at=row.submitted_at,
            due_at=row.due_at,
            next_check_at=row.next_check_at,
            checks=row.checks,
            decided_at=row.decided_at,
            decided_by=row.decided_by,
            decision=self._vault.open("application-decision", row.decision, context=row.id).decode()
            if row.decision
            else "",
            account_id=row.account_id,
        )

    def _seal(self, purpose: str, application_id: str, values: dict[str, Any]) -> bytes:
        text = json.dumps(values, ensure_ascii=False, separators=(",", ":"))
        return self._vault.seal(purpose, text.encode(), context=application_id)

    def _open(self, purpose: str, application_id: str, sealed: bytes) -> dict[str, Any]:
        opened: dict[str, Any] = json.loads(
            self._vault.open(purpose, sealed, context=application_id)
        )
        return opened

    def _reference_mac(self, reference: str) -> bytes:
        typed = "".join(reference.split()).replace("-", "").upper()
        return self._vault.mac("application-reference", typed)

    def _representative(self, personal_number: str) -> bytes:
        text = canonical(IdentifierType.PERSONAL_NUMBER, personal_number)
        return self._vault.blind_index("representative", text)
