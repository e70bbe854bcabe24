"""Enrolling this phone, and removing one."""

import binascii

import flask

from accounts.authenticators import decoded
from accounts.errors import PhoneRefusedError
from accounts.sessions import BrowserSession
from idp import audit
from idp.web import context, errors, headers, journey, person

blueprint = flask.Blueprint("enrolment", __name__)
_ENROL = "/app/enrol"


@blueprint.get(_ENROL)
def ask() -> flask.Response:
    """Offer to make a key on this phone; whoever was invited makes a passkey first."""
    session = person.required()
    invitations = context.services().phone_invitations
    if not _is_strong(session) and invitations.is_open(session.account_id, session.id):
        headers.allow_app()
        return flask.Response(flask.render_template("phone/invited.html"))
    return _page(_strong(_ENROL))


@blueprint.post(_ENROL)
def enrol() -> flask.Response:
    """Keep the public half of the key that the phone made."""
    session, form = _strong(_ENROL), flask.request.form
    name = form.get("phone-name", "").strip()[:80]
    try:
        if not name.isprintable():
            raise PhoneRefusedError("name")
        context.services().phones.enrol(
            session.account_id,
            public_key=_bytes(form.get("public_key", "")),
            statement=_statement(session).encode(),
            signature=_bytes(form.get("signature", "")),
            name=name or context.visitor().browser,
        )
    except PhoneRefusedError as error:
        audit.security_event("phone.refused", account=session.account_id, reason=error.detail)
        return _page(session, error=error.code)
    audit.security_event("phone.added", account=session.account_id)
    person.tell_of_sign_in(session, "phone-added")
    return journey.see_other("/app/")


@blueprint.post("/me/passkeys/phones/<phone_id>/remove")
def remove(phone_id: str) -> flask.Response:
    """Take a phone out of use."""
    session = _strong("/me/passkeys")
    if not context.services().phones.remove(session.account_id, person.row_id(phone_id)):
        flask.abort(404)
    audit.security_event("phone.removed", account=session.account_id)
    person.tell_of_sign_in(session, "phone-removed")
    return journey.see_other("/me/passkeys")


def _strong(page: str) -> BrowserSession:
    """Return the session if it may change how she signs in; a phone also needs a passkey just now,
    because later the passkey stands behind what the phone approves.
    """
    session = person.required()
    fits = _is_strong(session) if page == _ENROL else person.may_change_sign_in(session)
    if not fits:
        flask.abort(flask.redirect(f"/sign-in?next={page}", 303))
    return session


def _is_strong(session: BrowserSession) -> bool:
    return person.may_change_sign_in(session) and session.strength.phishing_resistant


def _statement(session: BrowserSession) -> str:
    """Return what the new key signs: good in this session only."""
    proof = context.installation().vault.passing_mac("phone-enrolment", session.id)
    return f"Sen ID phone enrolment 1\n{proof.hex()}"


def _bytes(text: str) -> bytes:
    """Decode base64url.

    Raises:
        PhoneRefusedError: it is none.
    """
    try:
        return decoded(text[:256])
    except (binascii.Error, ValueError) as error:
        raise PhoneRefusedError("spelling") from error


def _page(session: BrowserSession, *, error: str | None = None) -> flask.Response:
    headers.allow_app()
    body = flask.render_template(
        "phone/enrol.html",
        statement=_statement(session),
        error=errors.message(error) if error else None,
    )
    return flask.Response(body, errors.words(error).status if error else 200)
