"""The page behind the link "this was not me" of a notice. It asks for no sign-in, because whoever
needs it may not be able to; looking at it changes nothing, pressing its button does.
"""

import flask

from accounts.notices import Notice
from idp.web import context, notice_words

blueprint = flask.Blueprint("not_me", __name__)


@blueprint.get("/not-me/<token>")
def ask(token: str) -> str:
    """Show what the notice told, and ask."""
    found = context.services().alarm.find(token)
    return _page("sign_in/not_me.html", found, token=token)


@blueprint.post("/not-me/<token>")
def confirm(token: str) -> str:
    """End everything at once, and say how it goes on."""
    alarm = context.services().alarm
    found = alarm.find(token)
    opened = alarm.raise_for(found)
    session = context.session()
    if session is not None and session.account_id == opened.account_id:
        context.signed_out()
    return _page("sign_in/not_me_done.html", found, number=opened.number)


def _page(template: str, found: Notice, **more: str) -> str:
    return flask.render_template(template, told=notice_words.title(found), notice=found, **more)
