"""Opening audits."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "opening_audit",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("auditor", sa.String(255), nullable=False),
        sa.Column("announcement", sa.String(64), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("announced_at", _MOMENT, nullable=False),
        sa.Column("leaves", sa.Text()),
        sa.Column("drawn_at", _MOMENT),
        sa.Column("warrant", sa.String(64)),
        sa.Column("opened_at", _MOMENT),
        sa.Column("result", sa.Text()),
        sa.Column("concluded_at", _MOMENT),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_opening_audit")),
        sa.UniqueConstraint("announcement", name=op.f("uq_opening_audit_announcement")),
    )


def downgrade() -> None:
    op.drop_table("opening_audit")
