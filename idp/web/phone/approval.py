"""Scanning a code with the phone, looking at who asks, and approving or declining."""

import binascii

import flask

from accounts.attributes import DICTIONARY, IMPLIED
from accounts.authenticators import decoded
from accounts.levels import strengths_wanted
from accounts.notices import NoticeKind
from accounts.sessions import BrowserSession
from consent.purposes import purpose
from idp.login.errors import PasskeyAskedError, QrNumberError
from idp.login.qr import QrSignIn, QrState, is_same_network
from idp.web import context, headers, journey, person

blueprint = flask.Blueprint("approval", __name__)
_SCAN = "/app/scan"


@blueprint.get(_SCAN)
def ask() -> str:
    """Show the camera's picture, and a field for the code's address."""
    session = _fit()
    headers.allow_app(camera=True)
    phones = context.services().phones.of_account(session.account_id)
    return flask.render_template("phone/scan.html", phones=phones)


@blueprint.get("/app/switch/<frame>")
def switch(frame: str) -> str:
    """Open a sign-in that began in a browser on this same phone; a press takes it up."""
    _fit()
    headers.allow_app()
    return flask.render_template("phone/switch.html", frame=frame[:80])


@blueprint.get("/q/<frame>")
def opened(frame: str) -> str:
    """Tell whoever opened a code's address that only the app's own camera takes it.

    Otherwise an address that somebody sends would be as good as a code that she sees.
    """
    del frame
    return flask.render_template("phone/opened.html")


@blueprint.post(_SCAN)
def scan() -> flask.Response:
    """Take the sign-in whose code the phone read."""
    session = _fit()
    found = context.services().qr_sign_ins.claim(
        flask.request.form.get("frame", "")[:200], session, context.visitor()
    )
    return journey.see_other(f"/app/requests/{found.id}")


@blueprint.get("/app/requests/<id_>")
def look(id_: str) -> str:
    """Show who asks for what, in which browser."""
    session = _fit()
    return _page(context.services().qr_sign_ins.of_phone(id_, session), session)


@blueprint.post("/app/requests/<id_>")
def decide(id_: str) -> flask.Response:
    """Approve with the phone's key and the number, or decline."""
    session, form = _fit(), flask.request.form
    known = context.services().qr_sign_ins
    if form.get("decision") == "decline":
        known.decline(id_, session)
    elif form.get("decision") == "approve" and _knows_all(id_, session):
        try:
            approved = known.approve(
                id_,
                session,
                thumbprint=form.get("phone", "")[:64],
                number=form.get("number", "")[:2],
                signature=_bytes(form.get("signature", "")),
            )
        except QrNumberError:
            pass  # The page tells; the sign-in has failed for good.
        else:
            facts = {
                "client_id": approved.wanted.client_id,
                "browser": approved.browser_name,
                "network": context.installation().places.told(approved.address),
            }
            person.tell(session, NoticeKind.QR_APPROVED, facts)
    return journey.see_other(f"/app/requests/{id_}")


def _knows_all(id_: str, session: BrowserSession) -> bool:
    """True unless somebody else scanned as well since the page was shown; then it is shown again."""
    found = context.services().qr_sign_ins.of_phone(id_, session)
    return not found.is_disturbed or flask.request.form.get("disturbed") == "yes"


def _fit() -> BrowserSession:
    """Return the session if it may approve; otherwise the passkey is asked for."""
    session = person.required()
    try:
        context.services().qr_sign_ins.require_fit(session)
    except PasskeyAskedError:
        flask.abort(flask.redirect(f"/sign-in?next={_SCAN}", 303))
    return session


def _bytes(text: str) -> bytes:
    try:
        return decoded(text[:128])
    except (binascii.Error, ValueError):
        return b""


def _page(found: QrSignIn, session: BrowserSession) -> str:
    services, wanted = context.services(), found.wanted
    headers.allow_app()
    party = services.installation.relying_parties.find(wanted.client_id, services.db)
    if party is not None:
        headers.allow_image(party.logo_uri)
    levels = [one.level.value for one in strengths_wanted(tuple(wanted.level.split()))]
    return flask.render_template(
        "phone/request.html",
        sign_in=found,
        state=found.state.value,
        is_open=found.state is QrState.CLAIMED,
        party={"name": party.name(flask.g.language), "logo_uri": party.logo_uri} if party else None,
        purpose=purpose(wanted.purpose).title[flask.g.language] if wanted.purpose else "",
        claims=[
            DICTIONARY[claim].label[flask.g.language]
            for claim in wanted.claims
            if claim in DICTIONARY and claim not in IMPLIED
        ],
        level=min(levels) if levels else 1,
        is_near=is_same_network(found.address, context.visitor().address),
        network=context.installation().places.told(found.address),
        statement=found.statement("").decode(),
        phones=services.phones.of_account(session.account_id),
    )
