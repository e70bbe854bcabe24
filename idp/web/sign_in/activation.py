"""Activating an issued account: the code, then a first way to sign in."""

import flask

from accounts.account import Account
from accounts.errors import PasskeyRefusedError, PasswordUnsuitableError
from accounts.levels import AuthenticationMethod
from accounts.recoveries import Way
from accounts.sessions import BrowserSession
from idp.login import passwords
from idp.login.errors import LoginError, SignInRefusedError, TooManyFailuresError
from idp.web import context, errors, forms, journey, person, transaction

blueprint = flask.Blueprint("activation", __name__)


@blueprint.get("/activate")
def ask() -> str:
    """Ask for identifier and code."""
    under_way = journey.find(flask.request.args.get("interaction", ""))
    return _code_page(under_way, "", None)


@blueprint.post("/activate")
def activate() -> flask.Response:
    """Judge the code and begin a session in which authenticators can be made."""
    form = flask.request.form
    under_way = journey.find(form.get("interaction", ""))
    login = form.get("login", "")[:256]
    try:
        started = context.services().sign_in.by_activation_code(
            login, form.get("code", "")[:64], context.visitor(), context.session()
        )
    except (SignInRefusedError, TooManyFailuresError) as error:
        body = _code_page(under_way, login, errors.message(error.code))
        return flask.Response(body, errors.words(error.code).status)
    context.signed_in(started)
    return journey.see_other(
        journey.step_href("/activate/authenticators", form.get("interaction", ""))
    )


@blueprint.get("/activate/authenticators")
def authenticators() -> flask.Response | str:
    """Offer to make a passkey, and a password as well."""
    _session, account = _activating()
    return _authenticators_page(account, flask.request.args.get("interaction", ""), None)


@blueprint.post("/activate/passkey/options")
def passkey_options() -> flask.Response:
    """Return ``PublicKeyCredentialCreationOptions`` for the new account."""
    _session, account = _activating()
    found = context.services().recoveries.open_of(account.id)
    replaces_all = found is not None and found.way is Way.OFFICE
    return flask.jsonify(publicKey=person.creation_options(account, is_first=replaces_all))


@blueprint.post("/activate/passkey")
def passkey_create() -> flask.Response:
    """Keep the first passkey; making it is itself an authentication of level 2."""
    session, account = _activating()
    document = forms.json_document()
    if document is None:
        return errors.problem("invalid_request")
    try:
        _spend_code(session, account)
        person.create_passkey(account, document)
    except PasskeyRefusedError as error:
        transaction.undo()
        return errors.problem(error.code)
    started = context.services().sign_in.complete(
        account, (AuthenticationMethod.PASSKEY,), context.visitor(), session
    )
    context.signed_in(started)
    interaction_id = str(document.get("interaction") or "")
    return flask.jsonify(location=journey.step_href("/activate/authenticators", interaction_id))


@blueprint.post("/activate/password")
def set_password() -> flask.Response:
    """Keep a password."""
    session, account = _activating()
    interaction_id = flask.request.form.get("interaction", "")
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
        told = errors.password_fault(error)
        return flask.Response(_authenticators_page(account, interaction_id, told), 422)
    _spend_code(session, account)
    context.services().passwords.set(account.id, hashed)
    return journey.see_other(journey.step_href("/activate/authenticators", interaction_id))


@blueprint.post("/activate/finish")
def finish() -> flask.Response:
    """Go on with what the person came for."""
    _session, account = _activating()
    interaction_id = flask.request.form.get("interaction", "")
    if not _has_authenticator(account):
        return journey.see_other(journey.step_href("/activate/authenticators", interaction_id))
    return journey.see_other(journey.go_on(interaction_id))


def _activating() -> tuple[BrowserSession, Account]:
    """Return the session that the activation code began.

    Raises:
        LoginError: nobody is activating an account in this browser.
    """
    session = context.session()
    if session is None or AuthenticationMethod.ACTIVATION_CODE not in session.methods:
        raise LoginError
    return session, context.services().accounts.account(session.account_id)


def _has_authenticator(account: Account) -> bool:
    services = context.services()
    return services.passkeys.count(account.id) > 0 or bool(services.passwords.find(account.id))


def _spend_code(session: BrowserSession, account: Account) -> None:
    """Spend the code with the first authenticator; whoever else had begun with it is signed out.

    A code that an office gave for recovery voids everything there was before.

    Raises:
        PasskeyRefusedError: somebody else used the code meanwhile.
    """
    services = context.services()
    if services.recovering.finish(account.id, Way.OFFICE, but=session.id):
        return
    if _has_authenticator(account):
        return
    if not services.accounts.spend_activation_code(account.id):
        raise PasskeyRefusedError("activation-code-spent")
    services.sessions.end_all(account.id, but=session.id)


def _code_page(under_way: journey.Journey | None, login: str, error: str | None) -> str:
    return flask.render_template(
        "sign_in/activate.html",
        interaction=under_way.interaction.id if under_way else "",
        relying_party=under_way.shown() if under_way else None,
        login=login,
        error=error,
    )


def _authenticators_page(account: Account, interaction_id: str, error: str | None) -> str:
    services = context.services()
    return flask.render_template(
        "sign_in/enrol.html",
        interaction=interaction_id,
        name=person.name_of(account.subject_id),
        login=person.login_of(account.subject_id),
        has_passkey=services.passkeys.count(account.id) > 0,
        has_password=services.passwords.find(account.id) is not None,
        error=error,
    )
