"""The person's ways to sign in: her passkeys and her password."""

import flask

from accounts.authenticators import credential_name
from accounts.errors import LastAuthenticatorError, PasskeyRefusedError, PasswordUnsuitableError
from accounts.sessions import BrowserSession
from idp import audit
from idp.login import passwords
from idp.web import context, errors, forms, person, transaction
from idp.web.language import N_, translate

blueprint = flask.Blueprint("passkeys", __name__)
_REMOVED = N_("The passkey is removed. It no longer opens your account.")
_UNNAMED = N_("Passkey")
_PASSWORD_SET = N_("Your password is set.")


@blueprint.get("/me/passkeys")
def passkeys() -> flask.Response:
    """List them."""
    return _page(person.required())


@blueprint.post("/me/passkeys/options")
def options() -> flask.Response:
    """Begin making another passkey."""
    session = context.session()
    if session is None or not person.may_change_sign_in(session):
        return errors.problem("reauthentication-required")
    account = context.services().accounts.account(session.account_id)
    return flask.jsonify(publicKey=person.creation_options(account))


@blueprint.post("/me/passkeys")
def create() -> flask.Response:
    """Keep another passkey."""
    session = context.session()
    if session is None or not person.may_change_sign_in(session):
        return errors.problem("reauthentication-required")
    document = forms.json_document()
    if document is None:
        return errors.problem("invalid_request")
    account = context.services().accounts.account(session.account_id)
    try:
        person.create_passkey(account, document)
    except PasskeyRefusedError as error:
        audit.security_event("passkey.refused", account=account.id, reason=error.detail)
        return errors.problem(error.code)
    audit.security_event("passkey.added", account=account.id)
    person.tell_of_sign_in(session, "passkey-added")
    return flask.jsonify(location="/me/passkeys")


@blueprint.post("/me/passkeys/<passkey_id>/remove")
def remove(passkey_id: str) -> flask.Response:
    """Remove one, but never the last way to sign in."""
    session = person.required()
    if not person.may_change_sign_in(session):
        return _sign_in_again()
    services = context.services()
    has_password = services.passwords.find(session.account_id) is not None
    try:
        removed = services.passkeys.remove(
            session.account_id, person.row_id(passkey_id), has_password=has_password
        )
    except LastAuthenticatorError as error:
        return _page(session, error=error.code)
    if not removed:
        flask.abort(404)
    audit.security_event("passkey.removed", account=session.account_id)
    person.tell_of_sign_in(session, "passkey-removed")
    return _page(session, notice_text=translate(_REMOVED))


@blueprint.post("/me/password")
def set_password() -> flask.Response:
    """Set or change the password."""
    session = person.required()
    if not person.may_change_sign_in(session):
        return _sign_in_again()
    about = person.words_about(session.subject_id)
    transaction.release()
    try:
        hashed = passwords.hash_new(
            context.installation().hashing,
            flask.request.form.get("password", ""),
            about=about,
            breached=context.installation().breached_passwords,
        )
    except PasswordUnsuitableError as error:
        return _page(session, error=error.code, told=errors.password_fault(error))
    context.services().passwords.set(session.account_id, hashed)
    audit.security_event("password.changed", account=session.account_id)
    person.tell_of_sign_in(session, "password-changed")
    return _page(session, notice_text=translate(_PASSWORD_SET))


def _sign_in_again() -> flask.Response:
    return flask.Response(status=303, headers={"Location": "/sign-in?next=/me/passkeys"})


def _page(
    session: BrowserSession,
    *,
    error: str | None = None,
    told: str | None = None,
    notice_text: str | None = None,
) -> flask.Response:
    services = context.services()
    keys = services.passkeys.of_account(session.account_id)
    has_password = services.passwords.find(session.account_id) is not None
    body = flask.render_template(
        "citizen/passkeys.html",
        section="passkeys",
        passkeys=[
            {
                "id": key.id,
                "name": key.name or translate(_UNNAMED),
                "created_at": key.created_at,
                "last_used_at": key.last_used_at,
                "synced": key.backed_up,
                "hardware": services.passkeys.is_hardware(key),
            }
            for key in keys
        ],
        # For the browser, which may tell devices what is still good (WebAuthn Level 3 §5.1.10).
        user_handle=credential_name(services.accounts.account(session.account_id).user_handle),
        credential_names=[credential_name(key.credential_id) for key in keys],
        can_remove=len(keys) > 1 or has_password,
        has_password=has_password,
        second=services.second_factors.held(session.account_id),
        phones=services.phones.of_account(session.account_id),
        login=person.login_of(session.subject_id),
        # The password field is to blame for a password's faults only.
        error_target="new-password" if error == PasswordUnsuitableError.code else "",
        error=told or (errors.message(error) if error else None),
        notice_text=notice_text,
    )
    return flask.Response(body, errors.words(error).status if error else 200)
