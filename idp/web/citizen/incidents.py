"""What the person reported as not her own doing: how it stands, what to check, and settling it."""

import flask

from idp.web import context, errors, notice_words, person, timeline
from idp.web.language import N_, translate

blueprint = flask.Blueprint("incidents", __name__)
_SETTLED = N_("Settled. Your consents count again.")


@blueprint.get("/me/incidents")
def incidents() -> str:
    """List them, newest first."""
    return _page(person.required().account_id, None)


@blueprint.post("/me/incidents/<incident_id>/settle")
def settle(incident_id: str) -> flask.Response | str:
    """Close one, after a fresh sign-in by the strongest way: whoever got in must not say "all is well"."""
    session = person.required()
    if not person.may_change_sign_in(session):
        return flask.Response(status=303, headers={"Location": "/sign-in?next=/me/incidents"})
    settled = context.services().alarm.settle(person.row_id(incident_id), session.account_id)
    if not settled:
        return errors.page("application-not-ready")
    return _page(session.account_id, translate(_SETTLED))


def _page(account_id: str, notice_text: str | None) -> str:
    return flask.render_template(
        "citizen/incidents.html",
        section="notices",
        incidents=[
            {
                "id": one.id,
                "number": one.number,
                "about": notice_words.kind(one.about),
                "opened_at": one.opened_at,
                "closed_at": one.closed_at,
                "officer": timeline.officer(one.officer_id) if one.officer_id else "",
                "finding": one.finding,
            }
            for one in context.services().incidents.of_account(account_id)
        ],
        notice_text=notice_text,
    )
