"""What agencies do after a withdrawal."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)
_UNCONFIRMED = sa.text("confirmed_at IS NULL")


def upgrade() -> None:
    op.create_table(
        "withdrawal",
        sa.Column("consent_id", sa.String(32), nullable=False),
        sa.Column("client_id", sa.String(255), nullable=False),
        sa.Column("made_at", _MOMENT, nullable=False),
        sa.Column("stop_by", _MOMENT, nullable=False),
        sa.Column("told_at", _MOMENT),
        sa.Column("confirmed_at", _MOMENT),
        sa.ForeignKeyConstraint(
            ["consent_id"], ["consent.id"], name=op.f("fk_withdrawal_consent_id_consent")
        ),
        sa.PrimaryKeyConstraint("consent_id", name=op.f("pk_withdrawal")),
    )
    op.create_index(
        "ix_withdrawal_unconfirmed",
        "withdrawal",
        ["client_id", "stop_by"],
        sqlite_where=_UNCONFIRMED,
        postgresql_where=_UNCONFIRMED,
    )


def downgrade() -> None:
    op.drop_table("withdrawal")
