"""A relying party: signs people in with Sen ID, shows what it received, and reads it again.

What an integration needs is in `create_app`; everything about the provider comes from its
discovery document. Run with `python -m idp.demo.relying_party REGISTRATION.json`.
"""

import hmac
import json
import sys
import threading
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import requests
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.flask_client import OAuth
from authlib.integrations.requests_client import OAuth2Session
from flask import (
    Blueprint,
    Flask,
    Response,
    abort,
    current_app,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from granian.constants import Interfaces
from granian.server import Server
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from idp.demo.browser_sessions import BrowserSession, BrowserSessions
from idp.demo.holdings import Holdings, Reporter
from idp.demo.signed_out_afar import WITHDRAWN, LogoutTokenError, LogoutTokens
from idp.demo.texts import LANGUAGES, TEXTS, Row, rows

PROVIDER_TIMEOUT_SECONDS = 10
LEVELS = ("3", "4")
"""Authentication levels that the bank asks for when more is at stake."""
_NOTICES = {"access_denied": "declined", "unmet_authentication_requirements": "unmet"}
_LONGEST_TOKEN = 16 * 1024
_FROM_THE_PROVIDER = frozenset({"pages.signed_out_afar", "pages.events"})

pages = Blueprint("pages", __name__)


@dataclass(frozen=True)
class Registration:
    """What the party agreed with the provider, and how its own pages look."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    redirect_uri: str
    scope: str
    authorize_params: dict[str, str]
    name: dict[str, str]
    welcome: dict[str, str]
    services: list[dict[str, str]]
    look: str
    purpose: str
    tells_every_seconds: float

    @classmethod
    def read(cls, path: Path) -> "Registration":
        return cls(**json.loads(path.read_text("utf-8")))

    @property
    def origin(self) -> str:
        parts = urlsplit(self.redirect_uri)
        return f"{parts.scheme}://{parts.netloc}"


class AnswerRefusedError(Exception):
    """The provider's answer does not belong to what this browser asked."""


class SignedOutError(Exception):
    """The provider no longer lets this party read the person's data."""


class Provider:
    """Sen ID as this party sees it, through the OpenID Connect library."""

    def __init__(self, app: Flask, registration: Registration, holdings: Holdings) -> None:
        self.registration = registration
        self._renewing = threading.Lock()
        self._logout_tokens = LogoutTokens(registration.issuer, registration.client_id)
        self._library = OAuth(app).register(
            "sen",
            client_id=registration.client_id,
            client_secret=registration.client_secret,
            server_metadata_url=f"{registration.issuer}/.well-known/openid-configuration",
            client_kwargs={
                "scope": registration.scope,
                "code_challenge_method": "S256",
                "default_timeout": PROVIDER_TIMEOUT_SECONDS,
            },
        )

        # Each answer names the entries that record it; they are kept with what was got.
        self._library.client_cls = partial(_noting_session, holdings)

    def ask_to_sign_in(self, language: str, level: str | None = None) -> AnyResponse:
        """Send the browser to the provider, with fresh state, nonce and PKCE verifier; ``level`` asks
        for an authentication level, as a service does before something that matters.
        """
        self._check_metadata()
        wish = dict(self.registration.authorize_params)
        if level is not None:
            wish.pop("acr_values", None)
            acr = {"essential": True, "values": [f"urn:vn:eid:aal:{level}"]}
            wish["claims"] = json.dumps({"id_token": {"acr": acr}})
        return cast(
            "AnyResponse",
            self._library.authorize_redirect(
                self.registration.redirect_uri,
                ui_locales=language,
                **wish,
            ),
        )

    def check_answer(self) -> None:
        """Check who answered (RFC 9207 §2.4) and that this browser asked (RFC 6749 §10.12).

        Raises:
            AnswerRefusedError: Another provider's answer, or one that was never asked for.
        """
        promised = self._check_metadata().get("authorization_response_iss_parameter_supported")
        named = request.args.get("iss")
        if named != self.registration.issuer and (promised or named is not None):
            raise AnswerRefusedError("iss")
        state = request.args.get("state", "")
        if self._library.framework.get_state_data(session, state) is None:
            raise AnswerRefusedError("state")

    def forget_question(self) -> None:
        self._library.framework.clear_state_data(session, request.args.get("state", ""))

    def tokens(self) -> dict[str, Any]:
        """Exchange the code; the library checks the ID token's signature, nonce and claims."""
        return dict(self._library.authorize_access_token())

    def userinfo(self, tokens: dict[str, Any], sub: str) -> dict[str, Any]:
        """Read the person's data.

        Raises:
            SignedOutError: The access token is no longer good.
            AnswerRefusedError: The data is another person's (OpenID Connect Core §5.3.2).
        """
        # Without its expiry: the library would renew an old token by itself and keep the new one
        # from us. Whether a token is still good is for the provider to say.
        bearer = {name: tokens[name] for name in ("access_token", "token_type")}
        try:
            received = dict(self._library.userinfo(token=bearer))
        except requests.HTTPError as refusal:
            answer = refusal.response
            if answer is not None and answer.status_code == HTTPStatus.UNAUTHORIZED:
                raise SignedOutError from refusal
            raise
        if received.get("sub") != sub:
            raise AnswerRefusedError("sub")
        return received

    def read_again(self, person: dict[str, Any]) -> None:
        """Read the person's data again, with renewed tokens if the old ones are refused.

        Raises:
            SignedOutError: There is nothing to renew with, or the provider refuses to renew.
        """
        # One renewal at a time: a refresh token is good once, and a second use of it would look
        # like theft.
        with self._renewing:
            try:
                person["userinfo"] = self._read_or_renew(person)
            except AuthlibBaseError as refusal:
                if refusal.error == "invalid_grant":
                    raise SignedOutError from refusal
                raise

    def _read_or_renew(self, person: dict[str, Any]) -> dict[str, Any]:
        sub = person["id_token"]["sub"]
        refresh_token = person["tokens"].get("refresh_token")
        try:
            return self.userinfo(person["tokens"], sub)
        except SignedOutError:
            if not refresh_token:
                raise
        renewed = self._library.fetch_access_token(
            # No scope means what was granted (RFC 6749 §6), which may be less than we ask for.
            grant_type="refresh_token",
            refresh_token=refresh_token,
            scope=None,
        )
        person["tokens"] = {**person["tokens"], **renewed}
        return self.userinfo(person["tokens"], sub)

    def ask_to_sign_out(self, id_token: str, language: str) -> AnyResponse:
        """Send the browser to the provider to end its session there too."""
        return cast(
            "AnyResponse",
            self._library.logout_redirect(
                post_logout_redirect_uri=f"{self.registration.origin}/signed-out",
                id_token_hint=id_token,
                client_id=self.registration.client_id,
                ui_locales=language,
            ),
        )

    def read_logout_token(self, token: str) -> dict[str, Any]:
        """Return whose session at the provider is over.

        Raises:
            LogoutTokenError: The token is not one of the provider's for this party, or not new.
        """
        return self._logout_tokens.read(token, *self._keys())

    def follow_events(self, token: str) -> None:
        """Do what an event asks for. This party keeps nothing beyond a visit, so when a consent was
        withdrawn it can confirm at once that it has stopped.

        Raises:
            LogoutTokenError: The token is not one of the provider's for this party, or not new.
        """
        told = self._logout_tokens.read_event(token, *self._keys())
        withdrawn = told.get(WITHDRAWN)
        if isinstance(withdrawn, dict):
            requests.post(
                f"{self.registration.issuer}/agency/withdrawals/confirm",
                data={"consent": str(withdrawn.get("consent", ""))},
                auth=(self.registration.client_id, self.registration.client_secret),
                timeout=PROVIDER_TIMEOUT_SECONDS,
            )

    def _keys(self) -> tuple[KeySet, list[str]]:
        promised = self._check_metadata()["id_token_signing_alg_values_supported"]
        # Asked for anew: a key that came since is known, and nobody is signed out often.
        return KeySet.import_key_set(self._library.fetch_jwk_set(force=True)), promised

    def check_sign_out_answer(self) -> None:
        self._library.validate_logout_response()

    def _check_metadata(self) -> dict[str, Any]:
        metadata = cast("dict[str, Any]", self._library.load_server_metadata())
        # OpenID Connect Discovery §4.3: the document must speak for the issuer it was asked of.
        if metadata.get("issuer") != self.registration.issuer:
            raise AnswerRefusedError("issuer")
        return metadata


def create_app(registration: Registration, holdings: Holdings) -> Flask:
    """Make the party's web application, which notes in its book what it gets."""
    app = Flask(__name__)
    app.config["SESSION_COOKIE_SECURE"] = registration.origin.startswith("https:")
    # Cookies of one host are shared by all its ports, so each party names its own.
    app.session_interface = BrowserSessions(f"{registration.look}_browser")
    app.extensions["provider"] = Provider(app, registration, holdings)
    app.context_processor(_page_context)
    app.after_request(partial(_add_headers, registration))
    app.before_request(_check_form)
    for failure in (AnswerRefusedError, SignedOutError, AuthlibBaseError, JoseError):
        app.register_error_handler(failure, partial(_failed, "refused", HTTPStatus.BAD_REQUEST))
    app.register_error_handler(
        requests.RequestException, partial(_failed, "unreachable", HTTPStatus.BAD_GATEWAY)
    )
    app.register_error_handler(HTTPException, _http_failed)
    app.register_blueprint(pages)
    return app


@pages.get("/")
def home() -> str:
    """Show what was received from the person signed in, or offer to sign in."""
    if request.args.get("lang") in LANGUAGES:
        session["language"] = request.args["lang"]
    notice = session.pop("notice", None)
    person = session.get("person")
    if person is None:
        return render_template("home.html", notice=notice)
    return render_template(
        "received.html", notice=notice, person=person, tables=_tables(person, _language())
    )


@pages.get("/sign-in")
def sign_in() -> AnyResponse:
    level = request.args.get("level")
    return _provider().ask_to_sign_in(_language(), level if level in LEVELS else None)


@pages.get("/callback")
def callback() -> AnyResponse:
    """Take the provider's answer to the browser."""
    provider = _provider()
    provider.check_answer()
    if "error" in request.args:
        provider.forget_question()
        session["notice"] = _NOTICES.get(request.args["error"], "refused")
        return redirect(url_for("pages.home"))
    tokens = provider.tokens()
    claims = dict(tokens.pop("userinfo"))
    person = {"tokens": tokens, "id_token": claims}
    person["userinfo"] = provider.userinfo(tokens, claims["sub"])
    _begin_anew(person=person)
    return redirect(url_for("pages.home"))


@pages.post("/read-again")
def read_again() -> AnyResponse:
    person = session.get("person")
    if person is None:
        return redirect(url_for("pages.home"))
    try:
        _provider().read_again(person)
    except SignedOutError:
        _begin_anew(notice="ended")
    else:
        session["notice"] = "read-again"
    return redirect(url_for("pages.home"))


@pages.post("/sign-out")
def sign_out() -> AnyResponse:
    """Forget the person here, then ask the provider to do the same."""
    person = session.get("person")
    _begin_anew()
    if person is None:
        return redirect(url_for("pages.home"))
    return _provider().ask_to_sign_out(person["tokens"]["id_token"], _language())


@pages.get("/signed-out")
def signed_out() -> AnyResponse:
    _provider().check_sign_out_answer()
    session["notice"] = "signed-out"
    return redirect(url_for("pages.home"))


@pages.post("/signed-out-afar")
def signed_out_afar() -> tuple[str, int]:
    """Take a logout token from the provider: the person left there, so she leaves here as well."""
    try:
        claims = _provider().read_logout_token(request.form.get("logout_token", ""))
    except LogoutTokenError as refusal:
        current_app.logger.warning("logout token refused: %s", refusal)
        return "", HTTPStatus.BAD_REQUEST

    def is_meant(kept: BrowserSession) -> bool:
        token = kept.get("person", {}).get("id_token", {})
        named = {name: claims[name] for name in ("sub", "sid") if name in claims}
        return bool(token) and all(token.get(name) == value for name, value in named.items())

    cast("BrowserSessions", current_app.session_interface).end_where(is_meant)
    return "", HTTPStatus.OK


@pages.post("/events")
def events() -> tuple[str, int]:
    """Take a security event token from the provider (RFC 8935)."""
    try:
        _provider().follow_events(request.get_data(as_text=True)[:_LONGEST_TOKEN])
    except LogoutTokenError as refusal:
        current_app.logger.warning("event refused: %s", refusal)
        return "", HTTPStatus.BAD_REQUEST
    return "", HTTPStatus.ACCEPTED


@pages.get("/healthz")
def healthz() -> str:
    return "ok"


def _provider() -> Provider:
    return cast("Provider", current_app.extensions["provider"])


def _browser_session() -> BrowserSession:
    return cast("BrowserSession", session)


def _begin_anew(**kept: Any) -> None:
    """Change the browser's session id and keep only the language and what is given."""
    language = _language()
    cast("BrowserSessions", current_app.session_interface).renew(_browser_session())
    session.update(kept, language=language)


def _language() -> str:
    chosen = session.get("language")
    return chosen or request.accept_languages.best_match(LANGUAGES) or LANGUAGES[0]


def _tables(person: dict[str, Any], language: str) -> dict[str, list[Row]]:
    return {name: rows(person[name], language) for name in ("id_token", "userinfo")}


def _page_context() -> dict[str, Any]:
    language = _language()
    return {
        "language": language,
        "languages": LANGUAGES,
        "language_names": {code: TEXTS[code]["this_language"] for code in LANGUAGES},
        "texts": TEXTS[language],
        "party": _provider().registration,
        "form_token": _browser_session().form_token,
    }


def _check_form() -> None:
    """Refuse a form that another site made this browser post."""
    if request.method != "POST" or request.endpoint in _FROM_THE_PROVIDER:
        return  # What the provider sends proves itself by its signature.
    given = request.form.get("form_token", "").encode()
    if not hmac.compare_digest(given, _browser_session().form_token.encode()):
        abort(HTTPStatus.FORBIDDEN)


def _add_headers(registration: Registration, response: Response) -> Response:
    # Signing out is a form of ours whose answer leads to the provider: a browser allows that
    # redirect only if form-action names it.
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; "
        f"frame-ancestors 'none'; form-action 'self' {registration.issuer}"
    )
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    response.headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=()"
    if request.endpoint != "static":
        response.headers["Cache-Control"] = "no-store"
    return response


