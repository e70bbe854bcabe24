"""What to do when ways to sign in are lost. It asks for nothing, so it tells nobody who has an account."""

import flask

blueprint = flask.Blueprint("recover", __name__)


@blueprint.get("/recover")
def recover() -> str:
    """Say which ways back there are."""
    return flask.render_template("sign_in/recover.html")
