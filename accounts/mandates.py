"""Mandates: who may act for whom, since when, for what and by whose word.

Registers give some (legal representation, parents, guardians), people give the others. Every change
is an event that both sides can read. What is derived is never written: a mandate is suspended while
an account at either end is locked, or while the mandate that it was given under does not stand.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Row,
    String,
    Table,
    func,
    insert,
    select,
    update,
)

from accounts.account import AccountState, account, account_lock
from accounts.schema import Chance, Clock, UTCDateTime, metadata, new_id
from accounts.subject import subject
from accounts.vault import Vault, sealed_as

OFFER_LASTS = timedelta(days=14)
"""An offer that nobody answers lapses after so long."""
ANYTHING = "*"
"""The scope of a mandate that is not narrowed to certain services."""
_LONGEST_CHAIN = 6


class MandateType(StrEnum):
    """The kinds of mandate.

    ``legal_rep``, ``parent`` and ``guardian`` are the registers' word, ``org_head`` an appointing
    decision's; ``org_admin``, ``org_member`` and ``machine`` are given within an organisation,
    ``proxy`` by one adult to another (Civil Code 2015 Art. 138 and 562).
    """

    LEGAL_REP = "legal_rep"
    ORG_HEAD = "org_head"
    ORG_ADMIN = "org_admin"
    ORG_MEMBER = "org_member"
    MACHINE = "machine"
    PARENT = "parent"
    GUARDIAN = "guardian"
    PROXY = "proxy"


HEADS = frozenset({MandateType.LEGAL_REP, MandateType.ORG_HEAD})
"""Who stands for an organisation by right, not by anybody's grant."""


FOR_PEOPLE = frozenset({MandateType.PARENT, MandateType.GUARDIAN, MandateType.PROXY})
"""The mandates whose principal is a person."""


class MandateState(StrEnum):
    """Where a mandate stands. ``suspended`` and ``expired`` are derived and never stored."""

    PROPOSED = "proposed"
    """Waits for the agreement of the other representatives, who act jointly."""
    OFFERED = "offered"
    ACTIVE = "active"
    DECLINED = "declined"
    REVOKED = "revoked"
    SUSPENDED = "suspended"
    EXPIRED = "expired"


class MandateEventKind(StrEnum):
    """What can happen to a mandate."""

    GIVEN = "given"
    PROPOSED = "proposed"
    AGREED = "agreed"
    OFFERED = "offered"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    NARROWED = "narrowed"
    RECONFIRMED = "reconfirmed"
    REVOKED = "revoked"
    ENDED = "ended"


