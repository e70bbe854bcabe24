"""Terms that agencies bind themselves to, in a consent and in the grants upon it; events to fetch."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

_UNDELIVERED = sa.text("delivered_at IS NULL")


def upgrade() -> None:
    op.add_column("consent", sa.Column("terms", sa.JSON))
    op.add_column("oauth_grant", sa.Column("details", sa.Text))
    op.create_index(
        "ix_outbox_message_undelivered",
        "outbox_message",
        ["client_id", "made_at"],
        sqlite_where=_UNDELIVERED,
        postgresql_where=_UNDELIVERED,
    )


def downgrade() -> None:
    op.drop_index("ix_outbox_message_undelivered", "outbox_message")
    op.drop_column("oauth_grant", "details")
    op.drop_column("consent", "terms")
