"""The app's first page, what makes it installable, and locking the account at once."""

import flask

from idp.login.qr import QrSignIn, QrState
from idp.services import BRAND
from idp.web import context, headers, person
from idp.web.language import N_, translate

blueprint = flask.Blueprint("phone_home", __name__)
_OUTCOMES = {
    QrState.CLAIMED: N_("not decided yet"),
    QrState.APPROVED: N_("approved"),
    QrState.REDEEMED: N_("approved"),
    QrState.DECLINED: N_("declined"),
    QrState.FAILED: N_("ended: another number, or another code was scanned"),
    QrState.EXPIRED: N_("ran out of time"),
}
_LEAST_LIST = 5
_DESCRIPTION = N_("Approve sign-ins, see who used your data, lock your account.")
# What the app's frame is made of; nothing of a person is ever kept by the service worker.
SHELL = (
    "vendor/be-vietnam-pro-5.3.0/be-vietnam-pro.css",
    "vendor/govuk-frontend-6.6.0/govuk-frontend.min.css",
    "css/sen.css",
    "js/sen.js",
    "js/app.js",
    "images/lotus.svg",
    "images/favicon.svg",
    "images/rings.svg",
)


@blueprint.get("/app/")
def home() -> str:
    """Show what the app can do, and what this person's phones approved."""
    session = person.required()
    headers.allow_app()
    services = context.services()
    taken = services.qr_sign_ins.of_account(session.account_id)
    return flask.render_template(
        "phone/home.html",
        phones=services.phones.of_account(session.account_id),
        taken=[_told(one) for one in taken[:_LEAST_LIST]],
    )


@blueprint.get("/app/manifest.webmanifest")
def manifest() -> flask.Response:
    """Return the web app's manifest (W3C Web Application Manifest)."""
    images = "/static/images/"
    body = flask.json.dumps(
        {
            "id": "/app/",
            "name": BRAND,
            "short_name": BRAND,
            "description": translate(_DESCRIPTION),
            "lang": flask.g.language,
            # What the app is mostly opened for; its first page is one press away.
            "start_url": "/app/scan",
            "scope": "/app/",
            "display": "standalone",
            "background_color": "#faf8f4",
            "theme_color": "#0b4b46",
            "icons": [
                {"src": f"{images}favicon.svg", "sizes": "any", "type": "image/svg+xml"},
                *(
                    {
                        "src": f"{images}app-{side}.png",
                        "sizes": f"{side}x{side}",
                        "purpose": purpose,
                    }
                    for side in (192, 512)
                    for purpose in ("any", "maskable")
                ),
            ],
        }
    )
    return flask.Response(body, content_type="application/manifest+json")


@blueprint.get("/app/worker.js")
def worker() -> flask.Response:
    """Return the service worker with the addresses of the shell it keeps."""
    body = flask.render_template("phone/worker.js", shell=SHELL)
    response = flask.Response(body, content_type="text/javascript; charset=utf-8")
    response.headers["Cache-Control"] = "no-cache"
    return response


@blueprint.get("/app/offline")
def offline() -> str:
    """Say that there is no connection; of this page alone the worker keeps a copy."""
    # Kept on the phone, so it is rendered as for nobody.
    flask.g.session = flask.g.person = None
    headers.allow_app()
    return flask.render_template("phone/offline.html")


@blueprint.get("/app/lock")
def ask_lock() -> str:
    """Say what locking does."""
    person.required()
    headers.allow_app()
    return flask.render_template("phone/lock.html", is_locked=False)


@blueprint.post("/app/lock")
def lock() -> str:
    """Lock the holder's own account (Decree 69/2024 Art. 15): every session and token ends."""
    session = person.required()
    person.lock_own_account(session)
    headers.allow_app()
    return flask.render_template("phone/lock.html", is_locked=True)


def _told(one: QrSignIn) -> dict[str, object]:
    services = context.services()
    found = services.installation.relying_parties.find(one.wanted.client_id, services.db)
    return {
        "party": found.name(flask.g.language) if found else one.wanted.client_id or BRAND,
        "at": one.decided_at or one.begun_at,
        "browser": one.browser_name,
        "outcome": translate(_OUTCOMES[one.state]),
    }