mandate = Table(
    "mandate",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("type", String(16), nullable=False),
    Column("principal_id", String(32), ForeignKey("subject.id"), nullable=False),
    # Empty for a machine, and for an offer that reached nobody (nobody is told that it did not).
    Column("agent_id", String(32), ForeignKey("subject.id"), index=True),
    Column("source", String(32), nullable=False),
    Column("valid_from", UTCDateTime, nullable=False),
    Column("valid_to", UTCDateTime),
    Column("state", String(16), nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("amount_limit", BigInteger),
    Column("joint", Boolean, nullable=False),
    # How many representatives the register names, whether or not they have accounts here.
    Column("representatives", Integer),
    Column("authentication_level", Integer, nullable=False),
    Column("sub_delegation", Integer, nullable=False),
    Column("source_version", String(64)),
    Column("confirmed_at", UTCDateTime),
    Column("granted_by", String(32), ForeignKey("subject.id"), index=True),
    Column("under_id", String(32), index=True),
    Column("lapses_at", UTCDateTime),
    Column("accepted_at", UTCDateTime),
    # The name that the giver typed: until the other answers, she learns no more than she knew.
    Column("stated", LargeBinary, info=sealed_as("mandate", "id")),
    Column("client_id", String(255)),
    Column("key_thumbprint", String(64)),
)
Index("ix_mandate_principal_id_agent_id", mandate.c.principal_id, mandate.c.agent_id)

mandate_agreement = Table(
    "mandate_agreement",
    metadata,
    Column("mandate_id", String(32), ForeignKey("mandate.id"), nullable=False),
    Column("subject_id", String(32), ForeignKey("subject.id"), nullable=False, index=True),
    Column("agrees", Boolean, nullable=False),
    Column("at", UTCDateTime, nullable=False),
    PrimaryKeyConstraint("mandate_id", "subject_id"),
)

mandate_event = Table(
    "mandate_event",
    metadata,
    Column("mandate_id", String(32), ForeignKey("mandate.id"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("kind", String(16), nullable=False),
    # A person, or empty: the register or the provider itself, named by ``source``.
    Column("actor_id", String(32)),
    Column("source", String(32)),
    Column("detail", JSON),
    Column("at", UTCDateTime, nullable=False),
    PrimaryKeyConstraint("mandate_id", "position"),
)


@dataclass(frozen=True)
class Terms:
    """How far a mandate goes.

    ``scopes`` are purposes of the catalogue, or ``ANYTHING``; ``amount_limit`` is in dong, None for
    no limit; ``authentication_level`` the least with which the agent acts; ``sub_delegation`` how
    often it may be passed on (0 or 1).
    """

    scopes: frozenset[str]
    valid_to: datetime | None
    amount_limit: int | None = None
    authentication_level: int = 1
    sub_delegation: int = 0

    def permits(self, purpose: str) -> bool:
        """True when services of the purpose are within the mandate."""
        return ANYTHING in self.scopes or purpose in self.scopes

    def is_within(self, wider: "Terms") -> bool:
        """True when nothing of these terms goes beyond the wider ones."""
        return (
            (ANYTHING in wider.scopes or self.scopes <= wider.scopes)
            and _at_most(self.amount_limit, wider.amount_limit)
            and (
                wider.valid_to is None
                or (self.valid_to is not None and self.valid_to <= wider.valid_to)
            )
            and self.authentication_level >= wider.authentication_level
            and self.sub_delegation <= wider.sub_delegation
        )


WITHOUT_BOUNDS = Terms(frozenset({ANYTHING}), None, sub_delegation=1)
"""The terms of who stands for another by right."""


@dataclass(frozen=True)
class Mandate:
    """The right of ``agent_id`` (a person) to act for ``principal_id`` (an organisation, a child or
    ward, or another adult).

    ``representatives`` is how many the register names beside and including the agent.
    ``state`` is the stored one; ``Mandates.standing`` tells the derived one. ``confirmed_at`` is when
    the register last said so. ``granted_by`` gave it, under the mandate ``under_id``.
    """

    id: str
    type: MandateType
    principal_id: str
    agent_id: str | None
    source: str
    valid_from: datetime
    terms: Terms
    state: MandateState = MandateState.ACTIVE
    joint: bool = False
    representatives: int | None = None
    source_version: str | None = None
    confirmed_at: datetime | None = None
    granted_by: str | None = None
    under_id: str | None = None
    lapses_at: datetime | None = None
    accepted_at: datetime | None = None
    stated_name: str = ""
    client_id: str | None = None
    key_thumbprint: str | None = None

    @property
    def valid_to(self) -> datetime | None:
        """The moment at which it ends by itself."""
        return self.terms.valid_to

    @property
    def is_by_right(self) -> bool:
        """True when nobody gave it, so that nobody here can take it back."""
        return self.granted_by is None


@dataclass(frozen=True)
class MandateEvent:
    """One change of a mandate: what, by whom (a person or a register), and when."""

    kind: MandateEventKind
    actor_id: str | None
    source: str | None
    detail: dict[str, Any]
    at: datetime


class Mandates:
    """All mandates. What a change ends along with it is decided above, in ``idp.mandating``."""

    def __init__(self, db: Connection, clock: Clock, chance: Chance, vault: Vault) -> None:
        self._db = db
        self._clock = clock
        self._chance = chance
        self._vault = vault

    # Reading

    def held_by(self, agent_id: str, type_: MandateType | None = None) -> list[Mandate]:
        """Return the mandates, of one type or all, under which the person may act now."""
        of_type = () if type_ is None else (mandate.c.type == type_.value,)
        return self._standing(mandate.c.agent_id == agent_id, *of_type)

    def heads_of(self, organisation_id: str) -> list[Mandate]:
        """Return the mandates in force of those who stand for the organisation by right."""
        types = [one.value for one in HEADS]
        return self._standing(mandate.c.principal_id == organisation_id, mandate.c.type.in_(types))

    def standing_for(self, principal_id: str, *types: MandateType) -> list[Mandate]:
        """Return the mandates of these types in force for somebody."""
        return self._standing(
            mandate.c.principal_id == principal_id,
            mandate.c.type.in_([one.value for one in types]),
        )

    def find_in_force(self, mandate_id: str, agent_id: str) -> Mandate | None:
        """Return the mandate if it exists, is this person's, and is in force now."""
        found = self._standing(mandate.c.id == mandate_id, mandate.c.agent_id == agent_id)
        return found[0] if found else None

    def find(self, mandate_id: str) -> Mandate | None:
        """Return the mandate, whatever became of it."""
        row = self._db.execute(select(mandate).where(mandate.c.id == mandate_id)).first()
        return None if row is None else self._mandate(row)

    def hold(self, mandate_id: str) -> Mandate | None:
        """Return the mandate, its row held until the transaction ends."""
        row = self._db.execute(
            select(mandate).where(mandate.c.id == mandate_id).with_for_update()
        ).first()
        return None if row is None else self._mandate(row)

    def of_agent(self, agent_id: str) -> list[Mandate]:
        """Return everything offered or given to the person, newest first."""
        return self._all(mandate.c.agent_id == agent_id)

    def given_by(self, subject_id: str) -> list[Mandate]:
        """Return everything the person gave, or that is about her as principal, newest first."""
        return self._all(
            (mandate.c.granted_by == subject_id) | (mandate.c.principal_id == subject_id)
        )

    def of_principal(self, principal_id: str) -> list[Mandate]:
        """Return everything given in the name of the principal, newest first."""
        return self._all(mandate.c.principal_id == principal_id)

    def of_relying_party(self, client_id: str) -> list[Mandate]:
        """Return the machine mandates for keys of a relying party, newest first."""
        return self._all(mandate.c.client_id == client_id)

    def standing(self, found: Mandate) -> MandateState:
        """Return where the mandate stands now, derived states included."""
        now = self._clock()
        if found.state in {MandateState.PROPOSED, MandateState.OFFERED}:
            lapsed = found.lapses_at is not None and found.lapses_at <= now
            return MandateState.EXPIRED if lapsed or _is_over(found, now) else found.state
        if found.state is not MandateState.ACTIVE:
            return found.state
        if _is_over(found, now):
            return MandateState.EXPIRED
        stands = self._standing(mandate.c.id == found.id)
        return MandateState.ACTIVE if stands else MandateState.SUSPENDED

    def root(self, found: Mandate) -> Mandate:
        """Return the mandate by right, or the first grant, that this one rests on."""
        for _ in range(_LONGEST_CHAIN):
            upper = self.find(found.under_id) if found.under_id else None
            if upper is None:
                break
            found = upper
        return found

    def needs_confirmation(self, found: Mandate) -> bool:
        """True when the mandate it was given under has ended, so that another must stand in."""
        upper = self.find(found.under_id) if found.under_id else None
        if upper is None or self.standing(found) is not MandateState.SUSPENDED:
            return False
        return upper.state is not MandateState.ACTIVE or _is_over(upper, self._clock())

    def below(self, mandate_ids: Iterable[str]) -> set[str]:
        """Return these mandates and everything that was given under them."""
        found, layer = set(mandate_ids), set(mandate_ids)
        while layer:
            rows = self._db.execute(select(mandate.c.id).where(mandate.c.under_id.in_(layer)))
            layer = set(rows.scalars()) - found
            found |= layer
        return found

    def history(self, mandate_id: str) -> list[MandateEvent]:
        """Return everything that happened to the mandate, oldest first."""
        rows = self._db.execute(
            select(mandate_event)
            .where(mandate_event.c.mandate_id == mandate_id)
            .order_by(mandate_event.c.position)
        )
        return [
            MandateEvent(
                MandateEventKind(row.kind), row.actor_id, row.source, row.detail or {}, row.at
            )
            for row in rows
        ]

    # By right: registers and appointing decisions

    def grant(
        self,
        type_: MandateType,
        principal_id: str,
        agent_id: str,
        source: str,
        valid_to: datetime | None,
        version: str | None = None,
    ) -> None:
        """Let the person act for the other until the moment, unless she may already.

        ``version`` names what it rests on, such as the number of a decision.
        """
        self._await_turn(principal_id)
        known = self._db.execute(
            select(mandate.c.id).where(
                mandate.c.type == type_.value,
                mandate.c.principal_id == principal_id,
                mandate.c.agent_id == agent_id,
                *self._valid(),
            )
        ).first()
        if known is None:
            terms = replace(WITHOUT_BOUNDS, valid_to=valid_to)
            self._give_by_right(type_, principal_id, agent_id, source, terms, version)

    def follow_register(
        self,
        type_: MandateType,
        principal_id: str,
        agents: set[str],
        source: str,
        *,
        joint: bool | None = None,
        named: int | None = None,
        version: str | None = None,
    ) -> set[str]:
        """Make the mandates match what the register says, and note that it said so now.

        ``joint`` says whether the representatives act together only; None leaves it as it was.
        ``named`` is how many the register names, by default as many as are known here.
        Returns the agents who lost theirs.
        """
        self._await_turn(principal_id)
        now = self._clock()
        theirs = (mandate.c.principal_id == principal_id, mandate.c.type == type_.value)
        rows = self._db.execute(
            select(mandate.c.id, mandate.c.agent_id, mandate.c.joint).where(*theirs, *self._valid())
        ).all()
        current = {row.agent_id: row.id for row in rows}
        is_joint = any(row.joint for row in rows) if joint is None else joint
        for agent_id in sorted(agents - set(current)):
            self._give_by_right(type_, principal_id, agent_id, source, WITHOUT_BOUNDS, version)
        kept = {current[agent_id] for agent_id in agents if agent_id in current}
        self._db.execute(
            update(mandate)
            .where(mandate.c.id.in_(kept))
            .values(confirmed_at=now, source_version=version)
        )
        self._db.execute(
            update(mandate)
            .where(*theirs, mandate.c.agent_id.in_(agents), *self._valid())
            .values(joint=is_joint, representatives=named or len(agents))
        )
        lost = set(current) - agents
        self._end({current[agent_id] for agent_id in lost}, source)
        return lost

    def confirm(self, mandate_id: str, version: str | None = None) -> None:
        """Note that the register still states the mandate."""
        self._db.execute(
            update(mandate)
            .where(mandate.c.id == mandate_id)
            .values(confirmed_at=self._clock(), source_version=version)
        )

    def end(self, mandate_id: str, source: str) -> None:
        """End a mandate by right, on the register's word."""
        self._end({mandate_id}, source)

    def end_of(self, subject_id: str) -> int:
        """End every mandate that the subject gave or received; return how many."""
        now = self._clock()
        ended = set(
            self._db.execute(
                select(mandate.c.id).where(
                    (mandate.c.principal_id == subject_id) | (mandate.c.agent_id == subject_id),
                    mandate.c.state.in_(_OPEN),
                    mandate.c.valid_to.is_(None) | (mandate.c.valid_to > now),
                )
            ).scalars()
        )
        self._end(ended, None)
        return len(ended)

    # By people

    def offer(
        self,
        type_: MandateType,
        principal_id: str,
        terms: Terms,
        *,
        granted_by: str,
        under_id: str | None,
        agent_id: str | None,
        stated_name: str,
        is_proposed: bool = False,
    ) -> str:
        """Offer a mandate to a person, who may be nobody; return its id.

        ``is_proposed`` keeps the offer back until the other representatives have agreed.
        """
        state = MandateState.PROPOSED if is_proposed else MandateState.OFFERED
        kind = MandateEventKind.PROPOSED if is_proposed else MandateEventKind.OFFERED
        mandate_id = self._insert(
            type_,
            principal_id,
            agent_id,
            granted_by,
            terms,
            state=state.value,
            granted_by=granted_by,
            under_id=under_id,
            lapses_at=self._clock() + OFFER_LASTS,
            stated=stated_name,
        )
        self._note(mandate_id, kind, granted_by)
        return mandate_id

    def give_to_machine(
        self,
        principal_id: str,
        terms: Terms,
        *,
        granted_by: str,
        under_id: str,
        client_id: str,
        key_thumbprint: str,
        is_proposed: bool = False,
    ) -> str:
        """Name a relying party's key as one that may act for the organisation; return the id."""
        state = MandateState.PROPOSED if is_proposed else MandateState.ACTIVE
        kind = MandateEventKind.PROPOSED if is_proposed else MandateEventKind.GIVEN
        mandate_id = self._insert(
            MandateType.MACHINE,
            principal_id,
            None,
            granted_by,
            terms,
            state=state.value,
            granted_by=granted_by,
            under_id=under_id,
            lapses_at=self._clock() + OFFER_LASTS if is_proposed else None,
            accepted_at=self._clock(),
            client_id=client_id,
            key_thumbprint=key_thumbprint,
        )
        self._note(mandate_id, kind, granted_by)
        return mandate_id

    def answer(self, mandate_id: str, agent_id: str, *, accepts: bool) -> bool:
        """Accept or decline an offer; one UPDATE decides, False when it is no open offer to her."""
        now = self._clock()
        state = MandateState.ACTIVE if accepts else MandateState.DECLINED
        changed = self._db.execute(
            update(mandate)
            .where(
                mandate.c.id == mandate_id,
                mandate.c.agent_id == agent_id,
                mandate.c.state == MandateState.OFFERED.value,
                mandate.c.lapses_at > now,
            )
            .values(
                state=state.value,
                accepted_at=now if accepts else None,
                **({"valid_from": now} if accepts else {"valid_to": now}),
            )
        ).rowcount
        if changed:
            kind = MandateEventKind.ACCEPTED if accepts else MandateEventKind.DECLINED
            self._note(mandate_id, kind, agent_id)
        return changed == 1

    def agree(self, mandate_id: str, subject_id: str, *, agrees: bool) -> bool:
        """Keep another representative's answer to a proposal, whose row the caller holds; False
        when she answered before.
        """
        known = self._db.execute(
            select(mandate_agreement.c.at).where(
                mandate_agreement.c.mandate_id == mandate_id,
                mandate_agreement.c.subject_id == subject_id,
            )
        ).first()
        if known is not None:
            return False
        self._db.execute(
            insert(mandate_agreement).values(
                mandate_id=mandate_id, subject_id=subject_id, agrees=agrees, at=self._clock()
            )
        )
        kind = MandateEventKind.AGREED if agrees else MandateEventKind.DECLINED
        self._note(mandate_id, kind, subject_id)
        return True

    def agreed_by(self, mandate_id: str) -> set[str]:
        """Return who agreed to a proposal."""
        return set(
            self._db.execute(
                select(mandate_agreement.c.subject_id).where(
                    mandate_agreement.c.mandate_id == mandate_id,
                    mandate_agreement.c.agrees.is_(True),
                )
            ).scalars()
        )

    def release_proposal(self, found: Mandate) -> None:
        """Let a proposal to which all agreed go on: to the agent, or into force if she had it."""
        has_accepted = found.accepted_at is not None
        state = MandateState.ACTIVE if has_accepted else MandateState.OFFERED
        self._db.execute(
            update(mandate)
            .where(mandate.c.id == found.id, mandate.c.state == MandateState.PROPOSED.value)
            .values(
                state=state.value,
                lapses_at=None if has_accepted else self._clock() + OFFER_LASTS,
            )
        )
        kind = MandateEventKind.GIVEN if has_accepted else MandateEventKind.OFFERED
        self._note(found.id, kind, None, source=_JOINTLY)

    def narrow(self, mandate_id: str, actor_id: str, terms: Terms) -> None:
        """Replace the terms by narrower ones; the caller has compared them."""
        self._db.execute(
            update(mandate).where(mandate.c.id == mandate_id).values(**_columns(terms))
        )
        detail = {
            "scopes": sorted(terms.scopes),
            "amount_limit": terms.amount_limit,
            "valid_to": terms.valid_to.isoformat() if terms.valid_to else None,
        }
        self._note(mandate_id, MandateEventKind.NARROWED, actor_id, detail=detail)

    def reconfirm(
        self, mandate_id: str, actor_id: str, under_id: str, terms: Terms, *, is_proposed: bool
    ) -> None:
        """Let a mandate whose giver's own has ended rest on another's; it keeps its agent.

        Earlier agreements were to the earlier giver's act, so they count no more.
        """
        self._db.execute(
            mandate_agreement.delete().where(mandate_agreement.c.mandate_id == mandate_id)
        )
        state = MandateState.PROPOSED if is_proposed else MandateState.ACTIVE
        self._db.execute(
            update(mandate)
            .where(mandate.c.id == mandate_id)
            .values(
                state=state.value,
                granted_by=actor_id,
                under_id=under_id,
                lapses_at=self._clock() + OFFER_LASTS if is_proposed else None,
                **_columns(terms),
            )
        )
        self._note(mandate_id, MandateEventKind.RECONFIRMED, actor_id)

    def revoke(self, mandate_id: str, actor_id: str) -> bool:
        """End a mandate that people gave; False when it had ended before."""
        changed = self._db.execute(
            update(mandate)
            .where(mandate.c.id == mandate_id, mandate.c.state.in_(_OPEN))
            .values(state=MandateState.REVOKED.value, valid_to=self._clock())
        ).rowcount
        if changed:
            self._note(mandate_id, MandateEventKind.REVOKED, actor_id)
        return changed == 1

    # Within

    def _give_by_right(
        self,
        type_: MandateType,
        principal_id: str,
        agent_id: str,
        source: str,
        terms: Terms,
        version: str | None = None,
    ) -> None:
        mandate_id = self._insert(
            type_,
            principal_id,
            agent_id,
            source,
            terms,
            source_version=version,
            confirmed_at=self._clock(),
        )
        self._note(mandate_id, MandateEventKind.GIVEN, None, source=source)

    def _insert(
        self,
        type_: MandateType,
        principal_id: str,
        agent_id: str | None,
        source: str,
        terms: Terms,
        **values: Any,
    ) -> str:
        now = self._clock()
        mandate_id = new_id(now, self._chance)
        stated = values.pop("stated", "")
        self._db.execute(
            insert(mandate).values(
                id=mandate_id,
                type=type_.value,
                principal_id=principal_id,
                agent_id=agent_id,
                source=source,
                valid_from=now,
                stated=self._vault.seal("mandate", stated.encode(), context=mandate_id)
                if stated
                else None,
                **{"state": MandateState.ACTIVE.value, "joint": False, **_columns(terms), **values},
            )
        )
        return mandate_id

    def _end(self, mandate_ids: set[str], source: str | None) -> None:
        if not mandate_ids:
            return
        now = self._clock()
        self._db.execute(
            update(mandate)
            .where(mandate.c.id.in_(mandate_ids))
            .values(state=MandateState.REVOKED.value, valid_to=now)
        )
        for mandate_id in sorted(mandate_ids):
            self._note(mandate_id, MandateEventKind.ENDED, None, source=source)

    def _await_turn(self, principal_id: str) -> None:
        """Let changes of one principal's mandates by right happen one after the other."""
        self._db.execute(
            select(subject.c.id).where(subject.c.id == principal_id).with_for_update(key_share=True)
        )

    def _all(self, *which: ColumnElement[bool]) -> list[Mandate]:
        rows = self._db.execute(
            select(mandate).where(*which).order_by(mandate.c.id.desc()).limit(200)
        )
        return [self._mandate(row) for row in rows]

    def _standing(self, *which: ColumnElement[bool]) -> list[Mandate]:
        """Return those of the mandates that count now: themselves, and all they rest on.

        A locked account suspends the mandates given and received (Decree 69/2024 Art. 15); they
        count again when its last lock reason is gone, so nothing is written for it.
        """
        rows = self._db.execute(
            select(mandate)
            .where(*which, *self._in_force())
            .order_by(mandate.c.valid_from, mandate.c.id)
        ).all()
        return [self._mandate(row) for row in rows if self._rests_on_standing(row.under_id)]

    def _rests_on_standing(self, under_id: str | None) -> bool:
        for _ in range(_LONGEST_CHAIN):
            if under_id is None:
                return True
            row = self._db.execute(
                select(mandate.c.under_id).where(mandate.c.id == under_id, *self._in_force())
            ).first()
            if row is None:
                return False
            under_id = row.under_id
        return False

    def _in_force(self) -> tuple[ColumnElement[bool], ...]:
        return (
            *self._valid(),
            _not_barred(mandate.c.principal_id),
            _not_barred(mandate.c.agent_id),
        )

    def _valid(self) -> tuple[ColumnElement[bool], ...]:
        now = self._clock()
        return (
            mandate.c.state == MandateState.ACTIVE.value,
            mandate.c.valid_from <= now,
            mandate.c.valid_to.is_(None) | (mandate.c.valid_to > now),
        )

    def _note(
        self,
        mandate_id: str,
        kind: MandateEventKind,
        actor_id: str | None,
        *,
        source: str | None = None,
        detail: dict[str, Any] | None = None,
    ) -> None:
        # Whoever changes a mandate holds its row, so no two count at once.
        before = self._db.execute(
            select(func.count()).where(mandate_event.c.mandate_id == mandate_id)
        ).scalar_one()
        self._db.execute(
            insert(mandate_event).values(
                mandate_id=mandate_id,
                position=before + 1,
                kind=kind.value,
                actor_id=actor_id,
                source=source,
                detail=detail,
                at=self._clock(),
            )
        )

    def _mandate(self, row: Row[Any]) -> Mandate:
        stated = (
            self._vault.open("mandate", row.stated, context=row.id).decode() if row.stated else ""
        )
        return Mandate(
            id=row.id,
            type=MandateType(row.type),
            principal_id=row.principal_id,
            agent_id=row.agent_id,
            source=row.source,
            valid_from=row.valid_from,
            terms=Terms(
                frozenset(row.scopes),
                row.valid_to,
                row.amount_limit,
                row.authentication_level,
                row.sub_delegation,
            ),
            state=MandateState(row.state),
            joint=row.joint,
            representatives=row.representatives,
            source_version=row.source_version,
            confirmed_at=row.confirmed_at,
            granted_by=row.granted_by,
            under_id=row.under_id,
            lapses_at=row.lapses_at,
            accepted_at=row.accepted_at,
            stated_name=stated,
            client_id=row.client_id,
            key_thumbprint=row.key_thumbprint,
        )


_OPEN = (MandateState.PROPOSED.value, MandateState.OFFERED.value, MandateState.ACTIVE.value)
_JOINTLY = "representatives"


def _columns(terms: Terms) -> dict[str, Any]:
    return {
        "scopes": sorted(terms.scopes),
        "valid_to": terms.valid_to,
        "amount_limit": terms.amount_limit,
        "authentication_level": terms.authentication_level,
        "sub_delegation": terms.sub_delegation,
    }


def _at_most(amount: int | None, limit: int | None) -> bool:
    return limit is None or (amount is not None and amount <= limit)


def _is_over(found: Mandate, now: datetime) -> bool:
    return found.valid_to is not None and found.valid_to <= now


def _not_barred(subject_id: Column[Any]) -> ColumnElement[bool]:
    """Return the condition that the subject's live account, if there is one, has no lock."""
    barred = (
        select(account.c.id)
        .join(account_lock, account_lock.c.account_id == account.c.id)
        .where(account.c.subject_id == subject_id, account.c.state != AccountState.CLOSED.value)
    )
    return ~barred.exists()
