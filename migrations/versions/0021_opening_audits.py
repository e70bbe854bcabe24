"""Opening audits, and sealed uses."""

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
    op.create_table(
        "sealed_chain",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("subject_id", sa.String(32), nullable=False),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["subject.id"], name=op.f("fk_sealed_chain_subject_id_subject")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sealed_chain")),
    )
    op.create_table(
        "sealed_use",
        sa.Column("entry_id", sa.String(32), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("client_id", sa.String(255), nullable=False),
        sa.Column("seal_class", sa.String(16), nullable=False),
        sa.Column("until", sa.Date(), nullable=False),
        sa.Column("commitment", sa.String(43), nullable=False),
        sa.Column("content", sa.LargeBinary()),
        sa.Column("unsealed_at", _MOMENT),
        sa.PrimaryKeyConstraint("entry_id", name=op.f("pk_sealed_use")),
    )


def downgrade() -> None:
    op.drop_table("sealed_use")
    op.drop_table("sealed_chain")
    op.drop_table("opening_audit")
