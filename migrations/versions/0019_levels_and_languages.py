"""Levels 3 and 4: comparisons of faces, what a chip is read for, steps that a person declines, models
that only a biometric unlocks. Phones set up by a code or a card, and
the language of letters.
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "face_check",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("account_id", sa.String(32), nullable=False),
        sa.Column("session_id", sa.String(32), nullable=False),
        sa.Column("ticket_hash", sa.String(64), nullable=False),
        sa.Column("use_id", sa.String(32), nullable=False),
        sa.Column("asked_at", _MOMENT, nullable=False),
        sa.Column("verdict", sa.String(16)),
        sa.Column("reference", sa.String(64)),
        sa.Column("judged_at", _MOMENT),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_face_check_account_id_account")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_face_check")),
        sa.UniqueConstraint("ticket_hash", name=op.f("uq_face_check_ticket_hash")),
    )
    op.create_index(op.f("ix_face_check_account_id"), "face_check", ["account_id"])
    op.create_index(op.f("ix_face_check_asked_at"), "face_check", ["asked_at"])
    op.create_table(
        "phone_invitation",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("account_id", sa.String(32), nullable=False),
        sa.Column("way", sa.String(16), nullable=False),
        sa.Column("code_mac", sa.LargeBinary()),
        sa.Column("session_id", sa.String(32)),
        sa.Column("made_at", _MOMENT, nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=False),
        sa.Column("used_at", _MOMENT),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_phone_invitation_account_id_account")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_phone_invitation")),
        sa.UniqueConstraint("code_mac", name=op.f("uq_phone_invitation_code_mac")),
    )
    op.create_index(op.f("ix_phone_invitation_account_id"), "phone_invitation", ["account_id"])
    op.create_index(op.f("ix_phone_invitation_expires_at"), "phone_invitation", ["expires_at"])
    with op.batch_alter_table("chip_request") as table:
        # Requests live five minutes: what is under way meanwhile is asked for again.
        table.add_column(
            sa.Column("purpose", sa.String(16), nullable=False, server_default="account-level-02")
        )
        table.add_column(sa.Column("proved_at", _MOMENT))
        table.add_column(sa.Column("taken_at", _MOMENT))
    with op.batch_alter_table("chip_request") as table:
        table.alter_column("purpose", existing_type=sa.String(16), server_default=None)
    with op.batch_alter_table("interaction") as table:
        table.add_column(sa.Column("step_ended_at", _MOMENT))
    with op.batch_alter_table("authenticator_model") as table:
        # Known after the next import of metadata.
        table.add_column(sa.Column("biometric", sa.String(16), nullable=False, server_default=""))
    with op.batch_alter_table("authenticator_model") as table:
        table.alter_column("biometric", existing_type=sa.String(16), server_default=None)
    with op.batch_alter_table("account") as table:
        table.add_column(sa.Column("language", sa.String(8)))


def downgrade() -> None:
    with op.batch_alter_table("account") as table:
        table.drop_column("language")
    with op.batch_alter_table("authenticator_model") as table:
        table.drop_column("biometric")
    with op.batch_alter_table("interaction") as table:
        table.drop_column("step_ended_at")
    with op.batch_alter_table("chip_request") as table:
        table.drop_column("taken_at")
        table.drop_column("proved_at")
        table.drop_column("purpose")
    op.drop_table("phone_invitation")
    op.drop_table("face_check")
