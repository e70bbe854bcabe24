"""Use entries: who used whose data, what, why and by what right, as they are stored.

Entries hold attribute names, never values, addresses or free text. They are appended by
``consent.use_log``.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple

import orjson
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Row,
    Select,
    String,
    Table,
    Text,
    bindparam,
    literal_column,
    select,
    true,
    tuple_,
)

from accounts.schema import Identifier, UTCDateTime, metadata
from accounts.statements import Statement, listed, rows_of_lists
from accounts.vault import sealed_as
from consent.ledger import commitment
from consent.ledger.canonical import canonical
from consent.use_terms import Common, use_terms

SCHEMA_VERSION = 1
DETAILED_VERSION = 2
"""An entry's version where it holds a ``detail``."""
PROVIDER = "sen-id"
"""The ``client_id`` of entries for what the provider itself did."""
WITHOUT_MEANING = frozenset({"sub"})
"""Names of what says nothing of a person: the identifier made for one relying party."""


class Channel(StrEnum):
    """By which way data left, or was fetched."""

    ID_TOKEN = "id_token"  # noqa: S105 - the name of a channel
    USERINFO = "userinfo"
    INTROSPECTION = "introspection"
    CONNECTOR_PULL = "connector_pull"
    CONNECTOR_PUSH = "connector_push"
    ISSUING = "issuing"
    STAFF_VIEW = "staff_view"
    REGULATOR_VIEW = "regulator_view"
    """An inspector of the data-protection authority looked at a case of hers."""
    EXPORT = "export"
    OPERATOR_VIEW = "operator_view"
    AUDIT_OPENING = "audit_opening"
    """An auditor drew the entry by lot and was shown whose it is."""
    RP_REPORTED = "rp_reported"
    """What an agency says it did later with what it got."""
    SEALED = "sealed"
    """Told to nobody but the oversight body until its day (``consent.sealing``)."""
    CASE = "case"
    """What a person asked of an agency was passed on to it."""


BY_OFFICERS = frozenset({Channel.STAFF_VIEW, Channel.REGULATOR_VIEW})
"""The channels whose ``other_party`` is an officer."""


class Outcome(StrEnum):
    """What became of it."""

    RELEASED = "released"
    REFUSED = "refused"


class SubjectRole(StrEnum):
    """In what role the chain's owner appears in the entry."""

    PRIMARY = "primary"
    ORGANISATION = "organisation"
    REPRESENTED = "represented"
    """A person for whom somebody else acted."""


subject_chain = Table(
    "subject_chain",
    metadata,
    Column("subject_id", String(32), ForeignKey("subject.id"), primary_key=True),
    Column("length", Integer, nullable=False),
    Column("head", LargeBinary, nullable=False),
    Column("latest_at", UTCDateTime, nullable=False),
    # Entries whose time was over are removed from the beginning. How many they were, and the head
    # after the last of them, stay: from there the rest is verified.
    Column("removed", Integer, nullable=False, server_default="0"),
    Column("removed_head", LargeBinary),
    # No entry is older; found by it without reading the entries.
    Column("oldest_at", UTCDateTime, nullable=False, index=True),
    # Room for what changes with every use, beside the row and so without new entries in indexes.
    postgresql_with={"fillfactor": 80},
)

subject_key = Table(
    "subject_key",
    metadata,
    Column("subject_id", String(32), ForeignKey("subject.id"), nullable=False),
    Column("year", Integer, nullable=False),
    Column("sealed", LargeBinary, nullable=False, info=sealed_as("use-key", "subject_id", "year")),
    PrimaryKeyConstraint("subject_id", "year"),
)

