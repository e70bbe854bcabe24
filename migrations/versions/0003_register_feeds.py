"""How far each register's feed was read, and the latest word applied."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "register_cursor",
        sa.Column("register", sa.String(length=24), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("polled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("not_available_since", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("register", name=op.f("pk_register_cursor")),
    )
    op.create_table(
        "register_word",
        sa.Column("register", sa.String(length=24), nullable=False),
        sa.Column("subject_id", sa.String(length=32), nullable=False),
        sa.Column("topic", sa.String(length=24), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["subject.id"], name=op.f("fk_register_word_subject_id_subject")
        ),
        sa.PrimaryKeyConstraint("register", "subject_id", "topic", name=op.f("pk_register_word")),
    )


def downgrade() -> None:
    op.drop_table("register_word")
    op.drop_table("register_cursor")
