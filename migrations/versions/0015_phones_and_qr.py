"""Phones enrolled with the app, and the sign-ins by QR code that they approve."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_CLAIMED = sa.text("state = 'claimed'")


def upgrade() -> None:
    op.create_table(
        "phone",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("account_id", sa.String(32), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("enrolled_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name="fk_phone_account_id_account"),
        sa.PrimaryKeyConstraint("id", name="pk_phone"),
        sa.UniqueConstraint("public_key", name="uq_phone_public_key"),
    )
    op.create_index("ix_phone_account_id", "phone", ["account_id"])
    op.create_table(
        "qr_sign_in",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("browser", sa.LargeBinary(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("client_id", sa.String(255), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("same_device", sa.Boolean(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("choices", sa.JSON(), nullable=False),
        sa.Column("browser_name", sa.String(200), nullable=False),
        sa.Column("address", sa.String(45), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("disturbed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("account_id", sa.String(32), nullable=True),
        sa.Column("session_id", sa.String(32), nullable=True),
        sa.Column("phone_id", sa.String(32), nullable=True),
        sa.Column("signature", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name="fk_qr_sign_in_account_id_account"
        ),
        sa.ForeignKeyConstraint(["phone_id"], ["phone.id"], name="fk_qr_sign_in_phone_id_phone"),
        sa.PrimaryKeyConstraint("id", name="pk_qr_sign_in"),
    )
    op.create_index("ix_qr_sign_in_expires_at", "qr_sign_in", ["expires_at"])
    op.create_index("ix_qr_sign_in_account_id", "qr_sign_in", ["account_id"])
    op.create_index(
        "uq_qr_sign_in_claimed",
        "qr_sign_in",
        ["account_id"],
        unique=True,
        sqlite_where=_CLAIMED,
        postgresql_where=_CLAIMED,
    )


def downgrade() -> None:
    op.drop_table("qr_sign_in")
    op.drop_table("phone")
