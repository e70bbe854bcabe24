"""Forms: proof that a POST comes from our own page in the same browser, and safe local targets."""

import hmac
import re
from typing import Any
from urllib.parse import urlencode

import flask

from idp.login.errors import InteractionGoneError
from idp.web import context

_SIGN_IN = "/sign-in/password"
_LOCAL_PAGE = re.compile(
    r"/(me(/[a-z]+(-[a-z]+)*){0,2}(\?[A-Za-z0-9=&_%.\-]{0,1000})?|desk(/[a-z]+)?|regulator|app/([a-z]+)?)?",
    re.ASCII,
)
_ANYWHERE = re.compile(r"/[A-Za-z0-9/_\-]*(\?[A-Za-z0-9=&_%.\-]*)?", re.ASCII)
_WITH_FILE = frozenset({"steps.compare_face"})
# Relying parties and browsers sent by them post here; these endpoints have proofs of their own.
_FOREIGN_POSTS = frozenset(
    {
        "relying_party.token",
        "relying_party.userinfo",
        "relying_party.revoke",
        "relying_party.introspect",
        "agency.consent_status",
        "agency.grant_status",
        "agency.revoke_grant",
        "agency.poll",
        "agency_cases.waiting",
        "agency_cases.acknowledge",
        "agency_cases.extend",
        "agency_cases.answer",
        "agency_cases.withdrawals",
        "agency_cases.confirm_withdrawal",
        "use_receipts.fetch",
        "use_receipts.held",
        "use_reports.take",
        "audits.announce",
        "audits.draw",
        "audits.conclude",
        "protocol.authorize",
        "logout.logout",
    }
)


def csrf_token() -> str:
    """Return the token for this browser's forms; it changes with every sign-in."""
    return _token(context.session_cookie())


def _token(session_cookie: str) -> str:
    vault = context.installation().vault
    # By the secret alone: a page can be rendered while the database is away.
    return vault.passing_mac("csrf", context.browser_secret(), session_cookie).hex()


def is_ours() -> bool:
    """True when the POST carries this browser's own token and was sent from our own origin."""
    return _carries(csrf_token())


def _way_on() -> str | None:
    """Return where a form leads that this browser opened before it signed in in another tab.

    What such a form was for may be done already, so the flow is asked again. Only a page to look at
    follows, and only for an interaction of this very browser.
    """
    form = flask.request.form
    if not comes_from_our_origin():
        return None
    interaction_id = form.get("interaction", "")
    if interaction_id:
        try:
            context.services().interactions.take_up(interaction_id, context.visitor().binding)
        except InteractionGoneError:
            return None
        return f"/authorize?{urlencode({'interaction': interaction_id})}"
    if flask.request.path == _SIGN_IN and _carries(_token("")):
        return local_page(form.get("next", ""))
    return None


def _carries(token: str) -> bool:
    sent = flask.request.headers.get("X-CSRF-Token") or flask.request.form.get("csrf_token", "")
    return comes_from_our_origin() and hmac.compare_digest(
        sent.encode("utf-8", "surrogatepass"), token.encode()
    )


def comes_from_our_origin() -> bool:
    """True unless the browser says that another site sent this."""
    headers = flask.request.headers
    origin = headers.get("Origin")
    if origin is not None and origin != context.installation().settings.issuer:
        return False
    return headers.get("Sec-Fetch-Site", "same-origin") in {"same-origin", "none"}


def install(app: flask.Flask) -> None:
    """Refuse every POST that does not come from our own pages."""

    @app.before_request
    def check() -> flask.Response | None:
        request = flask.request
        if request.method not in {"POST", "PUT", "PATCH", "DELETE"}:
            return None
        if request.mimetype == "multipart/form-data" and request.endpoint not in _WITH_FILE:
            # No other form of ours sends files, and taking parts apart is costly.
            flask.abort(415)
        if request.endpoint is None or request.endpoint in _FOREIGN_POSTS:
            return None
        if request.is_json:
            # JSON cannot be sent across sites without asking us first, and we never agree.
            if not comes_from_our_origin():
                flask.abort(403, "form-expired")
        elif not is_ours():
            way_on = _way_on()
            if way_on is not None:
                return flask.Response(status=303, headers={"Location": way_on})
            flask.abort(403, "form-expired")
        return None


def json_document() -> dict[str, Any] | None:
    """Return the JSON object that was sent, or None when it is not one."""
    try:
        document = flask.request.get_json(silent=True)
    except RecursionError:
        return None
    return document if isinstance(document, dict) else None


def local_page(target: str) -> str:
    """Return the person's own page that ``target`` names, or the first of them."""
    return target if _LOCAL_PAGE.fullmatch(target) and target != "/" else "/me"


def local_path(target: str) -> str:
    """Return ``target`` if it is a path on this site, else the front page."""
    return target if _ANYWHERE.fullmatch(target) and not target.startswith("//") else "/"
