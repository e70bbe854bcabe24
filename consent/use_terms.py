"""What many uses have in common: who, by which way, which attributes, for what and by what right.

A relying party's uses of one kind differ in moment, person and grant only, so the rest is kept once
and each entry's row names it by its hash. Terms are never changed nor removed; an entry's commitment
binds their content, so one that was tampered with is found in every entry that names it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, NamedTuple

import orjson
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Integer,
    String,
    Table,
    Text,
    bindparam,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite

from accounts.schema import metadata
from accounts.statements import Statement

_MOST_KEPT = 20_000
_MADE_HERE = "sen.terms"

use_terms = Table(
    "use_terms",
    metadata,
    # The first eight bytes of the hash of what follows: no two databases name the same terms
    # differently, and none has to be asked for the next number.
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("client_id", String(255), nullable=False),
    Column("channel", String(16), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("subject_role", String(16), nullable=False),
    Column("attributes", Text, nullable=False),
    Column("purpose", String(32), nullable=False),
    Column("purpose_version", Integer, nullable=False),
    Column("legal_basis", String(32), nullable=False),
    # Not part of the entry: lets the one-sentence summary skip mere sign-ins.
    Column("personal", Boolean, nullable=False),
)

_NAMES = tuple(column.name for column in use_terms.c if not column.primary_key)
_find = Statement(select(use_terms).where(use_terms.c.id == bindparam("which")))
_add = Statement(
    lambda dialect: (
        (postgresql if dialect == "postgresql" else sqlite)
        .insert(use_terms)
        .values({column.name: bindparam(column.name) for column in use_terms.c})
        .on_conflict_do_nothing()
    ),
    whole=True,
)


class Common(NamedTuple):
    """What a use has in common with others, by the table's columns; ``attributes`` are names."""

    client_id: str
    channel: str
    outcome: str
    subject_role: str
    attributes: tuple[str, ...]
    purpose: str
    purpose_version: int
    legal_basis: str
    personal: bool


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of a use: their id, how its attributes are spelled, and the hash by which a receipt
    tells which attributes an entry names.
    """

    id: int
    attributes: str
    digest: bytes


class KnownTerms:
    """The terms that are known to be in one database, kept by each process of a server.

    PostgreSQL gets new ones by a transaction of their own: within a release's, everybody else who
    needs the same would wait for it. SQLite has one writer; what a transaction of it has added may
    be rolled back with it, and counts as known only when a later one finds it.
    """

    def __init__(self) -> None:
        self._kept: dict[Common, Terms] = {}

    def of(self, db: Connection, common: Common) -> Terms:
        """Return the terms, which are in the database when the transaction is committed."""
        return self._kept.get(common) or self._found(db, common)

    def _found(self, db: Connection, common: Common) -> Terms:
        row = common._asdict()
        row["attributes"] = orjson.dumps(sorted(common.attributes)).decode()
        row["id"] = id_of(row)
        terms = Terms(row["id"], row["attributes"], hash_of_names(row["attributes"]))
        found = _find.first(db, {"which": terms.id})
        if found is None:
            if db.dialect.name != "postgresql":
                _add.change(db, row)
                _made_here(db).add(terms.id)
                return terms
            with db.engine.begin() as apart:
                _add.change(apart, row)
        elif found._asdict() != row:
            raise ValueError(f"terms {terms.id} are not what their hash says")
        elif db.dialect.name != "postgresql" and terms.id in _made_here(db):
            return terms
        if len(self._kept) >= _MOST_KEPT:
            self._kept.clear()
        self._kept[common] = terms
        return terms


@dataclass(frozen=True, slots=True)
class SharedTerms:
    """What terms say, as far as it is part of a receipt."""

    client_id: str
    channel: str
    outcome: str
    personal: bool
    digest: bytes


class ReadTerms:
    """Terms by their ids, each read from one database once: they never change."""

    def __init__(self) -> None:
        self._kept: dict[int, SharedTerms] = {}

    def of(self, db: Connection, terms_id: int) -> SharedTerms | None:
        """Return the terms with this id; None when somebody has removed them."""
        found = self._kept.get(terms_id)
        if found is None and (row := _find.first(db, {"which": terms_id})) is not None:
            found = SharedTerms(
                row.client_id, row.channel, row.outcome, row.personal, hash_of_names(row.attributes)
            )
            self._kept[terms_id] = found
        return found


def _made_here(db: Connection) -> set[int]:
    """Return the ids that the connection's present transaction has added."""
    transaction = db.get_transaction()
    noted = db.info.get(_MADE_HERE)
    if noted is None or noted[0] is not transaction:
        noted = db.info[_MADE_HERE] = (transaction, set())
    ids: set[int] = noted[1]
    return ids


def id_of(row: Mapping[str, Any]) -> int:
    """Return the id of terms from their other columns."""
    digest = sha256(orjson.dumps([row[name] for name in _NAMES])).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def hash_of_names(attributes: str) -> bytes:
    """Return the hash by which a receipt tells which attributes an entry names, from their spelling in
    the entry: sorted compact JSON.
    """
    return sha256(attributes.encode()).digest()
