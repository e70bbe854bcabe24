"""What the person wants to be told about uses, and where; and being discreet about it."""

from typing import Any

import flask

from accounts.notice_choices import Choices, Topic, Where
from idp.contact import CONTACTS
from idp.web import context, person
from idp.web.language import N_, translate

blueprint = flask.Blueprint("notice_choices", __name__)
_SAVED = N_("Saved.")
_TOPICS = {
    Topic.FIRST_USE: (N_("An agency uses your data for the first time"), ""),
    Topic.NEW_DATA: (
        N_("An agency reads data of yours that it had not read before, or sensitive data"),
        "",
    ),
    Topic.UNUSUAL: (
        N_("Something unusual"),
        N_(
            "Many uses within an hour, a use at night while you were not signed in there, "
            "without the number of a case where there should be one, or by somebody abroad."
        ),
    ),
    Topic.WITHDRAWAL: (
        N_("What becomes of a withdrawal"),
        N_("When the agency says that it has stopped, and when it is late."),
    ),
    Topic.CONSENT: (
        N_("A consent ends soon, or has to be confirmed"),
        "",
    ),
    Topic.DIGEST: (N_("Once a month: who used your data how often"), ""),
}
_WHERE = {
    Where.NOWHERE: N_("Not at all"),
    Where.PAGES: N_("On these pages"),
    Where.EMAIL: N_("By e-mail, and on these pages"),
    Where.TEXT_MESSAGE: N_("By text message, and on these pages"),
}
_CLAIMS = {Where.EMAIL: "email", Where.TEXT_MESSAGE: "phone_number"}


@blueprint.get("/me/notices/choices")
def choices() -> str:
    """Show them."""
    return _page(None)


@blueprint.post("/me/notices/choices")
def choose() -> str:
    """Keep them."""
    session, form = person.required(), flask.request.form
    try:
        topics = {topic: Where(form[topic.value]) for topic in Topic if topic.value in form}
    except ValueError:
        flask.abort(400)
    services = context.services()
    before = services.notice_choices.of(session.subject_id)
    services.notice_choices.choose(
        session.subject_id, Choices({**before.topics, **topics}, "discreet" in form)
    )
    flask.g.pop("person", None)
    return _page(translate(_SAVED))


def _page(notice_text: str | None) -> str:
    session, services = person.required(), context.services()
    chosen = services.notice_choices.of(session.subject_id)
    reached = services.contact_book.of_subject(session.subject_id)
    return flask.render_template(
        "citizen/notice_choices.html",
        section="notices",
        topics=[_shown(topic, chosen.topics[topic]) for topic in Topic],
        options={where.value: translate(text) for where, text in _WHERE.items()},
        is_discreet=chosen.is_discreet,
        missing=[
            claim
            for where, claim in _CLAIMS.items()
            if where in chosen.topics.values() and claim in CONTACTS and claim not in reached
        ],
        notice_text=notice_text,
    )


def _shown(topic: Topic, where: Where) -> dict[str, Any]:
    label, hint = _TOPICS[topic]
    return {
        "name": topic.value,
        "label": translate(label),
        "hint": translate(hint) if hint else "",
        "chosen": where.value,
    }
