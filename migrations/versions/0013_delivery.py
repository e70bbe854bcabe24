"""When a notice is due to be delivered, and how often that was tried."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_OUTGOING = sa.text("deliver_by IS NOT NULL AND delivered_at IS NULL")
_DUE = sa.text("due_at IS NOT NULL")


def upgrade() -> None:
    op.drop_index("ix_person_notice_outgoing", "person_notice")
    with op.batch_alter_table("person_notice") as table:
        table.add_column(sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"))
        table.add_column(sa.Column("due_at", sa.DateTime(timezone=True), nullable=True))
    with op.batch_alter_table("person_notice") as table:
        table.alter_column("attempts", server_default=None)
    op.execute(
        "UPDATE person_notice SET due_at = made_at "
        "WHERE deliver_by IS NOT NULL AND delivered_at IS NULL"
    )
    op.create_index(
        "ix_person_notice_due_at",
        "person_notice",
        ["due_at"],
        sqlite_where=_DUE,
        postgresql_where=_DUE,
    )


def downgrade() -> None:
    op.drop_index("ix_person_notice_due_at", "person_notice")
    with op.batch_alter_table("person_notice") as table:
        table.drop_column("due_at")
        table.drop_column("attempts")
    op.create_index(
        "ix_person_notice_outgoing",
        "person_notice",
        ["made_at"],
        sqlite_where=_OUTGOING,
        postgresql_where=_OUTGOING,
    )
