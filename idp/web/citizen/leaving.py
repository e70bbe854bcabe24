"""Leaving at once: the session here ends, and the browser goes to a page that says nothing of this one."""

import flask

from idp.web import context

blueprint = flask.Blueprint("leaving", __name__)


@blueprint.post("/me/leave")
def leave() -> flask.Response:
    """Sign out of these pages and go."""
    session = context.session()
    if session is not None:
        context.services().sign_in.sign_out(session)
        context.signed_out()
    target = context.installation().settings.leave_to
    # Not a redirect: this page's policy lets forms lead to ourselves only.
    response = flask.Response("<!doctype html><title></title>")
    response.headers["Refresh"] = f"0; url={target}"
    # What the browser kept of the pages is not shown again by going back.
    response.headers["Clear-Site-Data"] = '"cache"'
    return response
