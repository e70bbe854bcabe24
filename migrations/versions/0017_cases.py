"""Cases: what people ask of agencies about uses of their data."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)
_UNANSWERED = sa.text("state IN ('open', 'acknowledged')")


def upgrade() -> None:
    op.create_table(
        "data_case",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("reference", sa.String(16), nullable=False),
        sa.Column("right", sa.String(16), nullable=False),
        sa.Column("subject_id", sa.String(32), nullable=False),
        sa.Column("opened_by", sa.String(32), nullable=False),
        sa.Column("client_id", sa.String(255), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("words", sa.LargeBinary()),
        sa.Column("opened_at", _MOMENT, nullable=False),
        sa.Column("acknowledge_by", _MOMENT, nullable=False),
        sa.Column("answer_by", _MOMENT, nullable=False),
        sa.Column("acknowledged_at", _MOMENT),
        sa.Column("through_others", sa.Boolean(), nullable=False),
        sa.Column("extended_at", _MOMENT),
        sa.Column("extension_reason", sa.LargeBinary()),
        sa.Column("answered_at", _MOMENT),
        sa.Column("finding", sa.String(16)),
        sa.Column("answer", sa.LargeBinary()),
        sa.Column("escalated_at", _MOMENT),
        sa.Column("ruled_by", sa.String(32)),
        sa.Column("ruling", sa.LargeBinary()),
        sa.Column("closed_at", _MOMENT),
        sa.ForeignKeyConstraint(
            ["opened_by"], ["subject.id"], name=op.f("fk_data_case_opened_by_subject")
        ),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["subject.id"], name=op.f("fk_data_case_subject_id_subject")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_data_case")),
        sa.UniqueConstraint("reference", name=op.f("uq_data_case_reference")),
    )
    op.create_index("ix_data_case_subject_id_opened_at", "data_case", ["subject_id", "opened_at"])
    op.create_index("ix_data_case_opened_by", "data_case", ["opened_by"])
    op.create_index("ix_data_case_client_id_state", "data_case", ["client_id", "state"])
    op.create_index(
        "uq_data_case_unanswered",
        "data_case",
        ["subject_id", "client_id", "right", "position"],
        unique=True,
        sqlite_where=_UNANSWERED,
        postgresql_where=_UNANSWERED,
    )


def downgrade() -> None:
    op.drop_table("data_case")
