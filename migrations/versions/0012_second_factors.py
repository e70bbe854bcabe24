"""Second factors beside a password: authenticator apps and code cards."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "totp",
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("in_use", sa.Boolean(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_totp_account_id_account")
        ),
        sa.PrimaryKeyConstraint("account_id", "in_use", name=op.f("pk_totp")),
    )
    op.create_table(
        "code_card",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_code_card_account_id_account")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_code_card")),
        sa.UniqueConstraint("account_id", name=op.f("uq_code_card_account_id")),
    )
    op.create_table(
        "card_code",
        sa.Column("card_id", sa.String(length=32), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(length=255), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["card_id"],
            ["code_card.id"],
            name=op.f("fk_card_code_card_id_code_card"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("card_id", "position", name=op.f("pk_card_code")),
    )


def downgrade() -> None:
    op.drop_table("card_code")
    op.drop_table("code_card")
    op.drop_table("totp")
