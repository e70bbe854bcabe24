"""What a chain of uses keeps of entries that were removed, and where its oldest one is."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "subject_chain", sa.Column("removed", sa.Integer(), nullable=False, server_default="0")
    )
    op.add_column("subject_chain", sa.Column("removed_head", sa.LargeBinary(), nullable=True))
    op.add_column(
        "subject_chain", sa.Column("oldest_at", sa.DateTime(timezone=True), nullable=True)
    )
    op.execute(
        "UPDATE subject_chain SET oldest_at = COALESCE((SELECT at FROM data_use WHERE "
        "data_use.subject_id = subject_chain.subject_id AND position = 1), latest_at)"
    )
    with op.batch_alter_table("subject_chain", schema=None) as batch_op:
        batch_op.alter_column("oldest_at", existing_type=sa.DateTime(timezone=True), nullable=False)
    op.create_index(op.f("ix_subject_chain_oldest_at"), "subject_chain", ["oldest_at"])
    op.create_index("ix_person_notice_made_at", "person_notice", ["made_at"])


def downgrade() -> None:
    op.drop_index("ix_person_notice_made_at", "person_notice")
    op.drop_index(op.f("ix_subject_chain_oldest_at"), "subject_chain")
    with op.batch_alter_table("subject_chain", schema=None) as batch_op:
        batch_op.drop_column("oldest_at")
        batch_op.drop_column("removed_head")
        batch_op.drop_column("removed")
