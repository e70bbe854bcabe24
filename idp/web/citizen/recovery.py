"""Recovery by two ways that are left: beginning it, waiting, stopping it, and the new passkey."""

import flask

from accounts.errors import PasskeyRefusedError
from accounts.levels import AuthenticationMethod
from accounts.recoveries import Way
from accounts.sessions import BrowserSession
from idp.recovering import has_two_ways
from idp.web import context, errors, forms, journey, person, transaction

blueprint = flask.Blueprint("recovery", __name__)
_PAGE = "/me/recovery"


@blueprint.get("/me/recovery")
def show() -> str:
    """Show how it stands, and what can be done now."""
    session = person.required()
    services = context.services()
    found = services.recoveries.open_of(session.account_id)
    is_ready = found is not None and found.ready_at <= context.installation().clock()
    return flask.render_template(
        "citizen/recovery.html",
        section="passkeys",
        recovery=found,
        is_ready=is_ready,
        may_begin=has_two_ways(session) and person.is_fresh(session),
        has_two_ways=has_two_ways(session),
        by_passkey=session.strength.phishing_resistant,
    )


@blueprint.post("/me/recovery/begin")
def begin() -> flask.Response:
    """Let the waiting time begin, after a fresh sign-in."""
    session = person.required()
    if not person.is_fresh(session):
        return journey.see_other(f"/sign-in?next={_PAGE}")
    context.services().recovering.begin_by_two_ways(session)
    return journey.see_other(_PAGE)


@blueprint.post("/me/recovery/cancel")
def cancel() -> flask.Response:
    """Stop it: any sign-in may."""
    context.services().recovering.cancel(person.required().account_id)
    return journey.see_other("/me")


@blueprint.post("/me/recovery/options")
def options() -> flask.Response:
    """Begin making the new passkey once the wait is over."""
    session = _ready()
    if session is None:
        return errors.problem("recovery-refused")
    account = context.services().accounts.account(session.account_id)
    return flask.jsonify(publicKey=person.creation_options(account, is_first=True))


@blueprint.post("/me/recovery/passkey")
def create() -> flask.Response:
    """Void everything old and keep the new passkey, in one transaction."""
    session, document = _ready(), forms.json_document()
    if session is None or document is None:
        return errors.problem("recovery-refused")
    services = context.services()
    account = services.accounts.account(session.account_id)
    try:
        if not services.recovering.finish(account.id, Way.TWO_WAYS):
            return errors.problem("recovery-refused")
        person.create_passkey(account, document)
    except PasskeyRefusedError as error:
        transaction.undo()
        return errors.problem(error.code)
    methods = (AuthenticationMethod.PASSKEY,)
    context.signed_in(services.sign_in.complete(account, methods, context.visitor(), None))
    return flask.jsonify(location="/me/passkeys")


def _ready() -> BrowserSession | None:
    """Return the session if its holder may make the new passkey now."""
    session = context.session()
    if session is None or not has_two_ways(session) or not person.is_fresh(session):
        return None
    found = context.services().recoveries.open_of(session.account_id)
    if found is None or found.way is not Way.TWO_WAYS:
        return None
    return session if found.ready_at <= context.installation().clock() else None
