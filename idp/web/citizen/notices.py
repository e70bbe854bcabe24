"""What the person is told about her account: the list, with what she has not read marked."""

import flask

from accounts.notices import Notice, NoticeKind
from idp.alarm import DISAVOWABLE, link_token
from idp.web import context, journey, notice_words, person, timeline
from idp.web.language import N_, translate

blueprint = flask.Blueprint("notices", __name__)
ADVICE = {
    NoticeKind.CONTACT_CHANGE_ASKED: N_(
        "A second officer has to confirm it. If you did not ask for this, turn to the office at once."
    ),
    NoticeKind.CONTACT_CHANGE_REFUSED: N_("Your contact data stays as it was."),
    NoticeKind.CASE_MOVED: N_("Read it under Requests."),
    NoticeKind.UNSEALED: N_(
        "Read it under Uses: who read what, when, and since when it was recorded."
    ),
    NoticeKind.FIRST_USE: N_("It stands in your record of uses."),
    NoticeKind.NEW_DATA: N_("If you do not know why, ask the agency on the page of the use."),
    NoticeKind.UNUSUAL_USE: N_("If you do not know why, ask the agency on the page of the use."),
    NoticeKind.WITHDRAWAL_MOVED: N_("Every step stands beside the consent."),
    NoticeKind.CONSENT_ENDS: N_("You can renew it, or let it end."),
    NoticeKind.RECONFIRM: N_("Until you confirm it, nothing is given on it."),
    NoticeKind.DIGEST: N_("Every use stands in your record."),
    NoticeKind.LOCKED: N_("Every sign-in ended then, and no service could read your data."),
    NoticeKind.RECOVERY_CANCELLED: N_("Your ways to sign in stay as they were."),
}
_PLACES = {
    NoticeKind.WITHDRAWAL_MOVED: "/me/consents",
    NoticeKind.CONSENT_ENDS: "/me/consents",
    NoticeKind.RECONFIRM: "/me/consents",
    NoticeKind.DIGEST: "/me/months",
}
_NOT_YOU = N_("If this was not you, say so: every sign-in ends at once and an officer sees it.")
_NONE = N_("none")


@blueprint.get("/me/notices")
def notices() -> str:
    """List them, newest first."""
    session = person.required()
    services = context.services()
    found = services.notices.of_subject(session.subject_id)
    return flask.render_template(
        "citizen/notices.html",
        section="notices",
        notices=[_told(one) for one in found],
        unread=sum(one.read_at is None for one in found),
        has_incident=services.incidents.has_open(session.account_id),
    )


@blueprint.post("/me/notices/read")
def read() -> flask.Response:
    """Mark all as read."""
    context.services().notices.mark_read(person.required().subject_id)
    return journey.see_other("/me/notices")


def _told(one: Notice) -> dict[str, object]:
    facts = one.facts
    changes = {}
    if one.kind is NoticeKind.CONTACT_CHANGED:
        changes = {
            "before": facts["before"] or translate(_NONE),
            "after": facts["after"] or translate(_NONE),
        }
    is_disavowable = one.kind in DISAVOWABLE
    vault = context.installation().vault
    return {
        "id": one.id,
        "title": notice_words.title(one),
        "advice": translate(_NOT_YOU if is_disavowable else ADVICE[one.kind]),
        "not_me": f"/not-me/{link_token(vault, one.id)}" if is_disavowable else "",
        "at": one.made_at,
        "is_new": one.read_at is None,
        "officer": timeline.officer(facts["officer"]) if facts.get("officer") else "",
        "browser": facts.get("browser", ""),
        "network": facts.get("network", ""),
        "of": person.name_of(facts["of"]) if facts.get("of") else "",
        "href": "" if facts.get("of") else _href(one),
        **changes,
    }


def _href(one: Notice) -> str:
    if "use" in one.facts:
        return f"/me/uses/{one.facts['use']}"
    return _PLACES.get(one.kind, "")