def _failed(notice: str, status: HTTPStatus, failure: Exception) -> tuple[str, int]:
    current_app.logger.warning("%s: %s: %s", request.path, type(failure).__name__, failure)
    return render_template("home.html", notice=notice), status


def _http_failed(failure: HTTPException) -> tuple[str, int]:
    return render_template("home.html", notice="no-page"), failure.code or 500


def _noting_session(holdings: Holdings, **given: Any) -> OAuth2Session:
    made = OAuth2Session(**given)
    made.hooks["response"].append(holdings.note)
    return made


def _load(path: str) -> Flask:
    registration = Registration.read(Path(path))
    holdings = Holdings(Path(path).with_suffix(".holdings"))
    reporter = Reporter(
        holdings,
        issuer=registration.issuer,
        client_id=registration.client_id,
        secret=registration.client_secret,
        purpose=registration.purpose,
    )
    threading.Thread(
        target=reporter.run, args=(registration.tells_every_seconds,), daemon=True
    ).start()
    return create_app(registration, holdings)


def main(path: str) -> None:
    """Serve the party whose registration is in the file, until a signal ends it."""
    address = urlsplit(Registration.read(Path(path)).redirect_uri)
    server = Server(
        path,
        address="127.0.0.1",
        port=address.port or 80,
        interface=Interfaces.WSGI,
        blocking_threads=8,
    )
    server.serve(target_loader=_load)


if __name__ == "__main__":
    main(sys.argv[1])
