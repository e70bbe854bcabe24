"""Every URL, and the only importer of Flask besides ``idp.app``. The site map is below."""

import flask

from idp.web import operations
from idp.web.citizen import consents, details, passkeys, sessions, uses
from idp.web.citizen import home as citizen_home
from idp.web.protocol import authorize, discovery, logout, tokens
from idp.web.sign_in import acting_for, activation, consent, front, passkey, password


def register(app: flask.Flask) -> None:
    """Register every blueprint."""
    for blueprint in (
        # For relying parties, and the browsers they send.
        authorize.blueprint,
        tokens.blueprint,
        discovery.blueprint,
        logout.blueprint,
        # For a person who signs in.
        front.blueprint,
        password.blueprint,
        passkey.blueprint,
        activation.blueprint,
        acting_for.blueprint,
        consent.blueprint,
        # A person's own pages.
        citizen_home.blueprint,
        uses.blueprint,
        consents.blueprint,
        passkeys.blueprint,
        sessions.blueprint,
        details.blueprint,
        # For operators.
        operations.blueprint,
    ):
        app.register_blueprint(blueprint)
