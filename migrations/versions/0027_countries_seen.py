"""Countries to which an agency's uses went, so that a new one is told."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("seen_use", sa.Column("countries", sa.Text, nullable=False, server_default="[]"))


def downgrade() -> None:
    op.drop_column("seen_use", "countries")
