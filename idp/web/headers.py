"""Security headers on every answer, and who may keep a copy of it."""

from urllib.parse import urlsplit

import flask

_STATIC_AGE = "public, max-age=31536000, immutable"


def allow_form_target(redirect_uri: str) -> None:
    """Let this page's forms lead on to the relying party.

    Browsers apply ``form-action`` to the whole chain of redirects that a form starts, and the last
    of them goes to the relying party's verified address.
    """
    parts = urlsplit(redirect_uri)
    flask.g.form_target = f"{parts.scheme}://{parts.netloc}" if parts.netloc else f"{parts.scheme}:"


def install(app: flask.Flask, *, is_secure: bool) -> None:
    """Set the headers of security.md 1.6 on every answer."""

    @app.after_request
    def protect(response: flask.Response) -> flask.Response:
        headers = response.headers
        headers["Content-Security-Policy"] = _policy(flask.g.get("form_target", ""))
        headers["X-Content-Type-Options"] = "nosniff"
        headers["Referrer-Policy"] = "no-referrer"
        headers["X-Frame-Options"] = "DENY"
        headers["Cross-Origin-Opener-Policy"] = "same-origin"
        headers["Cross-Origin-Resource-Policy"] = "same-origin"
        headers["Permissions-Policy"] = (
            "camera=(), geolocation=(), microphone=(), payment=(), usb=(), "
            "publickey-credentials-get=(self), publickey-credentials-create=(self)"
        )
        if is_secure:
            headers["Strict-Transport-Security"] = "max-age=63072000; includeSubDomains"
        if flask.request.endpoint == "static" and response.status_code == 200:
            headers["Cache-Control"] = _STATIC_AGE
        elif "Cache-Control" not in headers or flask.request.endpoint == "static":
            headers["Cache-Control"] = "no-store"
            headers.add("Vary", "Cookie")
        return response


def _policy(form_target: str) -> str:
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            "font-src 'self'",
            "connect-src 'self'",
            f"form-action 'self' {form_target}".strip(),
            "base-uri 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        )
    )
