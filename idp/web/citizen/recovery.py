"""Recovery by two ways that are left: beginning it, waiting, stopping it, and the new passkey."""

import flask

from accounts.account import AccountKind
from accounts.chip_requests import Purpose
from accounts.errors import PasskeyRefusedError
from accounts.levels import AuthenticationMethod
from accounts.recoveries import Recovery, Way
from accounts.sessions import BrowserSession
from idp import limits
from idp.recovering import has_two_ways
from idp.web import context, errors, forms, journey, person, progress, transaction

blueprint = flask.Blueprint("recovery", __name__)
_PAGE = "/me/recovery"


@blueprint.get("/me/recovery")
def show() -> str:
    """Show how it stands, and what can be done now."""
    return _page(person.required(), None)


def _page(session: BrowserSession, code: str | None) -> str:
    services = context.services()
    found = services.recoveries.open_of(session.account_id)
    asked = services.chip_requests.latest_of_account(session.account_id, Purpose.RECOVERY)
    is_ready = found is not None and found.ready_at <= context.installation().clock()
    return flask.render_template(
        "citizen/recovery.html",
        section="passkeys",
        recovery=found,
        is_ready=is_ready,
        may_finish=found is not None and _may_finish(session, found),
        may_begin=has_two_ways(session) and person.is_fresh(session),
        chip={
            "is_offered": _may_read_card(session),
            "refusal": progress.why_refused(asked.refusal) if asked else "",
            "code": code,
        },
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


@blueprint.post("/me/recovery/chip")
def read_card() -> flask.Response | str:
    """Ask for a reading of the card's chip and show its code, once."""
    session = person.required()
    services = context.services()
    counted = (limits.CHIP_APPLICATION, f"account {session.account_id}")
    if not _may_read_card(session) or services.limits.is_exhausted(counted):
        return errors.page("recovery-refused")
    services.limits.count_failure(counted)
    code = services.chip_requests.begin_for_account(
        Purpose.RECOVERY, session.account_id, session.id
    )
    return _page(session, code)


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
        found = services.recoveries.open_of(account.id)
        if found is None or not services.recovering.finish(account.id, found.way):
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
    found = context.services().recoveries.open_of(session.account_id) if session else None
    if session is None or found is None or not _may_finish(session, found):
        return None
    return session if found.ready_at <= context.installation().clock() else None


def _may_finish(session: BrowserSession, found: Recovery) -> bool:
    """True for a fresh sign-in of the kind that the recovery rests on."""
    match found.way:
        case Way.TWO_WAYS:
            fits = has_two_ways(session)
        case Way.CHIP:
            fits = found.session_id == session.id
        case Way.OFFICE:
            # That code has a page of its own.
            fits = False
    return fits and person.is_fresh(session)


def _may_read_card(session: BrowserSession) -> bool:
    """True for a citizen who signed in with her password, where cards can be examined."""
    installation = context.installation()
    account = context.services().accounts.account(session.account_id)
    return (
        installation.can_read_cards
        and account.kind is AccountKind.CITIZEN
        and AuthenticationMethod.PASSWORD in session.methods
    )
