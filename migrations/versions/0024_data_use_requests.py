"""Terms that agencies bind themselves to, in a consent and in the grants upon it."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("consent", sa.Column("terms", sa.JSON))
    op.add_column("oauth_grant", sa.Column("details", sa.Text))


def downgrade() -> None:
    op.drop_column("oauth_grant", "details")
    op.drop_column("consent", "terms")
