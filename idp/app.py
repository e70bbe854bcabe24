"""The WSGI application: wiring, and nothing else."""

import hashlib
import re
import secrets
from functools import cache
from urllib.parse import quote

import flask
import structlog
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.proxy_fix import ProxyFix

from accounts.sessions import BrowserSession
from idp import audit, web
from idp.door import Door
from idp.services import Installation
from idp.settings import Settings, read_settings
from idp.web import (
    context,
    errors,
    forms,
    headers,
    language,
    operations,
    person,
    static_files,
    transaction,
)

_GREATEST_BODY = 256 * 1024
_TRACE_ID = re.compile(r"00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)


def create_app(
    settings: Settings | None = None, *, installation: Installation | None = None
) -> flask.Flask:
    """Return the application for the settings, by default those of the environment."""
    if not structlog.is_configured():
        # The library's own way of printing an error shows the values of local variables.
        audit.configure_logging()
    held = installation or Installation(settings or read_settings())
    app = flask.Flask("idp.web", static_folder=None)
    app.extensions["sen"] = held
    app.config.update(
        MAX_CONTENT_LENGTH=_GREATEST_BODY,
        MAX_FORM_MEMORY_SIZE=_GREATEST_BODY,
        MAX_FORM_PARTS=100,
        METRICS_DIR=str(held.settings.data_dir / "metrics"),
        TRAP_HTTP_EXCEPTIONS=False,
    )
    # A fault is logged once, without what it says, by idp.web.errors; Flask would tell its message.
    app.logger.disabled = True
    app.json.ensure_ascii = False  # type: ignore[attr-defined]
    app.url_map.strict_slashes = True
    app.url_map.merge_slashes = False
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True
    app.wsgi_app = Door(app.wsgi_app, held)  # type: ignore[method-assign]
    _behind_proxies(app, held.settings.proxy_hops)
    # Answers pass through these in reverse order: the transaction is finished last of all.
    transaction.install(app, held.engine)
    headers.install(app, is_secure=held.settings.is_secure)
    context.install(app)
    operations.install(app)
    language.install(app)
    _install_request_facts(app)
    forms.install(app)
    errors.install(app)
    static_files.install(app)
    web.register(app)
    return app


def _behind_proxies(app: flask.Flask, hops: int) -> None:
    """Believe exactly so many X-Forwarded-For entries; Host and Proto never decide anything."""
    if hops:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=hops, x_proto=0, x_host=0, x_port=0, x_prefix=0
        )


def _install_request_facts(app: flask.Flask) -> None:
    @app.before_request
    def establish() -> None:
        trace = _TRACE_ID.fullmatch(flask.request.headers.get("traceparent", ""))
        flask.g.correlation = trace.group(1) if trace else secrets.token_hex(16)
        flask.g.language = language.choose(
            remembered=flask.request.cookies.get(context.cookie_name(context.LANGUAGE_COOKIE)),
            ui_locales=None,
            accept_language=flask.request.headers.get("Accept-Language"),
        )
        if not flask.request.query_string.isascii():
            # RFC 3986 §2: everything else has to be percent-encoded.
            flask.abort(400, "invalid_request")

    @app.context_processor
    def shown_everywhere() -> dict[str, object]:
        return {
            "language": flask.g.language,
            "language_links": _language_links(),
            # What anybody may keep is the same for everybody.
            "csrf_token": "" if headers.is_public() else forms.csrf_token(),
            "person": None if headers.is_public() else _person(),
            "static": _static_href,
        }


def _person() -> dict[str, object] | None:
    if "person" not in flask.g:
        session = context.session()
        flask.g.person = None if session is None else _about(session)
    shown: dict[str, object] | None = flask.g.person
    return shown


def _about(session: BrowserSession) -> dict[str, object]:
    services = context.services()
    officer = services.officers.serving(session.subject_id)
    return {
        "name": person.name_of(session.subject_id),
        "unread": services.notices.count_unread(session.subject_id),
        "office": officer.role.value if officer else "",
        "is_discreet": services.notice_choices.of(session.subject_id).is_discreet,
        "leave_to": context.installation().settings.leave_to,
    }


def _language_links() -> list[dict[str, object]]:
    target = quote(_page_to_return_to(), safe="/")
    names = {"vi": "Tiếng Việt", "en": "English"}
    return [
        {
            "code": code,
            "label": names[code],
            "href": f"/language/{code}?next={target}",
            "current": code == flask.g.language,
        }
        for code in language.LANGUAGES
    ]


def _page_to_return_to() -> str:
    """Return the page to show again in another language: one that can be fetched with GET."""
    request = flask.request
    if not request.query_string.isascii() or request.mimetype == "multipart/form-data":
        return "/"
    if request.method == "GET":
        return request.full_path.rstrip("?")
    try:
        interaction = request.form.get("interaction")
    except HTTPException:
        # The body is what the page is refused for.
        interaction = None
    if interaction:
        return f"/authorize?interaction={quote(interaction, safe='')}"
    own_page = re.match(
        r"/me(/[a-z]+)?|/activate|/sign-in|/apply(/[a-z]+)?|/desk(/applications/[0-9a-f]{32})?|/regulator|/app/[a-z]*",
        request.path,
    )
    return own_page.group() if own_page else "/"


@cache
def _static_href(path: str) -> str:
    """Return the file's address with its content's hash, so that it may be cached for ever."""
    digest = hashlib.sha256((static_files.FOLDER / path).read_bytes()).hexdigest()[:12]
    return f"/static/{path}?v={digest}"
