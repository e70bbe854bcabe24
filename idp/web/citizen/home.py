"""The first of the person's own pages: one sentence about who used her data."""

from datetime import timedelta

import flask

from consent.decisions import ConsentState
from idp.web import confirmation, context, person, timeline
from idp.web.language import N_, translate

blueprint = flask.Blueprint("citizen", __name__)
_WINDOW_DAYS = 30
_NEWEST = 5
_ACCOUNT_LEVELS = {
    "01": N_("Level 01: your details were checked against the register from a distance"),
    "02": N_("Level 02: your identity was proved in person or by the chip of your card"),
    "none": N_("An organisation's account has no level"),
}
_AUTHENTICATION_LEVELS = {
    1: N_("Level 1: signed in with one factor"),
    2: N_("Level 2: signed in with two factors"),
}
_PHISHING_RESISTANT = N_("Level 2: signed in with a passkey, which cannot be phished")


@blueprint.get("/me")
def home() -> str:
    """Show the overview."""
    session = person.required()
    services = context.services()
    account = services.accounts.account(session.account_id)
    now = services.installation.clock()
    summary = services.use_log.summary(session.subject_id, timedelta(days=_WINDOW_DAYS))
    consents = services.consents.of_subject(session.subject_id)
    return flask.render_template(
        "citizen/home.html",
        section="home",
        mark=confirmation.mark(),
        summary={"agencies": summary.agencies, "uses": summary.uses, "days": _WINDOW_DAYS},
        days=timeline.by_day(services.use_log.of_subject(session.subject_id, limit=_NEWEST)),
        consents_active=sum(given.is_in_force(now) for given in consents),
        to_confirm=sum(
            given.state is ConsentState.RECONFIRM
            and now < given.valid_until
            and (given.acting_for or given.subject_id) == session.subject_id
            for given in consents
        ),
        passkeys=services.passkeys.count(session.account_id),
        levels={
            "account": translate(_ACCOUNT_LEVELS[account.level.value]),
            "authentication": translate(
                _PHISHING_RESISTANT
                if session.strength.phishing_resistant
                else _AUTHENTICATION_LEVELS[int(session.level)]
            ),
        },
    )
