"""What people want to be told, what is known of uses for it, and telling of consents and withdrawals."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)
_UNTOLD = sa.text("state = 'active' AND end_told_at IS NULL")


def upgrade() -> None:
    op.create_table(
        "notice_choice",
        sa.Column("subject_id", sa.String(32), nullable=False),
        sa.Column("topics", sa.JSON, nullable=False),
        sa.Column("discreet", sa.Boolean, nullable=False),
        sa.Column("changed_at", _MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["subject.id"], name=op.f("fk_notice_choice_subject_id_subject")
        ),
        sa.PrimaryKeyConstraint("subject_id", name=op.f("pk_notice_choice")),
    )
    op.create_table(
        "seen_use",
        sa.Column("subject_id", sa.String(32), nullable=False),
        sa.Column("client_id", sa.String(255), nullable=False),
        sa.Column("attributes", sa.Text, nullable=False),
        sa.Column("first_at", _MOMENT, nullable=False),
        sa.Column("last_month", sa.String(7), nullable=False),
        sa.Column("told_at", _MOMENT),
        sa.PrimaryKeyConstraint("subject_id", "client_id", name=op.f("pk_seen_use")),
    )
    op.create_index("ix_seen_use_last_month", "seen_use", ["last_month"])
    op.create_table(
        "month_due",
        sa.Column("month", sa.String(7), nullable=False),
        sa.Column("subject_id", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("month", "subject_id", name=op.f("pk_month_due")),
    )
    op.add_column("withdrawal", sa.Column("late_told_at", _MOMENT))
    op.add_column("consent", sa.Column("end_told_at", _MOMENT))
    op.create_index(
        "ix_consent_ending",
        "consent",
        ["valid_until"],
        sqlite_where=_UNTOLD,
        postgresql_where=_UNTOLD,
    )


def downgrade() -> None:
    op.drop_index("ix_consent_ending", "consent")
    op.drop_column("consent", "end_told_at")
    op.drop_column("withdrawal", "late_told_at")
    op.drop_table("month_due")
    op.drop_table("seen_use")
    op.drop_table("notice_choice")
