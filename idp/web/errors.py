"""The one table that turns refusals into answers, by the surface they appear on.

No text from an exception ever reaches a person: pages translate the refusal's code.
"""

from dataclasses import dataclass

import flask
import structlog
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from werkzeug.exceptions import HTTPException, InternalServerError

from accounts.errors import AccountsError, PasswordUnsuitableError
from connectors.errors import ConnectorError
from consent.errors import ArchiveError, ConsentError
from idp import audit
from idp.login.errors import LoginError
from idp.login.passwords import TOO_COMMON
from idp.oidc import wire
from idp.oidc.errors import DisplayedError, RedirectedError
from idp.oidc.response import error_response
from idp.web import context, transaction
from idp.web.language import N_, translate

_PROTOCOL_JSON = frozenset({"/token", "/revoke", "/introspect", "/userinfo"})
Refusal = AccountsError | ConnectorError | ConsentError | LoginError


@dataclass(frozen=True)
class Words:
    """How a refusal is told: HTTP status, heading and sentence."""

    status: int
    title: str
    message: str


_TABLE = {
    "invalid_request": Words(
        400,
        N_("Invalid request"),
        N_(
            "The service that sent you here made a mistake in its request, so we cannot go on. "
            "Go back to the service and try again."
        ),
    ),
    "interaction-gone": Words(
        400,
        N_("This sign-in is over"),
        N_(
            "It took too long, was finished already, or was opened in another browser. "
            "Go back to the service and start again."
        ),
    ),
    "sign-in-refused": Words(
        401,
        N_("Sign-in failed"),
        N_("The details do not match, or the account cannot be used at present."),
    ),
    "code-refused": Words(
        401,
        N_("The code was not accepted"),
        N_("The code is not right, or was used before. Take the next one."),
    ),
    "sign-in-expired": Words(
        401,
        N_("It took too long"),
        N_("The first part of the sign-in is no longer valid. Please begin again."),
    ),
    "stronger-needed": Words(
        401,
        N_("The password alone is not enough"),
        N_(
            "Somebody reported from this account: this was not me. Until that is settled, sign in "
            "with a passkey, or turn to an office with your identity card."
        ),
    ),
    "risk-attack": Words(
        403,
        N_("Not from this network now"),
        N_(
            "Somebody tried many wrong passwords for this account, and you come from the network of a "
            "data centre. Sign in with a passkey, or from the network at home or of your phone."
        ),
    ),
    "risk-data-centre": Words(
        401,
        N_("The password alone is not enough"),
        N_(
            "You come from the network of a data centre with a browser we do not know. Sign in with a "
            "passkey, or from the network at home or of your phone."
        ),
    ),
    "risk-journey": Words(
        401,
        N_("The password alone is not enough"),
        N_(
            "The last sign-in to this account was so far away that nobody travels that way in this time. "
            "Sign in with a passkey, use a browser you have used before, or wait some hours."
        ),
    ),
    "risk-journey-refused": Words(
        403,
        N_("Not from this place now"),
        N_(
            "The last sign-in to this account was so far away that nobody travels that way in this time, "
            "and a false page can pass password and code on. Sign in with a passkey, use a browser you "
            "have used before, or wait some hours."
        ),
    ),
    "risk-failures": Words(
        401,
        N_("The password alone is not enough"),
        N_(
            "Somebody tried several wrong passwords for this account, and we do not know this browser. "
            "Sign in with a passkey, use a browser you have used before, or wait a quarter of an hour."
        ),
    ),
    "too-many-failures": Words(
        429,
        N_("Too many attempts"),
        N_("There were too many wrong attempts. Wait a while, or sign in with a passkey."),
    ),
    "archive-unavailable": Words(
        503,
        N_("Older uses cannot be shown at the moment"),
        N_(
            "What is older than a year is kept apart, and could not be read just now. We were told of "
            "it. Newer uses are shown as ever; try again later."
        ),
    ),
    "passkey-refused": Words(
        403,
        N_("The passkey was not accepted"),
        N_("The passkey could not be verified. Try again, or use another way to sign in."),
    ),
    "recovery-refused": Words(
        403,
        N_("No recovery in this way"),
        N_(
            "This needs a fresh sign-in with your password and a code, and the waiting time to be over. "
            "Otherwise an office helps you."
        ),
    ),
    "phone-code-refused": Words(
        403,
        N_("The code was not accepted"),
        N_("The code is not right, was used before, or is older than 15 minutes."),
    ),
    "face-picture": Words(
        422,
        N_("No picture to compare"),
        N_("Take a picture, or choose one: JPEG or PNG, at most 200 KB."),
    ),
    "face-again": Words(
        401,
        N_("Please take the picture again"),
        N_("The page was open for too long, or its picture was sent before. Take a new one."),
    ),
    "face-no-match": Words(
        403,
        N_("The face does not agree"),
        N_(
            "The register says that the picture does not show the person on the identity card. Try "
            "again with light on your face, without cap, glasses or mask."
        ),
    ),
    "face-not-live": Words(
        403,
        N_("The face does not agree"),
        N_("The register says that nobody alive stood before the camera. Take a picture now."),
    ),
    "face-unusable": Words(
        422,
        N_("The picture cannot be compared"),
        N_(
            "The register sees no face in the picture, or not well enough. Try again with more light."
        ),
    ),
    "face-no-portrait": Words(
        403,
        N_("There is no portrait to compare with"),
        N_("The identity-card register holds no portrait of you, so this cannot be proved here."),
    ),
    "face-away": Words(
        503,
        N_("The register does not answer"),
        N_(
            "The identity-card register gave no answer. Your picture was not kept; try again later."
        ),
    ),
    "face-too-many": Words(
        429,
        N_("Too many attempts"),
        N_(
            "Too many pictures did not agree. Wait an hour, or go to an office with your identity card."
        ),
    ),
    "card-not-read": Words(
        409,
        N_("The card was not read yet"),
        N_("The reader app has not sent the card yet. Hold the card to the phone, then continue."),
    ),
    "own-lock": Words(
        403,
        N_("You locked this account"),
        N_(
            "You locked this account yourself. Open the page /unlock to unlock it with your passkey."
        ),
    ),
    "passkey-unknown": Words(
        403,
        N_("The passkey was not accepted"),
        N_("This passkey belongs to no account any more. Use another way to sign in."),
    ),
    "qr-gone": Words(
        401,
        N_("This code is no longer good"),
        N_(
            "The code has moved on, was used, or belongs to another browser. "
            "Point the app's camera at the code on the screen once more, or show a new one."
        ),
    ),
    "qr-taken": Words(
        409,
        N_("Another phone was first"),
        N_(
            "Somebody else has scanned this code. If nobody beside you did, close the page that "
            "shows it and begin again."
        ),
    ),
    "qr-elsewhere": Words(
        403,
        N_("This link is for another device"),
        N_(
            "The sign-in began in another network. If somebody sent you this link, close it: "
            "nothing has happened. On another device, scan the code that it shows."
        ),
    ),
    "qr-number": Words(
        409,
        N_("That was another number"),
        N_("The sign-in was ended. Nobody was let in."),
    ),
    "qr-refused": Words(
        403,
        N_("This phone cannot approve"),
        N_("The app on this phone is not set up for your account. Set it up and scan again."),
    ),
    "passkey-asked": Words(
        401,
        N_("Please use your passkey"),
        N_("Sign in on this phone with your passkey before you approve a sign-in."),
    ),
    "phone-refused": Words(
        403,
        N_("The phone was not added"),
        N_("This phone is known already, or you have five phones. Remove one first."),
    ),
    "password-unsuitable": Words(
        422,
        N_("Choose another password"),
        N_("A password needs at least 12 characters."),
    ),
    "last-authenticator": Words(
        409,
        N_("This is your last way to sign in"),
        N_("Add another passkey or set a password before you remove this one."),
    ),
    "reauthentication-required": Words(
        401,
        N_("Please sign in again"),
        N_("To protect your account, sign in again before you change how you sign in."),
    ),
    "form-expired": Words(
        403,
        N_("The page has expired"),
        N_("Go back, reload the page and try again."),
    ),
    "not-entitled": Words(
        403,
        N_("Not with this account"),
        N_(
            "This needs your own account of level 02, open, and a sign-in of authentication level 2: "
            "with your passkey, or with your password and a code."
        ),
    ),
    "application-not-ready": Words(
        409,
        N_("No longer possible"),
        N_("Something is still awaited, or somebody else has decided meanwhile. Look again."),
    ),
    "case-gone": Words(
        409,
        N_("This cannot be done now"),
        N_("The request has gone on meanwhile, or is closed. Look again."),
    ),
    "too-many-cases": Words(
        429,
        N_("Too many requests"),
        N_("You have sent many requests today. Go on tomorrow, or turn to your office."),
    ),
    "bad-words": Words(
        422,
        N_("Something is missing"),
        N_("Say in a few words what it is about, in at most 2,000 characters."),
    ),
    "too-many-offers": Words(
        429,
        N_("Too many offers"),
        N_("You have offered many mandates within an hour. Wait a while, then go on."),
    ),
    "own-case": Words(
        403,
        N_("Not in your own case"),
        N_("An officer decides nothing that concerns herself. Another officer has to do it."),
    ),
    "reason-missing": Words(
        422,
        N_("Give the reason in writing"),
        N_("Write the reason or the legal ground in a sentence of at least 10 characters."),
    ),
    "bad-application": Words(
        422,
        N_("Please check what you entered"),
        N_("Something cannot be right. Look at the marked fields and try again."),
    ),
    "account-closed": Words(
        409,
        N_("The account is closed"),
        N_("A closed account is kept as a record and cannot be changed any more."),
    ),
    "unfitting-reason": Words(
        422,
        N_("Not for this kind of account"),
        N_("The law knows no such lock for this kind of account."),
    ),
    "bad-contact": Words(
        422,
        N_("Please check what you entered"),
        N_(
            "Enter an e-mail address, or a phone number with its country code like +84 912 345 678."
        ),
    ),
    "contact-taken-up": Words(
        409,
        N_("No longer possible"),
        N_("Another change of this contact waits for its second officer."),
    ),
    "not-found": Words(
        404,
        N_("Page not found"),
        N_("There is no page at this address. Check that it is typed correctly."),
    ),
    "unavailable": Words(
        503,
        N_("Sen ID is busy"),
        N_("The service cannot answer just now. Please try again in a moment."),
    ),
    "refused": Words(
        400,
        N_("Not possible"),
        N_("The request cannot be carried out as it was sent."),
    ),
    "unforeseen": Words(
        500,
        N_("Something went wrong"),
        N_("The fault is ours and has been recorded. Please try again later."),
    ),
}
_PASSWORD_FAULTS = {
    "too-short": N_("A password needs at least 12 characters."),
    "too-long": N_("A password can have at most 1,000 characters."),
    "too-simple": N_("This password repeats the same few characters. Choose three or four words."),
    TOO_COMMON: N_(
        "This password is easy to guess: it is often used, follows a pattern, or is made from your "
        "name or number. Choose three or four words that do not belong together."
    ),
}
_TABLE["account-unknown"] = _TABLE["not-found"]
_BY_STATUS = {404: "not-found", 429: "too-many-failures", 503: "unavailable"}


