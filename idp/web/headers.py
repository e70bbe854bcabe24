"""Security headers on every answer, and who may keep a copy of it."""

from urllib.parse import urlsplit

import flask

_IMMUTABLE = "public, max-age=31536000, immutable"
# Files that style sheets and modules fetch carry no version in their address.
_STATIC_AGE = "public, max-age=3600"


def allow_form_target(redirect_uri: str) -> None:
    """Let this page's forms lead on to the relying party.

    Browsers apply ``form-action`` to the whole chain of redirects that a form starts, and the last
    of them goes to the relying party's verified address.
    """
    parts = urlsplit(redirect_uri)
    flask.g.form_target = f"{parts.scheme}://{parts.netloc}" if parts.netloc else f"{parts.scheme}:"


def allow_image(uri: str | None) -> None:
    """Let this page show the relying party's registered logo."""
    if uri:
        parts = urlsplit(uri)
        flask.g.image_source = f"{parts.scheme}://{parts.netloc}"


def install(app: flask.Flask, *, is_secure: bool) -> None:
    """Set the headers of security.md 1.6 on every answer."""

    @app.after_request
    def protect(response: flask.Response) -> flask.Response:
        headers = response.headers
        headers["Content-Security-Policy"] = _policy()
        headers["X-Content-Type-Options"] = "nosniff"
        # Nothing leaks to other sites, as with no-referrer; but that would make browsers send
        # "Origin: null" with our own forms, which then could not be told from a stranger's.
        headers["Referrer-Policy"] = "same-origin"
        headers["X-Frame-Options"] = "DENY"
        headers["Cross-Origin-Opener-Policy"] = "same-origin"
        headers["Cross-Origin-Resource-Policy"] = "same-origin"
        headers["Permissions-Policy"] = (
            "camera=(), geolocation=(), microphone=(), payment=(), usb=(), "
            "publickey-credentials-get=(self), publickey-credentials-create=(self)"
        )
        if is_secure:
            headers["Strict-Transport-Security"] = "max-age=63072000; includeSubDomains"
        if flask.request.endpoint == "static" and response.status_code in {200, 304}:
            is_named = "v" in flask.request.args or "/vendor/" in flask.request.path
            headers["Cache-Control"] = _IMMUTABLE if is_named else _STATIC_AGE
        elif "Cache-Control" not in headers or flask.request.endpoint == "static":
            headers["Cache-Control"] = "no-store"
            headers.add("Vary", "Cookie")
        return response


def _policy() -> str:
    form_target = flask.g.get("form_target", "")
    image_source = flask.g.get("image_source", "")
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            f"img-src 'self' {image_source}".strip(),
            "font-src 'self'",
            "connect-src 'self'",
            f"form-action 'self' {form_target}".strip(),
            "base-uri 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        )
    )
