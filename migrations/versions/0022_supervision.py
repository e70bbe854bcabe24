"""Inspectors, what they take away each day, figures without people, and following the log."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "officer", sa.Column("role", sa.String(16), nullable=False, server_default="desk")
    )
    op.create_table(
        "followed_log",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_followed_log")),
    )
    op.create_table(
        "use_tally",
        sa.Column("period", sa.String(10), nullable=False),
        sa.Column("client_id", sa.String(255), nullable=False),
        sa.Column("purpose", sa.String(32), nullable=False),
        sa.Column("channel", sa.String(16), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("uses", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint(
            "period", "client_id", "purpose", "channel", "outcome", name=op.f("pk_use_tally")
        ),
    )
    op.create_table(
        "regulator_export",
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("file", sa.LargeBinary, nullable=False),
        sa.Column("manifest", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_regulator_export")),
    )


def downgrade() -> None:
    op.drop_table("regulator_export")
    op.drop_table("use_tally")
    op.drop_table("followed_log")
    op.drop_column("officer", "role")
