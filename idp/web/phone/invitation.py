"""Setting a phone up without a passkey on it: by an office's code, or by password and identity card.

Either opens one thing in this browser session: making a passkey here. With it the phone is set up as
any other.
"""

import flask

from accounts.account import AccountKind
from accounts.chip_requests import Purpose
from accounts.errors import PasskeyRefusedError
from accounts.levels import AuthenticationMethod
from accounts.notices import NoticeKind
from accounts.sessions import BrowserSession
from idp import audit, limits
from idp.login.errors import SignInRefusedError, TooManyFailuresError
from idp.web import context, errors, forms, headers, journey, person, progress, transaction

blueprint = flask.Blueprint("invitation", __name__)
_PAGE = "/app/code"
_ENROL = "/app/enrol"


@blueprint.get(_PAGE)
def ask() -> flask.Response:
    """Ask for the code, and offer to read the card."""
    return _page()


@blueprint.post(_PAGE)
def take() -> flask.Response:
    """Judge an office's code."""
    code = flask.request.form.get("code", "")[:64]
    try:
        started = context.services().sign_in.by_phone_code(
            code, context.visitor(), context.session()
        )
    except TooManyFailuresError as error:
        return _page(error=error.code)
    except SignInRefusedError:
        return _page(error="phone-code-refused")
    if started is not None:
        context.signed_in(started)
    return journey.see_other(_ENROL)


@blueprint.post(f"{_PAGE}/chip")
def read_card() -> flask.Response:
    """Ask for a reading of the card's chip and show its code."""
    session, services = person.required(), context.services()
    counted = (limits.CHIP_APPLICATION, f"account {session.account_id}")
    if not _may_read_card(session):
        return _page(error="reauthentication-required")
    if services.limits.is_exhausted(counted):
        return _page(error="too-many-failures")
    services.limits.count_failure(counted)
    code = services.chip_requests.begin_for_account(Purpose.PHONE, session.account_id, session.id)
    return _page(code=code)


@blueprint.post(f"{_PAGE}/chip/finish")
def finish_card() -> flask.Response:
    """Go on once the reader app is done."""
    session, services = person.required(), context.services()
    if not _may_read_card(session):
        return _page(error="reauthentication-required")
    if not services.chip_requests.take_proof(Purpose.PHONE, session.account_id, session.id):
        code = flask.request.form.get("code", "")[:32]
        waits = services.chip_requests.find_open(code) is not None
        return _page(error="card-not-read", code=code) if waits else _page()
    services.phone_invitations.by_chip(session.account_id, session.id)
    _tell(session, "phone-card-read")
    return journey.see_other(_ENROL)


@blueprint.post(f"{_ENROL}/options")
def options() -> flask.Response:
    """Begin making the passkey."""
    session = _invited()
    if session is None:
        return errors.problem("phone-code-refused")
    account = context.services().accounts.account(session.account_id)
    return flask.jsonify(publicKey=person.creation_options(account))


@blueprint.post(f"{_ENROL}/passkey")
def create() -> flask.Response:
    """Use the invitation up and keep the new passkey, in one transaction."""
    session, document = _invited(), forms.json_document()
    if session is None or document is None:
        return errors.problem("phone-code-refused")
    services = context.services()
    account = services.accounts.account(session.account_id)
    try:
        if not services.phone_invitations.use(account.id, session.id):
            return errors.problem("phone-code-refused")
        person.create_passkey(account, document)
    except PasskeyRefusedError as error:
        transaction.undo()
        return errors.problem(error.code)
    _tell(session, "passkey-added")
    methods = (AuthenticationMethod.PASSKEY,)
    context.signed_in(services.sign_in.complete(account, methods, context.visitor(), session))
    return flask.jsonify(location=_ENROL)


def _invited() -> BrowserSession | None:
    session = context.session()
    if session is None:
        return None
    invitations = context.services().phone_invitations
    return session if invitations.is_open(session.account_id, session.id) else None


def _may_read_card(session: BrowserSession) -> bool:
    """True for a citizen who gave her password just now, where cards can be examined."""
    account = context.services().accounts.account(session.account_id)
    return (
        context.installation().can_read_cards
        and account.kind is AccountKind.CITIZEN
        and AuthenticationMethod.PASSWORD in session.methods
        and person.is_fresh(session)
    )


def _tell(session: BrowserSession, what: str) -> None:
    book, facts = context.services().contact_book, {"what": what}
    book.tell_everywhere(session.subject_id, NoticeKind.SIGN_IN_CHANGED, facts)
    audit.security_event(f"phone-invitation.{what}", account=session.account_id)


def _page(*, error: str | None = None, code: str | None = None) -> flask.Response:
    headers.allow_app()
    session = context.session()
    asked = (
        context.services().chip_requests.latest_of_account(session.account_id, Purpose.PHONE)
        if session is not None
        else None
    )
    body = flask.render_template(
        "phone/code.html",
        error=errors.message(error) if error else None,
        code=code,
        refusal=progress.why_refused(asked.refusal) if asked and not code else "",
        reads_cards=context.installation().can_read_cards,
        may_read=session is not None and _may_read_card(session),
    )
    return flask.Response(body, errors.words(error).status if error else 200)
