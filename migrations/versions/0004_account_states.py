"""Account states: closing, successors, the history of an account, holds that end by themselves."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_LIVE = sa.text("state != 'closed'")


def upgrade() -> None:
    with op.batch_alter_table("account", schema=None) as batch_op:
        batch_op.add_column(sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("closed_reason", sa.String(length=24), nullable=True))
        batch_op.add_column(sa.Column("successor_of", sa.String(length=32), nullable=True))
        batch_op.drop_constraint(batch_op.f("uq_account_subject_id"), type_="unique")
        batch_op.create_index(batch_op.f("ix_account_subject_id"), ["subject_id"], unique=False)
        batch_op.create_index(
            "uq_account_live",
            ["subject_id"],
            unique=True,
            sqlite_where=_LIVE,
            postgresql_where=_LIVE,
        )
    op.add_column("account_lock", sa.Column("until", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "account_event",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=24), nullable=True),
        sa.Column("actor", sa.String(length=16), nullable=False),
        sa.Column("actor_id", sa.String(length=32), nullable=True),
        sa.Column("ground", sa.LargeBinary(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_account_event_account_id_account")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account_event")),
    )
    op.create_index(op.f("ix_account_event_account_id"), "account_event", ["account_id"])


def downgrade() -> None:
    op.drop_table("account_event")
    op.drop_column("account_lock", "until")
    # The first schema has room for one account a subject: the closed predecessors go.
    op.execute("DELETE FROM account WHERE state = 'closed'")
    with op.batch_alter_table("account", schema=None) as batch_op:
        batch_op.drop_index("uq_account_live")
        batch_op.drop_index(batch_op.f("ix_account_subject_id"))
        batch_op.create_unique_constraint(batch_op.f("uq_account_subject_id"), ["subject_id"])
        batch_op.drop_column("successor_of")
        batch_op.drop_column("closed_reason")
        batch_op.drop_column("closed_at")
