"""Use receipts, and what only some entries hold."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0018"
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
        sa.Column("jws", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("client_id", "epoch", "part", name=op.f("pk_use_receipt")),
    )
    op.create_index(op.f("ix_use_receipt_made_at"), "use_receipt", ["made_at"])


def downgrade() -> None:
    op.drop_table("use_receipt")
    op.drop_column("data_use", "detail")
