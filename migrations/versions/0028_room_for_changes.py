"""PostgreSQL leaves room beside rows that change often, so that a change needs no new index entries."""

from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

_SHARES = {"oauth_grant": 70, "subject_chain": 80, "browser_session": 80}


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table, share in _SHARES.items():
            op.execute(f"ALTER TABLE {table} SET (fillfactor = {share})")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table in _SHARES:
            op.execute(f"ALTER TABLE {table} RESET (fillfactor)")