data_use = Table(
    "data_use",
    metadata,
    Column("at", UTCDateTime, nullable=False),
    # What it has in common with others (``consent.use_terms``), whose table only ever grows.
    Column("terms", BigInteger, nullable=False),
    Column("position", Integer, nullable=False),
    # No foreign key: the chain's row, locked by every writer, has one, and checking it again for
    # each entry would cost as much as writing it.
    Column("subject_id", Identifier, nullable=False),
    Column("id", Identifier, nullable=False),
    Column("consent_id", Identifier),
    Column("grant_id", Identifier),
    Column("correlation", String(64), nullable=False),
    Column("commitment", LargeBinary, nullable=False),
    Column("other_party", String(32)),
    # What only some entries have, as JSON: which register was asked, why something was refused.
    Column("detail", Text),
    # The only tree: an entry is found by its place in the chain. On PostgreSQL, where the table is
    # divided by months (``consent.partitions``), the moment is part of it.
    PrimaryKeyConstraint("subject_id", "position"),
)
# For the sequencer's look at what is new. It tells blocks by their times and is not written for a row.
Index("ix_data_use_at", data_use.c.at, postgresql_using="brin").ddl_if(dialect="postgresql")

ENTRIES = data_use.join(use_terms, use_terms.c.id == data_use.c.terms)
"""Entries with what their terms say."""


def select_entries() -> Select[Any]:
    """Return the query for whole entries, whose rows ``entry_of`` reads."""
    own = (column for column in data_use.c if column is not data_use.c.terms)
    shared = (column for column in use_terms.c if column is not use_terms.c.id)
    return select(*own, *shared).select_from(ENTRIES)


Place = tuple[str, int]
"""An entry's subject and its position in the subject's chain."""


def rows_at(
    db: Connection, places: Collection[Place], since: datetime, until: datetime
) -> Sequence[Any]:
    """Return the rows of the entries at the places, as of ``select_entries()``, as far as they are there and
    of the time from ``since`` to before ``until``.
    """
    return _at(db, _whole_at, select_entries(), places, since, until)


def moments_at(
    db: Connection, places: Collection[Place], since: datetime, until: datetime
) -> Sequence[Any]:
    """Return ``subject_id``, ``position`` and ``at`` of the same entries."""
    return _at(db, _moments_at, select(*_MOMENT), places, since, until)


def _at(
    db: Connection,
    kept: Statement,
    query: Select[Any],
    places: Collection[Place],
    since: datetime,
    until: datetime,
) -> Sequence[Any]:
    if db.dialect.name == "postgresql":
        lists = {
            "subject_id": listed(subject for subject, _ in places),
            "position": listed(position for _, position in places),
        }
        return kept.all(db, {**lists, "since": since, "until": until})
    key = tuple_(data_use.c.subject_id, data_use.c.position)
    of_time = (data_use.c.at >= since, data_use.c.at < until)
    return db.execute(query.where(key.in_(places), *of_time)).all()


# To plan a list of places anew, over a table a month, costs PostgreSQL a hundred times as much as to find
# them; and each is looked up by itself (LIMIT), however few there were when the plan was made.
_MOMENT = (data_use.c.subject_id, data_use.c.position, data_use.c.at)
_places = rows_of_lists({"subject_id": Identifier(), "position": Integer()})
_one = (
    select(data_use)
    .where(
        data_use.c.subject_id == _places.c.subject_id,
        data_use.c.position == _places.c.position,
        data_use.c.at >= bindparam("since", type_=UTCDateTime),
        data_use.c.at < bindparam("until", type_=UTCDateTime),
    )
    # Spelled out, since a plan that is kept knows no parameter's value.
    .limit(literal_column("1"))
    .lateral("one")
)
_whole_at = Statement(
    select(
        *(one for one in _one.c if one.name != data_use.c.terms.name),
        *(shared for shared in use_terms.c if shared is not use_terms.c.id),
    ).select_from(_places.join(_one, true()).join(use_terms, use_terms.c.id == _one.c.terms)),
    plan_kept=True,
)
_moments_at = Statement(
    select(*(_one.c[moment.name] for moment in _MOMENT)).select_from(_places.join(_one, true())),
    plan_kept=True,
)


