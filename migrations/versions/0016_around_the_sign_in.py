"""Messages to relying parties, incidents that people report, recoveries, own pages' last use, and
models of authenticators.
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)
_OPEN = sa.text("closed_at IS NULL")
_RUNNING = sa.text("ended_at IS NULL")
_DUE = sa.text("due_at IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "outbox_message",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("client_id", sa.String(255), nullable=False),
        sa.Column("kind", sa.String(24), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", _MOMENT, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", _MOMENT),
        sa.Column("delivered_at", _MOMENT),
        sa.Column("given_up_at", _MOMENT),
        sa.Column("fault", sa.String(40), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox_message")),
    )
    op.create_index(
        "ix_outbox_message_due_at",
        "outbox_message",
        ["due_at"],
        sqlite_where=_DUE,
        postgresql_where=_DUE,
    )
    op.create_table(
        "incident",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("account_id", sa.String(32), nullable=False),
        sa.Column("notice_id", sa.String(32), nullable=False),
        sa.Column("about", sa.String(32), nullable=False),
        sa.Column("opened_at", _MOMENT, nullable=False),
        sa.Column("closed_at", _MOMENT),
        sa.Column("closed_by", sa.String(16)),
        sa.Column("officer_id", sa.String(32)),
        sa.Column("finding", sa.LargeBinary()),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_incident_account_id_account")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incident")),
        sa.UniqueConstraint("notice_id", name=op.f("uq_incident_notice_id")),
    )
    op.create_index("ix_incident_account_id_opened_at", "incident", ["account_id", "opened_at"])
    op.create_index(
        "ix_incident_open",
        "incident",
        ["opened_at"],
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    )
    op.create_table(
        "recovery",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("account_id", sa.String(32), nullable=False),
        sa.Column("way", sa.String(16), nullable=False),
        sa.Column("session_id", sa.String(32)),
        sa.Column("begun_at", _MOMENT, nullable=False),
        sa.Column("ready_at", _MOMENT, nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=False),
        sa.Column("ended_at", _MOMENT),
        sa.Column("outcome", sa.String(16)),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_recovery_account_id_account")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recovery")),
    )
    op.create_index(op.f("ix_recovery_account_id"), "recovery", ["account_id"])
    op.create_index(
        "uq_recovery_open",
        "recovery",
        ["account_id"],
        unique=True,
        sqlite_where=_RUNNING,
        postgresql_where=_RUNNING,
    )
    with op.batch_alter_table("browser_session") as table:
        table.add_column(sa.Column("own_seen_at", _MOMENT))
    op.execute("UPDATE browser_session SET own_seen_at = last_seen_at")
    with op.batch_alter_table("browser_session") as table:
        table.alter_column("own_seen_at", existing_type=_MOMENT, nullable=False)
    op.create_table(
        "authenticator_model",
        sa.Column("aaguid", sa.String(36), nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("is_hardware", sa.Boolean(), nullable=False),
        sa.Column("is_revoked", sa.Boolean(), nullable=False),
        sa.Column("roots", sa.JSON(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("aaguid", name=op.f("pk_authenticator_model")),
    )
    with op.batch_alter_table("passkey") as table:
        table.add_column(
            sa.Column("attested", sa.Boolean(), nullable=False, server_default=sa.false())
        )
    with op.batch_alter_table("passkey") as table:
        table.alter_column("attested", existing_type=sa.Boolean(), server_default=None)
    with op.batch_alter_table("chip_request") as table:
        table.alter_column("application_id", existing_type=sa.String(32), nullable=True)
        table.add_column(sa.Column("account_id", sa.String(32)))
        table.add_column(sa.Column("session_id", sa.String(32)))
        table.create_foreign_key(
            op.f("fk_chip_request_account_id_account"), "account", ["account_id"], ["id"]
        )
        table.create_index(op.f("ix_chip_request_account_id"), ["account_id"])


def downgrade() -> None:
    op.execute("DELETE FROM chip_request WHERE application_id IS NULL")
    with op.batch_alter_table("chip_request") as table:
        table.drop_index(op.f("ix_chip_request_account_id"))
        table.drop_constraint(op.f("fk_chip_request_account_id_account"), type_="foreignkey")
        table.drop_column("session_id")
        table.drop_column("account_id")
        table.alter_column("application_id", existing_type=sa.String(32), nullable=False)
    with op.batch_alter_table("passkey") as table:
        table.drop_column("attested")
    op.drop_table("authenticator_model")
    with op.batch_alter_table("browser_session") as table:
        table.drop_column("own_seen_at")
    op.drop_table("recovery")
    op.drop_table("incident")
    op.drop_table("outbox_message")
