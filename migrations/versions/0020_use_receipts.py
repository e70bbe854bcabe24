"""Use receipts, and what only some entries hold."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("data_use", sa.Column("detail", sa.Text()))
    op.create_table(
        "use_receipt",
        sa.Column("client_id", sa.String(255), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("made_at", _MOMENT, nullable=False),
        sa.Column("personal", sa.Integer(), nullable=False),
        sa.Column("jws", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("client_id", "epoch", "part", name=op.f("pk_use_receipt")),
    )
    op.create_table(
        "held_report",
        sa.Column("client_id", sa.String(255), nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("told_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("client_id", "day", name=op.f("pk_held_report")),
    )
    op.create_table(
        "held_receipt",
        sa.Column("client_id", sa.String(255), nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("commitment", sa.String(43), nullable=False),
        sa.PrimaryKeyConstraint("client_id", "day", "commitment", name=op.f("pk_held_receipt")),
    )
    op.create_table(
        "reconciliation",
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("party", sa.String(255), nullable=False),
        sa.Column("ours", sa.Integer(), nullable=False),
        sa.Column("theirs", sa.Integer()),
        sa.Column("unlogged", sa.Integer(), nullable=False),
        sa.Column("unconfirmed", sa.Integer(), nullable=False),
        sa.Column("made_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("day", "kind", "party", name=op.f("pk_reconciliation")),
    )
    op.create_table(
        "reconciliation_gap",
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("party", sa.String(255), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("commitment", sa.String(43), nullable=False),
        sa.PrimaryKeyConstraint(
            "day", "kind", "party", "number", name=op.f("pk_reconciliation_gap")
        ),
    )
    op.create_table(
        "use_report",
        sa.Column("client_id", sa.String(255), nullable=False),
        sa.Column("report_id", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("cites", sa.String(32), nullable=False),
        sa.Column("entry_id", sa.String(32), nullable=False),
        sa.Column("commitment", sa.String(43), nullable=False),
        sa.Column("late", sa.Boolean(), nullable=False),
        sa.Column("made_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("client_id", "report_id", name=op.f("pk_use_report")),
    )
    op.create_index("ix_use_report_made_at", "use_report", ["client_id", "made_at"])
    op.create_index(op.f("ix_use_receipt_made_at"), "use_receipt", ["made_at"])


def downgrade() -> None:
    for table in (
        "use_report",
        "reconciliation_gap",
        "reconciliation",
        "held_receipt",
        "held_report",
    ):
        op.drop_table(table)
    op.drop_table("use_receipt")
    op.drop_column("data_use", "detail")
