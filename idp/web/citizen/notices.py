"""What the person is told about her account: the list, with what she has not read marked."""

import flask

from accounts.attributes import DICTIONARY
from accounts.notices import Notice, NoticeKind
from idp.services import BRAND
from idp.web import context, journey, person, timeline
from idp.web.language import N_, translate

blueprint = flask.Blueprint("notices", __name__)
_TEXTS = {
    NoticeKind.CONTACT_CHANGED: N_("%(what)s was changed"),
    NoticeKind.CONTACT_CHANGE_ASKED: N_("An office asks to change: %(what)s"),
    NoticeKind.CONTACT_CHANGE_REFUSED: N_("An office did not change: %(what)s"),
    NoticeKind.DATA_COPIED: N_("A copy of your data was downloaded"),
    NoticeKind.SIGN_IN_CHANGED: N_("How you sign in was changed: %(what)s"),
    NoticeKind.QR_APPROVED: N_("Your phone approved a sign-in to %(what)s"),
}
_ADVICE = {
    NoticeKind.CONTACT_CHANGED: N_(
        "If this was not you, end all sign-ins, change your password and turn to your office."
    ),
    NoticeKind.CONTACT_CHANGE_ASKED: N_(
        "A second officer has to confirm it. If you did not ask for this, turn to the office at once."
    ),
    NoticeKind.CONTACT_CHANGE_REFUSED: N_("Your contact data stays as it was."),
    NoticeKind.DATA_COPIED: N_(
        "If this was not you, end all sign-ins, change your password and turn to your office."
    ),
    NoticeKind.SIGN_IN_CHANGED: N_(
        "If this was not you, end all sign-ins, change your password and turn to your office."
    ),
    NoticeKind.QR_APPROVED: N_(
        "If this was not you, end that sign-in at once, or lock your account in the app."
    ),
}
_CHANGES = {
    "passkey-added": N_("a passkey was added"),
    "passkey-removed": N_("a passkey was removed"),
    "password-changed": N_("the password was set"),
    "app-added": N_("an authenticator app was set up"),
    "app-removed": N_("the authenticator app was removed"),
    "card-made": N_("a code card was made"),
    "card-removed": N_("the code card was removed"),
    "phone-added": N_("a phone with the Sen ID app was added"),
    "phone-removed": N_("a phone with the Sen ID app was removed"),
}
_NONE = N_("none")


@blueprint.get("/me/notices")
def notices() -> str:
    """List them, newest first."""
    session = person.required()
    found = context.services().notices.of_subject(session.subject_id)
    return flask.render_template(
        "citizen/notices.html",
        section="notices",
        notices=[_told(one) for one in found],
        unread=sum(one.read_at is None for one in found),
    )


@blueprint.post("/me/notices/read")
def read() -> flask.Response:
    """Mark all as read."""
    context.services().notices.mark_read(person.required().subject_id)
    return journey.see_other("/me/notices")


def _told(one: Notice) -> dict[str, object]:
    facts, claim = one.facts, one.facts.get("claim", "")
    what = DICTIONARY[claim].label[flask.g.language] if claim in DICTIONARY else ""
    if one.kind is NoticeKind.SIGN_IN_CHANGED:
        change = _CHANGES[facts["what"]]
        what = translate(change)
    if one.kind is NoticeKind.QR_APPROVED:
        what = _relying_party(facts["client_id"])
    changes = {}
    if one.kind is NoticeKind.CONTACT_CHANGED:
        changes = {
            "before": facts["before"] or translate(_NONE),
            "after": facts["after"] or translate(_NONE),
        }
    return {
        "title": translate(_TEXTS[one.kind], what=what),
        "advice": translate(_ADVICE[one.kind]),
        "at": one.made_at,
        "is_new": one.read_at is None,
        "browser": facts.get("browser", ""),
        "network": facts.get("network", ""),
        "officer": timeline.officer(facts["officer"]) if facts.get("officer") else "",
        **changes,
    }


def _relying_party(client_id: str) -> str:
    services = context.services()
    found = services.installation.relying_parties.find(client_id, services.db)
    return found.name(flask.g.language) if found else client_id or BRAND
