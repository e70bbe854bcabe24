"""The published logs: tiles, heads, the head map, checkpoints, and the keys that sign them."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ledger_log",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("checkpoint", sa.Text(), nullable=False),
        sa.Column("cosigned", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("name", name="pk_ledger_log"),
    )
    op.create_table(
        "ledger_tile",
        sa.Column("log", sa.String(64), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("log", "level", "number", name="pk_ledger_tile"),
    )
    op.create_table(
        "ledger_piece",
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("level", "number", name="pk_ledger_piece"),
    )
    op.create_table(
        "ledger_head",
        sa.Column("bucket", sa.Integer(), nullable=False),
        sa.Column("idx", sa.LargeBinary(), nullable=False),
        sa.Column("subject_id", sa.String(32), nullable=False),
        sa.Column("length", sa.Integer(), nullable=False),
        sa.Column("head", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("bucket", "idx", name="pk_ledger_head"),
        sa.UniqueConstraint("subject_id", name="uq_ledger_head_subject_id"),
    )
    op.create_table(
        "ledger_state",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("epochs", sa.Integer(), nullable=False),
        sa.Column("row", sa.BigInteger(), nullable=False),
        sa.Column("moment", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_ledger_state"),
    )
    op.create_table(
        "ledger_policy",
        sa.Column("subject", sa.String(300), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("subject", name="pk_ledger_policy"),
    )
    op.create_table(
        "log_key",
        sa.Column("kind", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("kind", name="pk_log_key"),
    )
    if op.get_context().dialect.name == "postgresql":
        # A few bytes for each stretch of blocks: inserting a row does not write to it.
        op.create_index("ix_data_use_at", "data_use", ["at"], postgresql_using="brin")


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        op.drop_index("ix_data_use_at", "data_use")
    for table in (
        "log_key",
        "ledger_policy",
        "ledger_state",
        "ledger_head",
        "ledger_piece",
        "ledger_tile",
        "ledger_log",
    ):
        op.drop_table(table)
