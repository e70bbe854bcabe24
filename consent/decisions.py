"""Consents: what a person decided about a relying party, a purpose and a set of attributes.

The exact text that was shown is kept by its hash. A consent keeps ``client_id`` without a foreign
key, because the evidence outlives a registration.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
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
    Text,
    bindparam,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from accounts.mandates import MandateState, MandateType, mandate
from accounts.schema import Chance, Clock, UTCDateTime, metadata, new_id
from accounts.statements import Statement, shape
from accounts.subject import subject
from consent.errors import NotAskedError
from consent.purposes import PURPOSES
from consent.purposes import purpose as purpose_of


class ConsentState(StrEnum):
    """Where a consent stands; only an active one that has not expired permits anything."""

    ACTIVE = "active"
    WITHDRAWN = "withdrawn"
    SUPERSEDED = "superseded"
    PAUSED = "paused"
    """Permits nothing until its giver settled that somebody else had been in her account."""

    RECONFIRM = "reconfirm"
    """Permits nothing until it is confirmed: its giver may no longer speak for the other, or its purpose
    says something else now."""


_STANDING = (
    ConsentState.ACTIVE.value,
    ConsentState.PAUSED.value,
    ConsentState.RECONFIRM.value,
)
"""The states that a consent can be ended from."""

_GUARDIANS = [MandateType.PARENT.value, MandateType.GUARDIAN.value]

notice = Table(
    "notice",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("language", String(8), nullable=False),
    Column("text", Text, nullable=False),
    Column("first_shown_at", UTCDateTime, nullable=False),
)

consent = Table(
    "consent",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("subject_id", String(32), ForeignKey("subject.id"), nullable=False),
    # The organisation acted for, or empty: part of a unique index, so never null.
    Column("acting_for", String(32), nullable=False),
    Column("client_id", String(255), nullable=False),
    Column("purpose", String(32), nullable=False),
    Column("purpose_version", Integer, nullable=False),
    Column("legal_basis", String(32), nullable=False),
    Column("asked", LargeBinary, nullable=False),
    Column("attributes", JSON, nullable=False),
    Column("declined", JSON, nullable=False),
    Column("offline", Boolean, nullable=False),
    Column("notice_hash", LargeBinary, ForeignKey("notice.hash"), nullable=False),
    Column("language", String(8), nullable=False),
    Column("authentication_level", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("given_at", UTCDateTime, nullable=False),
    Column("valid_until", UTCDateTime, nullable=False),
    Column("ended_at", UTCDateTime),
    Column("replaces", String(32)),
    Column("terms", JSON(none_as_null=True)),
    # When the person was told that it ends soon.
    Column("end_told_at", UTCDateTime),
)
Index("ix_consent_subject_id_client_id", consent.c.subject_id, consent.c.client_id)
Index(
    "ix_consent_acting_for",
    consent.c.acting_for,
    sqlite_where=consent.c.acting_for != "",
    postgresql_where=consent.c.acting_for != "",
)
Index(
    "uq_consent_active",
    consent.c.subject_id,
    consent.c.acting_for,
    consent.c.client_id,
    consent.c.purpose,
    consent.c.asked,
    unique=True,
    sqlite_where=consent.c.state == ConsentState.ACTIVE.value,
    postgresql_where=consent.c.state == ConsentState.ACTIVE.value,
)

_UNTOLD = (consent.c.state == ConsentState.ACTIVE.value) & consent.c.end_told_at.is_(None)
Index("ix_consent_ending", consent.c.valid_until, sqlite_where=_UNTOLD, postgresql_where=_UNTOLD)

AT_RELYING_PARTY = (
    consent.c.client_id == bindparam("client"),
    consent.c.acting_for == bindparam("acting"),
    consent.c.state == ConsentState.ACTIVE.value,
)
"""What holds of the active consents that one relying party has of a person, for herself (``acting`` is
empty then) or for whom she acts.
"""
_active = Statement(
    select(consent)
    .where(consent.c.subject_id == bindparam("subject"), *AT_RELYING_PARTY)
    .order_by(consent.c.given_at.desc())
)
CONSENT_COLUMNS = tuple(column.label(f"consent_{column.name}") for column in consent.c)
"""The columns of a query whose rows are ``Consents.adopt``ed; they come last."""
_row = shape(consent.c)


@dataclass(frozen=True)
class Terms:
    """What a relying party binds itself to, beyond purpose and attributes, where it says so.

    ``lasts_days`` bounds the consent itself, ``retention_days`` how long what was read is kept;
    ``recipients`` are client ids that it goes on to, ``case_reference`` the number of the case.
    """

    lasts_days: int | None = None
    retention_days: int | None = None
    recipients: tuple[str, ...] = ()
    case_reference: str | None = None

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Terms":
        """Return the terms from plain values, as ``dataclasses.asdict`` makes them."""
        return cls(**{**values, "recipients": tuple(values["recipients"])})


@dataclass(frozen=True)
class Asked:
    """What a relying party asks of a person, for one purpose.

    ``required`` attributes come as a whole; each of ``optional`` is the person's own choice.
    ``offline`` asks to read on while she is away.
    """

    subject_id: str
    client_id: str
    purpose: str
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    offline: bool = False
    acting_for: str | None = None
    terms: Terms | None = None

    @property
    def fingerprint(self) -> bytes:
        """Tells one set of attributes and terms from another."""
        parts = [*sorted({*self.required, *self.optional}), "+offline" if self.offline else ""]
        if self.terms is not None:
            parts.append(json.dumps(asdict(self.terms), sort_keys=True))
        return hashlib.sha256("\n".join(parts).encode()).digest()


@dataclass(frozen=True)
class Consent:
    """A decision that was given."""

    id: str
    subject_id: str
    acting_for: str | None
    client_id: str
    purpose: str
    purpose_version: int
    legal_basis: str
    attributes: frozenset[str]
    declined: frozenset[str]
    offline: bool
    notice_hash: bytes
    language: str
    state: ConsentState
    given_at: datetime
    valid_until: datetime
    ended_at: datetime | None
    replaces: str | None
    terms: Terms | None = None

    def is_in_force(self, now: datetime) -> bool:
        """True while it permits anything."""
        return self.state is ConsentState.ACTIVE and now < self.valid_until

    def covers(self, asked: Asked) -> bool:
        """True when every attribute asked for was already decided, for this very purpose version."""
        decided = self.attributes | self.declined
        return (
            self.purpose == asked.purpose
            and self.purpose_version == purpose_of(asked.purpose).version
            and self.attributes.issuperset(asked.required)
            and decided.issuperset(asked.optional)
            and (self.offline or not asked.offline)
            and self.terms == asked.terms
        )


class Consents:
    """All consents."""

    def __init__(self, db: Connection, clock: Clock, chance: Chance) -> None:
        self._db = db
        self._clock = clock
        self._chance = chance
        self._adopted: dict[tuple[str, str], list[Any]] = {}

    def adopt(self, subject_id: str, client_id: str, rows: Iterable[Any]) -> None:
        """Take what was read of a person's own consents at a relying party, newest first
        (``AT_RELYING_PARTY``, ``CONSENT_COLUMNS``), so that it is not read again.
        """
        own = [_row(row[-len(CONSENT_COLUMNS) :]) for row in rows]
        self._adopted[subject_id, client_id] = [row for row in own if row.id is not None]

    def find_covering(self, asked: Asked) -> Consent | None:
        """Return a consent in force that already decides all that is asked, newest first."""
        now = self._clock()
        rows = None if asked.acting_for else self._adopted.get((asked.subject_id, asked.client_id))
        if rows is None:
            who = {"subject": asked.subject_id, "client": asked.client_id}
            rows = _active.all(self._db, {**who, "acting": asked.acting_for or ""})
        return next(
            (c for row in rows if (c := _consent(row)).is_in_force(now) and c.covers(asked)), None
        )

    def give(
        self,
        asked: Asked,
        *,
        chosen: Iterable[str],
        notice_text: str,
        language: str,
        authentication_level: int,
        until: datetime | None = None,
    ) -> Consent:
        """Record that the person agreed to all that is required and to the ``chosen`` options, for as
        long as the purpose lasts or ``until`` an earlier moment.

        A consent to the very same question is superseded; the new one replaces it.

        Raises:
            NotAskedError: a chosen attribute was not among the options.
        """
        picked = frozenset(chosen)
        if not picked.issubset(asked.optional):
            raise NotAskedError
        self._await_turn(asked.subject_id)
        now, longest = self._clock(), lasts(asked.purpose, asked.terms)
        purpose = purpose_of(asked.purpose)
        replaced = self._supersede(asked, now)
        consent_id = new_id(now, self._chance)
        self._db.execute(
            insert(consent).values(
                id=consent_id,
                subject_id=asked.subject_id,
                acting_for=asked.acting_for or "",
                client_id=asked.client_id,
                purpose=purpose.code,
                purpose_version=purpose.version,
                legal_basis="consent",
                asked=asked.fingerprint,
                attributes=sorted({*asked.required, *picked}),
                declined=sorted(set(asked.optional) - picked),
                offline=asked.offline,
                notice_hash=self._keep_notice(notice_text, language, now),
                language=language,
                authentication_level=authentication_level,
                state=ConsentState.ACTIVE.value,
                given_at=now,
                valid_until=min(until or now + longest, now + longest),
                replaces=replaced,
                terms=asdict(asked.terms) if asked.terms is not None else None,
            )
        )
        return self.consent(consent_id)

    def _await_turn(self, subject_id: str) -> None:
        """Let one subject's decisions happen one after the other: two tabs may agree at once."""
        self._db.execute(
            select(subject.c.id).where(subject.c.id == subject_id).with_for_update(key_share=True)
        )

    def consent(self, consent_id: str) -> Consent:
        """Return the consent; the id must exist."""
        return _consent(self._db.execute(select(consent).where(consent.c.id == consent_id)).one())

    def find(self, consent_id: str) -> Consent | None:
        """Return the consent, if there is one."""
        row = self._db.execute(select(consent).where(consent.c.id == consent_id)).first()
        return _consent(row) if row is not None else None

    def terms_of(self, consent_ids: Iterable[str]) -> dict[str, Terms]:
        """Return the terms of those of the consents that have any."""
        rows = self._db.execute(
            select(consent.c.id, consent.c.terms).where(
                consent.c.id.in_(sorted(set(consent_ids))), consent.c.terms.is_not(None)
            )
        )
        return {row.id: Terms.from_dict(row.terms) for row in rows}

    def successor_of(self, consent_id: str) -> str | None:
        """Return the id of the consent that replaced another one, if any did."""
        found = self._db.execute(
            select(consent.c.subject_id, consent.c.client_id).where(consent.c.id == consent_id)
        ).first()
        if found is None:
            return None
        # Within the person's consents to one relying party, which an index finds.
        successor: str | None = self._db.execute(
            select(consent.c.id).where(
                consent.c.subject_id == found.subject_id,
                consent.c.client_id == found.client_id,
                consent.c.replaces == consent_id,
            )
        ).scalar()
        return successor

    def of_subject(self, subject_id: str) -> list[Consent]:
        """Return the person's consents, and those that others gave for her, newest first."""
        rows = self._db.execute(
            select(consent)
            .where(_is_party(subject_id))
            .order_by(consent.c.given_at.desc(), consent.c.id.desc())
            .limit(500)
        )
        return [_consent(row) for row in rows]

    def withdraw(self, consent_id: str, subject_id: str) -> Consent | None:
        """End an active or paused consent of the person's, or one given for her; None when there is
        none.

        The caller revokes what was granted upon it in the same transaction; the row stays locked
        until then, so nothing is released after the withdrawal (invariants 3 and 4).
        """
        ended = self._db.execute(
            update(consent)
            .where(
                consent.c.id == consent_id,
                _is_party(subject_id),
                consent.c.state.in_(_STANDING),
            )
            .values(state=ConsentState.WITHDRAWN.value, ended_at=self._clock())
        ).rowcount
        return self.consent(consent_id) if ended == 1 else None

    def narrow(
        self, consent_id: str, subject_id: str, *, keep: Iterable[str], until: datetime
    ) -> tuple[Consent, Consent] | None:
        """Replace an active consent by one with fewer attributes, or an earlier end; return the old
        and the new, None when there is none of hers. It never becomes wider or longer.

        The caller moves the grants to the new one in the same transaction. Leaving out what the
        relying party needs is the person's right: it asks anew when she comes back.
        """
        old = self._end_standing(consent.c.id == consent_id, _is_party(subject_id))
        if old is None:
            return None
        was = _consent(old)
        kept = was.attributes.intersection(keep)
        return was, self._replace(
            old,
            attributes=sorted(kept),
            declined=sorted(was.declined | (was.attributes - kept)),
            given_at=self._clock(),
            valid_until=min(until, was.valid_until),
        )

    def _end_standing(self, *which: ColumnElement[bool]) -> Any:
        """Supersede a consent in force, and return its row as it then is."""
        now = self._clock()
        return self._db.execute(
            update(consent)
            .where(
                *which, consent.c.state == ConsentState.ACTIVE.value, consent.c.valid_until > now
            )
            .values(state=ConsentState.SUPERSEDED.value, ended_at=now)
            .returning(consent)
        ).first()

    def _replace(self, old: Any, **changes: Any) -> Consent:
        replacing_id = new_id(self._clock(), self._chance)
        self._db.execute(
            insert(consent).values(
                {
                    **dict(zip(consent.c.keys(), old, strict=True)),
                    "id": replacing_id,
                    "state": ConsentState.ACTIVE.value,
                    "ended_at": None,
                    "end_told_at": None,
                    "replaces": old.id,
                    **changes,
                }
            )
        )
        return self.consent(replacing_id)

    def renew(
        self,
        consent_id: str,
        subject_id: str,
        *,
        until: datetime,
        notice_text: str,
        language: str,
        authentication_level: int,
    ) -> tuple[Consent, Consent] | None:
        """Replace the person's own consent by one with the same attributes that ends later, by a text
        she was shown for it; return the old and the new, None where there is none to renew.

        The caller moves the grants to the new one in the same transaction.
        """
        known = self._db.execute(
            select(consent.c.purpose).where(consent.c.id == consent_id)
        ).scalar()
        if known is None:
            return None
        purpose, now = purpose_of(known), self._clock()
        old = self._end_standing(
            consent.c.id == consent_id,
            consent.c.subject_id == subject_id,
            consent.c.acting_for == "",
            # What the purpose says now is another text, which the relying party has to ask about.
            consent.c.purpose_version == purpose.version,
        )
        if old is None:
            return None
        was = _consent(old)
        return was, self._replace(
            old,
            given_at=now,
            valid_until=min(until, now + lasts(was.purpose, was.terms)),
            notice_hash=self._keep_notice(notice_text, language, now),
            language=language,
            authentication_level=authentication_level,
        )

    def has_ending(self, before: datetime) -> bool:
        """True when a consent ends before the moment and nobody was told."""
        ending = select(consent.c.id).where(_UNTOLD, consent.c.valid_until <= before)
        return self._db.execute(ending.limit(1)).first() is not None

    def take_ending(self, before: datetime, most: int) -> list[Consent]:
        """Return so many consents that end before the moment and of which nobody was told, and note
        that they are told.
        """
        now = self._clock()
        rows = self._db.execute(
            update(consent)
            .where(
                consent.c.id.in_(
                    select(consent.c.id).where(_UNTOLD, consent.c.valid_until <= before).limit(most)
                ),
                consent.c.end_told_at.is_(None),
            )
            .values(end_told_at=now)
            .returning(consent)
        )
        return [_consent(row) for row in rows]

    def confirm(
        self,
        consent_id: str,
        subject_id: str,
        *,
        until: datetime,
        without: Iterable[str],
        notice_text: str,
        language: str,
        authentication_level: int,
    ) -> tuple[Consent, Consent] | None:
        """Let a consent that waits to be confirmed count again, as the subject's own: one given for her
        by somebody who may no longer do so, or her own whose purpose says something else now. What is
        in ``without`` is left out. Return the old and the new, None where there is none to confirm.
        """
        self._await_turn(subject_id)
        now = self._clock()
        hers = (consent.c.subject_id == subject_id) & (consent.c.acting_for == "")
        old = self._db.execute(
            update(consent)
            .where(
                consent.c.id == consent_id,
                hers | (consent.c.acting_for == subject_id),
                consent.c.state == ConsentState.RECONFIRM.value,
                consent.c.valid_until > now,
            )
            .values(state=ConsentState.SUPERSEDED.value, ended_at=now)
            .returning(consent)
        ).first()
        if old is None:
            return None
        same = self._db.execute(
            select(consent).where(
                hers,
                consent.c.client_id == old.client_id,
                consent.c.purpose == old.purpose,
                consent.c.asked == old.asked,
                consent.c.state == ConsentState.ACTIVE.value,
            )
        ).first()
        if same is not None:
            # She agreed to the same herself meanwhile.
            return _consent(old), _consent(same)
        was, purpose = _consent(old), purpose_of(old.purpose)
        kept = was.attributes.difference(without)
        return was, self._replace(
            old,
            subject_id=subject_id,
            acting_for="",
            purpose_version=purpose.version,
            attributes=sorted(kept),
            declined=sorted(was.declined - set(without)),
            given_at=now,
            valid_until=min(until, now + lasts(was.purpose, was.terms)),
            notice_hash=self._keep_notice(notice_text, language, now),
            language=language,
            authentication_level=authentication_level,
        )

    def take_outdated(self, most: int) -> list[Consent]:
        """Let so many consents wait to be confirmed that no longer count as they were given: their
        purpose's text changed, or a parent's or guardian's right to speak for the other ended. Return
        them.
        """
        rows = self._db.execute(
            update(consent)
            .where(
                consent.c.id.in_(
                    select(consent.c.id)
                    .where(self._is_outdated())
                    .order_by(consent.c.id)
                    .limit(most)
                ),
                consent.c.state == ConsentState.ACTIVE.value,
            )
            .values(state=ConsentState.RECONFIRM.value)
            .returning(consent)
        )
        return [_consent(row) for row in rows]

    def has_outdated(self) -> bool:
        """True when there are such consents."""
        found = select(consent.c.id).where(self._is_outdated()).limit(1)
        return self._db.execute(found).first() is not None

    def _is_outdated(self) -> ColumnElement[bool]:
        now = self._clock()
        for_them = (
            mandate.c.principal_id == consent.c.acting_for,
            mandate.c.agent_id == consent.c.subject_id,
        )
        as_guardian = select(mandate.c.id).where(*for_them, mandate.c.type.in_(_GUARDIANS))
        is_valid = (mandate.c.state == MandateState.ACTIVE.value) & (
            mandate.c.valid_to.is_(None) | (mandate.c.valid_to > now)
        )
        outlived = (
            (consent.c.acting_for != "")
            & as_guardian.exists()
            & ~select(mandate.c.id).where(*for_them, is_valid).exists()
        )
        changed = [
            (consent.c.purpose == one.code) & (consent.c.purpose_version != one.version)
            for one in PURPOSES.values()
        ]
        return (
            (consent.c.state == ConsentState.ACTIVE.value)
            & (consent.c.valid_until > now)
            & or_(outlived, *changed)
        )

    def pause(self, subject_id: str) -> int:
        """Pause every active consent that the person gave; return how many."""
        return self._db.execute(
            update(consent)
            .where(consent.c.subject_id == subject_id, consent.c.state == ConsentState.ACTIVE.value)
            .values(state=ConsentState.PAUSED.value)
        ).rowcount

    def resume(self, subject_id: str) -> int:
        """Let the person's paused consents count again; return how many. What was agreed anew
        meanwhile has replaced its paused one already.
        """
        self._await_turn(subject_id)
        return self._db.execute(
            update(consent)
            .where(consent.c.subject_id == subject_id, consent.c.state == ConsentState.PAUSED.value)
            .values(state=ConsentState.ACTIVE.value)
        ).rowcount

    def notice_text(self, notice_hash: bytes) -> str | None:
        """Return the text whose hash is given, byte for byte as it was shown."""
        found: str | None = self._db.execute(
            select(notice.c.text).where(notice.c.hash == notice_hash)
        ).scalar()
        return found

    def _supersede(self, asked: Asked, now: datetime) -> str | None:
        same = (
            consent.c.subject_id == asked.subject_id,
            consent.c.acting_for == (asked.acting_for or ""),
            consent.c.client_id == asked.client_id,
            consent.c.purpose == asked.purpose,
            consent.c.asked == asked.fingerprint,
            consent.c.state.in_(_STANDING),
        )
        old: str | None = self._db.execute(select(consent.c.id).where(*same)).scalar()
        if old is not None:
            self._db.execute(
                update(consent)
                .where(consent.c.id == old)
                .values(state=ConsentState.SUPERSEDED.value, ended_at=now)
            )
        return old

    def _keep_notice(self, text: str, language: str, now: datetime) -> bytes:
        digest = notice_hash(text)
        dialect = postgresql if self._db.dialect.name == "postgresql" else sqlite
        self._db.execute(
            dialect.insert(notice)
            .values(hash=digest, language=language, text=text, first_shown_at=now)
            .on_conflict_do_nothing()
        )
        return digest


