"""Locking one's account with a card code and no sign-in, and unlocking it with a passkey."""

import re

import flask

from accounts.account import HOLDER, LockReason
from accounts.errors import PasskeyRefusedError
from accounts.notices import NoticeKind
from idp.login.errors import CodeRefusedError, TooManyFailuresError
from idp.web import context, errors, forms, transaction

blueprint = flask.Blueprint("lock", __name__)


@blueprint.get("/lock")
def ask() -> str:
    """Ask for login name and a code of the card."""
    return _page("", None)


@blueprint.post("/lock")
def lock() -> flask.Response | str:
    """Compare the code and lock the account."""
    form, visitor = flask.request.form, context.visitor()
    login = form.get("login", "")[:256]
    try:
        found = context.services().card_lock.look_up(login, form.get("position", "")[:4], visitor)
        # The comparison is slow on purpose, and as slow for nobody's name.
        transaction.release()
        code = re.sub(r"[\s-]", "", form.get("code", "")[:64])
        fits = context.installation().hashing.verify(found.hash, code)
        account = context.services().card_lock.judge(found, fits=fits, visitor=visitor)
    except (CodeRefusedError, TooManyFailuresError) as error:
        return flask.Response(_page(login, error.code), errors.words(error.code).status)
    services = context.services()
    services.standing.lock(account.id, LockReason.HOLDER_REQUEST, HOLDER)
    services.contact_book.tell(account.subject_id, NoticeKind.LOCKED, {})
    session = context.session()
    if session is not None and session.account_id == account.id:
        context.signed_out()
    return flask.render_template("sign_in/locked.html")


@blueprint.get("/locked")
def locked() -> str:
    """Say that the account is locked, and how it is opened again."""
    return flask.render_template("sign_in/locked.html")


@blueprint.get("/unlock")
def ask_unlock() -> str:
    """Offer to unlock with a passkey."""
    return flask.render_template("sign_in/unlock.html")


@blueprint.post("/unlock/passkey")
def unlock() -> flask.Response:
    """Judge the passkey, take the holder's own lock away and sign her in."""
    document = forms.json_document()
    if document is None:
        return errors.problem("invalid_request")
    services, visitor = context.services(), context.visitor()
    try:
        account, methods = services.sign_in.holder_of(document.get("credential"), visitor)
        if not services.standing.unlock_own(account.id):
            raise PasskeyRefusedError("no-own-lock")
    except PasskeyRefusedError as error:
        return errors.problem(error.code)
    services.contact_book.tell(account.subject_id, NoticeKind.UNLOCKED, {})
    opened = services.accounts.account(account.id)
    context.signed_in(services.sign_in.after_passkey(opened, methods, visitor, context.session()))
    return flask.jsonify(location="/me")


def _page(login: str, error: str | None) -> str:
    return flask.render_template(
        "sign_in/lock.html", login=login, error=errors.message(error) if error else None
    )
