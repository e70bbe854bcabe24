"""Entries name what they have in common, ids take 16 bytes, and PostgreSQL keeps a table a month."""

from hashlib import sha256
from typing import Any

import orjson
import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)


def _terms() -> list[sa.Column[Any]]:
    return [
        sa.Column("client_id", sa.String(255), nullable=False),
        sa.Column("channel", sa.String(16), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("subject_role", sa.String(16), nullable=False),
        sa.Column("attributes", sa.Text(), nullable=False),
        sa.Column("purpose", sa.String(32), nullable=False),
        sa.Column("purpose_version", sa.Integer(), nullable=False),
        sa.Column("legal_basis", sa.String(32), nullable=False),
        sa.Column("personal", sa.Boolean(), nullable=False),
    ]


_NAMES = [column.name for column in _terms()]
_ALIKE = " AND ".join(f"u.{name} = t.{name}" for name in _NAMES)
_IDS = ("subject_id", "id", "consent_id", "grant_id")
_OWN = (
    "at", "position", "subject_id", "id", "consent_id", "grant_id", "correlation", "commitment",
    "other_party", "detail",
)  # fmt: skip


def upgrade() -> None:
    db = op.get_bind()
    is_postgresql = db.dialect.name == "postgresql"
    terms = op.create_table(
        "use_terms",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        *_terms(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_use_terms")),
    )
    found = db.execute(
        sa.text(f"SELECT DISTINCT {', '.join(_NAMES)} FROM data_use")  # noqa: S608 - constants
    )
    rows = [{**row, "personal": bool(row["personal"])} for row in found.mappings()]
    if rows:
        op.bulk_insert(terms, [{"id": _id_of(row), **row} for row in rows])
    # The names of a table's indexes stay when it gets another.
    _drop_index(db)
    if is_postgresql:
        op.execute("ALTER TABLE data_use RENAME CONSTRAINT pk_data_use TO pk_data_use_whole")
    op.rename_table("data_use", "data_use_whole")
    _create_new(is_postgresql=is_postgresql)
    columns = [
        f"u.{name}::uuid" if is_postgresql and name in _IDS else f"u.{name}" for name in _OWN
    ]
    # The sequencer goes by SQLite's row numbers.
    row_number = ("", "") if is_postgresql else ("rowid, ", "u.rowid, ")
    op.execute(
        f"INSERT INTO data_use ({row_number[0]}terms, {', '.join(_OWN)}) "  # noqa: S608 - constants
        f"SELECT {row_number[1]}t.id, {', '.join(columns)} "
        f"FROM data_use_whole u JOIN use_terms t ON {_ALIKE}"
    )
    op.drop_table("data_use_whole")


def downgrade() -> None:
    db = op.get_bind()
    is_postgresql = db.dialect.name == "postgresql"
    _drop_index(db)
    if is_postgresql:
        op.execute("ALTER TABLE data_use RENAME CONSTRAINT pk_data_use TO pk_data_use_parts")
    op.rename_table("data_use", "data_use_parts")
    op.create_table(
        "data_use",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("subject_id", sa.String(32), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        *_terms(),
        sa.Column("consent_id", sa.String(32)),
        sa.Column("grant_id", sa.String(32)),
        sa.Column("other_party", sa.String(32)),
        sa.Column("correlation", sa.String(64), nullable=False),
        sa.Column("detail", sa.Text()),
        sa.Column("commitment", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("subject_id", "position", name=op.f("pk_data_use")),
    )
    columns = [
        f"replace(u.{name}::text, '-', '')" if is_postgresql and name in _IDS else f"u.{name}"
        for name in _OWN
    ]
    row_number = ("", "") if is_postgresql else ("rowid, ", "u.rowid, ")
    op.execute(
        f"INSERT INTO data_use ({row_number[0]}{', '.join(_NAMES)}, {', '.join(_OWN)}) "  # noqa: S608
        f"SELECT {row_number[1]}{', '.join(f't.{name}' for name in _NAMES)}, {', '.join(columns)} "
        f"FROM data_use_parts u JOIN use_terms t ON t.id = u.terms"
    )
    op.drop_table("data_use_parts")
    op.drop_table("use_terms")
    _create_index(db)


def _create_new(*, is_postgresql: bool) -> None:
    identifier = postgresql.UUID() if is_postgresql else sa.String(32)
    # A partitioned table's key holds what it is divided by.
    key = ("subject_id", "position", "at") if is_postgresql else ("subject_id", "position")
    op.create_table(
        "data_use",
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("terms", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("subject_id", identifier, nullable=False),
        sa.Column("id", identifier, nullable=False),
        sa.Column("consent_id", identifier),
        sa.Column("grant_id", identifier),
        sa.Column("correlation", sa.String(64), nullable=False),
        sa.Column("commitment", sa.LargeBinary(), nullable=False),
        sa.Column("other_party", sa.String(32)),
        sa.Column("detail", sa.Text()),
        sa.PrimaryKeyConstraint(*key, name=op.f("pk_data_use")),
        postgresql_partition_by="RANGE (at)",
    )
    if is_postgresql:
        op.execute("CREATE TABLE data_use_rest PARTITION OF data_use DEFAULT")
        op.create_index("ix_data_use_at", "data_use", ["at"], postgresql_using="brin")


def _create_index(db: sa.Connection) -> None:
    if db.dialect.name == "postgresql":
        op.create_index("ix_data_use_at", "data_use", ["at"], postgresql_using="brin")


def _drop_index(db: sa.Connection) -> None:
    if db.dialect.name == "postgresql":
        op.drop_index("ix_data_use_at", "data_use")


def _id_of(row: dict[str, object]) -> int:
    digest = sha256(orjson.dumps([row[name] for name in _NAMES])).digest()
    return int.from_bytes(digest[:8], "big", signed=True)