def words(code: str) -> Words:
    """Return how a refusal's code is told."""
    return _TABLE.get(code, _TABLE["refused"])


def message(code: str) -> str:
    """Return the refusal's sentence in the language of this request."""
    return translate(words(code).message)


def password_fault(error: PasswordUnsuitableError) -> str:
    """Return what is wrong with a new password, in the language of this request."""
    return translate(_PASSWORD_FAULTS.get(error.detail, words(error.code).message))


def problem(code: str, status: int | None = None) -> flask.Response:
    """Return the refusal as ``application/problem+json`` (RFC 9457)."""
    told = words(code)
    response = flask.jsonify(
        type=code,
        title=translate(told.title),
        detail=translate(told.message),
        status=status or told.status,
        reference=flask.g.correlation,
    )
    response.status_code = status or told.status
    response.content_type = "application/problem+json"
    return response


def page(code: str, status: int | None = None) -> flask.Response:
    """Return the refusal as a page."""
    told = words(code)
    body = flask.render_template(
        "protocol/error.html",
        title=translate(told.title),
        message=translate(told.message),
        code=code,
        reference=flask.g.correlation,
    )
    return flask.Response(body, status or told.status)


def install(app: flask.Flask) -> None:
    """Register a handler for each root of refusals."""

    @app.errorhandler(RedirectedError)
    def redirected(error: RedirectedError) -> flask.Response:
        return context.respond(error_response(context.installation().settings.issuer, error))

    @app.errorhandler(DisplayedError)
    def displayed(error: DisplayedError) -> flask.Response:
        structlog.get_logger("sen").info(
            "authorization.refused", error_code=error.error, reason=error.description
        )
        return page(error.error)

    @app.errorhandler(wire.MalformedError)
    def malformed(_error: wire.MalformedError) -> flask.Response:
        return page("invalid_request")

    for root in (AccountsError, ConnectorError, ConsentError, LoginError):
        app.register_error_handler(root, _refused)

    @app.errorhandler(OperationalError)
    @app.errorhandler(PoolTimeoutError)
    def database_away(error: Exception) -> flask.Response:
        structlog.get_logger("sen").error("database.unavailable", kind=type(error).__name__)
        _ask_the_database_no_more()
        response = _by_surface("unavailable", 503)
        response.headers["Retry-After"] = "3"
        return response

    @app.errorhandler(InternalServerError)
    def unforeseen(error: InternalServerError) -> flask.Response:
        structlog.get_logger("sen").error("unforeseen", exc_info=error.original_exception or error)
        _ask_the_database_no_more()
        return _by_surface("unforeseen", 500)

    @app.errorhandler(HTTPException)
    def http(error: HTTPException) -> flask.Response:
        status = error.code or 500
        code = _BY_STATUS.get(status, "refused")
        structlog.get_logger("sen").info("refused", status_code=status, kind=type(error).__name__)
        if error.description in _TABLE:
            code = str(error.description)
        response = _by_surface(code, status)
        if status == 405:
            response.headers["Allow"] = ", ".join(getattr(error, "valid_methods", None) or ())
        return response


def _ask_the_database_no_more() -> None:
    """Render the page as for nobody: what failed once would fail again while telling of it."""
    transaction.undo()
    flask.g.session = flask.g.person = None


def _refused(error: Refusal) -> flask.Response:
    structlog.get_logger("sen").info("refused", error_code=error.code, kind=type(error).__name__)
    if isinstance(error, ArchiveError):
        audit.security_event("archive.unavailable", detail=error.detail)
    return _by_surface(error.code, None)


def _by_surface(code: str, status: int | None) -> flask.Response:
    shown = status or words(code).status
    if flask.request.path in _PROTOCOL_JSON:
        error = "server_error" if shown >= 500 else "invalid_request"
        return context.respond(wire.json_response(shown, {"error": error}))
    if flask.request.is_json:
        return problem(code, status)
    return page(code, status)