# Not frozen, since frozen ones take three times as long to make, and whoever reads a record makes many.
@dataclass(slots=True)
class Use:
    """What is about to be released or was refused.

    ``attributes`` are the names in the actual payload, ``other_party`` the one acted for (in the
    chain of who acted) or the person who acted (in the other's), or the mandate under which a key
    acted; of a look by an officer or inspector (``BY_OFFICERS``), who she is in office. ``detail``
    holds what only some entries have, in codes and identifiers: the register asked, the reason of a
    refusal.
    """

    subject_id: str
    client_id: str
    channel: Channel
    attributes: tuple[str, ...]
    purpose: str
    purpose_version: int
    legal_basis: str
    correlation: str
    outcome: Outcome = Outcome.RELEASED
    subject_role: SubjectRole = SubjectRole.PRIMARY
    consent_id: str | None = None
    grant_id: str | None = None
    other_party: str | None = None
    detail: Mapping[str, str] = field(default_factory=dict)

    @property
    def common(self) -> Common:
        """What it has in common with others. It is personal unless it is a mere sign-in, or something
        that the provider itself did.
        """
        return Common(
            self.client_id, self.channel, self.outcome, self.subject_role, self.attributes,
            self.purpose, self.purpose_version, self.legal_basis,
            self.client_id != PROVIDER and not WITHOUT_MEANING.issuperset(self.attributes),
        )  # fmt: skip


class Recorded(NamedTuple):
    """An entry just written, as receipts and references name it; it counts once it is committed.

    ``attributes`` is the hash of the attributes' names.
    """

    id: str
    subject_id: str
    position: int
    at: datetime
    client_id: str
    commitment: bytes
    attributes: bytes


@dataclass(slots=True)
class UseEntry:
    """A use as it stands in the log."""

    id: str
    position: int
    at: datetime
    use: Use
    commitment: bytes

    @property
    def is_lost(self) -> bool:
        """True when only its commitment is left (``lost``)."""
        return not self.id


def lost(subject_id: str, position: int, at: datetime, commitment: bytes) -> UseEntry:
    """Return what stands for an entry whose row was gone before it could be archived: its place and its
    commitment, which what it seems to say does not fit. ``at`` is a moment near which it was made.
    """
    nothing = Use(
        subject_id=subject_id, client_id=PROVIDER, channel=Channel.EXPORT, attributes=(),
        purpose="", purpose_version=1, legal_basis="", correlation="",
    )  # fmt: skip
    return UseEntry("", position, at, nothing, commitment)


def content_of(entry_id: str, position: int, at: datetime, use: Use) -> dict[str, Any]:
    """Return what an entry's commitment binds."""
    content = {
        "schema": DETAILED_VERSION if use.detail else SCHEMA_VERSION,
        "id": entry_id,
        "position": position,
        "at": _spelled(at),
        "subject": use.subject_id,
        "client_id": use.client_id,
        "channel": use.channel.value,
        "outcome": use.outcome.value,
        "subject_role": use.subject_role.value,
        "attributes": sorted(use.attributes),
        "purpose": use.purpose,
        "purpose_version": use.purpose_version,
        "legal_basis": use.legal_basis,
        "consent_id": use.consent_id,
        "grant_id": use.grant_id,
        "other_party": use.other_party,
        "correlation": use.correlation,
    }
    if use.detail:
        content["detail"] = dict(use.detail)
    return content


@lru_cache(maxsize=64)
def _spelled(at: datetime) -> str:
    # Entries written together have the same.
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def bound(entry: UseEntry, key: bytes) -> bytes:
    """Return the commitment that binds an entry, by the person's key of its year."""
    content = content_of(entry.id, entry.position, entry.at, entry.use)
    return commitment.commit(canonical(content), commitment.salt(key, entry.id))


def entry_of(row: Row[Any]) -> UseEntry:
    """Return the entry of a row of ``select_entries()``."""
    use = Use(
        subject_id=row.subject_id,
        client_id=row.client_id,
        channel=Channel(row.channel),
        attributes=tuple(orjson.loads(row.attributes)),
        purpose=row.purpose,
        purpose_version=row.purpose_version,
        legal_basis=row.legal_basis,
        correlation=row.correlation,
        outcome=Outcome(row.outcome),
        subject_role=SubjectRole(row.subject_role),
        consent_id=row.consent_id,
        grant_id=row.grant_id,
        other_party=row.other_party,
        detail=orjson.loads(row.detail) if row.detail else {},
    )
    return UseEntry(row.id, row.position, row.at, use, row.commitment)
