"""Alembic's environment: runs the migrations on the connection that ``idp.database`` hands over."""

from alembic import context

# Every module that declares a table, so that the metadata is whole.
import accounts.account
import accounts.applications
import accounts.attributes
import accounts.authenticators
import accounts.chip_requests
import accounts.contact_requests
import accounts.data_keys
import accounts.mandates
import accounts.notice_choices
import accounts.notices
import accounts.officers
import accounts.second_factors
import accounts.secrets
import accounts.sessions
import accounts.subject
import accounts.unlocking  # noqa: F401
import connectors.cursor  # noqa: F401
import consent.archive.store
import consent.data_use
import consent.decisions
import consent.following
import consent.log_state
import consent.seen
import consent.tallies  # noqa: F401
import idp.keys
import idp.limits
import idp.log_keys
import idp.login.interaction
import idp.oidc.client_auth
import idp.oidc.grants
import idp.oidc.relying_parties
import idp.supervision  # noqa: F401
from accounts.schema import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    render_as_batch=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
