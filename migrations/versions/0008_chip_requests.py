"""Requests to read a card's chip."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "chip_request",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("application_id", sa.String(length=32), nullable=False),
        sa.Column("code_mac", sa.LargeBinary(), nullable=False),
        sa.Column("nonce", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("spent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("refusal", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["application_id"],
            ["application.id"],
            name=op.f("fk_chip_request_application_id_application"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chip_request")),
        sa.UniqueConstraint("code_mac", name=op.f("uq_chip_request_code_mac")),
    )
    op.create_index(op.f("ix_chip_request_application_id"), "chip_request", ["application_id"])
    op.create_index(op.f("ix_chip_request_expires_at"), "chip_request", ["expires_at"])


def downgrade() -> None:
    op.drop_table("chip_request")