def _is_party(subject_id: str) -> ColumnElement[bool]:
    """Return the condition that a consent is the subject's own, or was given for her."""
    # The second half is said twice so that the small index of such consents serves.
    given_for_her = (consent.c.acting_for == subject_id) & (consent.c.acting_for != "")
    return (consent.c.subject_id == subject_id) | given_for_her


def lasts(purpose: str, terms: Terms | None) -> timedelta:
    """Return how long a consent may stand: as its purpose says, or shorter by its terms."""
    longest = purpose_of(purpose).lasts
    if terms is None or terms.lasts_days is None:
        return longest
    return min(longest, timedelta(days=terms.lasts_days))


def notice_hash(text: str) -> bytes:
    """Return the hash under which a notice is kept."""
    return hashlib.sha256(text.encode()).digest()


def _consent(row: Any) -> Consent:
    return Consent(
        id=row.id,
        subject_id=row.subject_id,
        acting_for=row.acting_for or None,
        client_id=row.client_id,
        purpose=row.purpose,
        purpose_version=row.purpose_version,
        legal_basis=row.legal_basis,
        attributes=frozenset(row.attributes),
        declined=frozenset(row.declined),
        offline=row.offline,
        notice_hash=row.notice_hash,
        language=row.language,
        state=ConsentState(row.state),
        given_at=row.given_at,
        valid_until=row.valid_until,
        ended_at=row.ended_at,
        replaces=row.replaces,
        terms=Terms.from_dict(row.terms) if row.terms is not None else None,
    )
