"""Leaving at once: the session here ends, and the browser goes to a page that says nothing of this one."""

import flask

from idp.web import context, headers

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
    # Without an icon, a browser that waits for the other page asks for ours meanwhile, in vain.
    headers.allow_blank_icon()
    response = flask.Response('<!doctype html><title></title><link rel="icon" href="data:,">')
    response.headers["Refresh"] = f"0; url={target}"
    # What the browser kept of the pages is not shown again by going back.
    response.headers["Clear-Site-Data"] = '"cache"'
    return response
