"""The simulated registers left the provider's database."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_table("simulated_record")


def downgrade() -> None:
    op.create_table(
        "simulated_record",
        sa.Column("register", sa.String(length=24), nullable=False),
        sa.Column("blind_index", sa.LargeBinary(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("register", "blind_index", name=op.f("pk_simulated_record")),
    )
