"""Notices to people, and requests of one officer to change a contact that another confirms."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_OPEN = sa.text("answer IS NULL")
_OUTGOING = sa.text("deliver_by IS NOT NULL AND delivered_at IS NULL")


def upgrade() -> None:
    op.create_table(
        "person_notice",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("subject_id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deliver_by", sa.String(length=16), nullable=True),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["subject.id"], name=op.f("fk_person_notice_subject_id_subject")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_person_notice")),
    )
    op.create_index(
        "ix_person_notice_subject_id_made_at", "person_notice", ["subject_id", "made_at"]
    )
    op.create_index(
        "ix_person_notice_outgoing",
        "person_notice",
        ["made_at"],
        sqlite_where=_OUTGOING,
        postgresql_where=_OUTGOING,
    )
    op.create_table(
        "contact_request",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=32), nullable=False),
        sa.Column("claim", sa.String(length=16), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("asked_by", sa.String(length=32), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answer", sa.String(length=16), nullable=True),
        sa.Column("answered_by", sa.String(length=32), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_contact_request_account_id_account")
        ),
        sa.ForeignKeyConstraint(
            ["asked_by"], ["officer.id"], name=op.f("fk_contact_request_asked_by_officer")
        ),
        sa.ForeignKeyConstraint(
            ["answered_by"], ["officer.id"], name=op.f("fk_contact_request_answered_by_officer")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contact_request")),
    )
    op.create_index(
        "uq_contact_request_open",
        "contact_request",
        ["account_id", "claim"],
        unique=True,
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    )


def downgrade() -> None:
    op.drop_table("contact_request")
    op.drop_table("person_notice")
