"""Mandates that people give: terms, states, what each rests on, agreements and history."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_FOR_OTHERS = sa.text("acting_for != ''")
_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    # What the registers gave so far is active, without bounds, and was never confirmed since.
    with op.batch_alter_table("mandate", schema=None) as batch_op:
        for column in (
            sa.Column("state", sa.String(length=16), nullable=False, server_default="active"),
            sa.Column("scopes", sa.JSON(), nullable=False, server_default=sa.text("'[\"*\"]'")),
            sa.Column("amount_limit", sa.BigInteger(), nullable=True),
            sa.Column("joint", sa.Boolean(), nullable=False, server_default=sa.false()),
            sa.Column("authentication_level", sa.Integer(), nullable=False, server_default="1"),
            sa.Column("sub_delegation", sa.Integer(), nullable=False, server_default="1"),
            sa.Column("representatives", sa.Integer(), nullable=True),
            sa.Column("source_version", sa.String(length=64), nullable=True),
            sa.Column("confirmed_at", _MOMENT, nullable=True),
            sa.Column("granted_by", sa.String(length=32), nullable=True),
            sa.Column("under_id", sa.String(length=32), nullable=True),
            sa.Column("lapses_at", _MOMENT, nullable=True),
            sa.Column("accepted_at", _MOMENT, nullable=True),
            sa.Column("stated", sa.LargeBinary(), nullable=True),
            sa.Column("client_id", sa.String(length=255), nullable=True),
            sa.Column("key_thumbprint", sa.String(length=64), nullable=True),
        ):
            batch_op.add_column(column)
        batch_op.alter_column("agent_id", existing_type=sa.String(length=32), nullable=True)
        batch_op.create_foreign_key(
            batch_op.f("fk_mandate_granted_by_subject"), "subject", ["granted_by"], ["id"]
        )
        batch_op.create_index(batch_op.f("ix_mandate_granted_by"), ["granted_by"], unique=False)
        batch_op.create_index(batch_op.f("ix_mandate_under_id"), ["under_id"], unique=False)
    op.create_index(
        "ix_consent_acting_for",
        "consent",
        ["acting_for"],
        sqlite_where=_FOR_OTHERS,
        postgresql_where=_FOR_OTHERS,
    )
    op.execute("UPDATE mandate SET state = 'revoked' WHERE valid_to <= CURRENT_TIMESTAMP")
    op.create_table(
        "mandate_agreement",
        sa.Column("mandate_id", sa.String(length=32), nullable=False),
        sa.Column("subject_id", sa.String(length=32), nullable=False),
        sa.Column("agrees", sa.Boolean(), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["mandate_id"], ["mandate.id"], name=op.f("fk_mandate_agreement_mandate_id_mandate")
        ),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["subject.id"], name=op.f("fk_mandate_agreement_subject_id_subject")
        ),
        sa.PrimaryKeyConstraint("mandate_id", "subject_id", name=op.f("pk_mandate_agreement")),
    )
    op.create_index(op.f("ix_mandate_agreement_subject_id"), "mandate_agreement", ["subject_id"])
    op.create_table(
        "mandate_event",
        sa.Column("mandate_id", sa.String(length=32), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("actor_id", sa.String(length=32), nullable=True),
        sa.Column("source", sa.String(length=32), nullable=True),
        sa.Column("detail", sa.JSON(), nullable=True),
        sa.Column("at", _MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["mandate_id"], ["mandate.id"], name=op.f("fk_mandate_event_mandate_id_mandate")
        ),
        sa.PrimaryKeyConstraint("mandate_id", "position", name=op.f("pk_mandate_event")),
    )


def downgrade() -> None:
    op.drop_table("mandate_event")
    op.drop_table("mandate_agreement")
    op.drop_index("ix_consent_acting_for", "consent")
    # The earlier schema knows only what registers give.
    op.execute("DELETE FROM mandate WHERE granted_by IS NOT NULL OR agent_id IS NULL")
    with op.batch_alter_table("mandate", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_mandate_under_id"))
        batch_op.drop_index(batch_op.f("ix_mandate_granted_by"))
        batch_op.drop_constraint(batch_op.f("fk_mandate_granted_by_subject"), type_="foreignkey")
        batch_op.alter_column("agent_id", existing_type=sa.String(length=32), nullable=False)
        for name in (
            "key_thumbprint", "client_id", "stated", "accepted_at", "lapses_at", "under_id",
            "granted_by", "confirmed_at", "source_version", "sub_delegation",
            "authentication_level", "representatives", "joint", "amount_limit", "scopes", "state",
        ):  # fmt: skip
            batch_op.drop_column(name)
