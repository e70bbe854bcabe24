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


def allow_blank_icon() -> None:
    """Let this page have an empty icon that is written in it, so that browsers ask for none."""
    flask.g.image_source = "data:"


def allow_app(*, camera: bool = False) -> None:
    """Let this page be the phone app's: it has a manifest, and may use the camera to scan."""
    flask.g.is_app = True
    flask.g.uses_camera = camera


def allow_camera() -> None:
    """Let this page, and no other, ask the person for her camera."""
    flask.g.uses_camera = True


def allow_keeping(seconds: int) -> None:
    """Let anybody keep this page for so long: it shows nobody's own things and carries no form."""
    flask.g.public_seconds = seconds


def is_public() -> bool:
    """True when this answer is one that anybody may keep."""
    return "public_seconds" in flask.g


def allow_only(script_hash: str, style_hash: str) -> None:
    """Let this page, which is one file to be kept, run just the script and style that are in it."""
    flask.g.own_policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src 'sha256-{script_hash}'",
            f"style-src 'sha256-{style_hash}'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        )
    )


def fixed(*, is_secure: bool) -> dict[str, str]:
    """Return the headers that every answer carries, whatever it is."""
    headers = {
        "X-Content-Type-Options": "nosniff",
        # Nothing leaks to other sites, as with no-referrer; but that would make browsers send
        # "Origin: null" with our own forms, which then could not be told from a stranger's.
        "Referrer-Policy": "same-origin",
        "X-Frame-Options": "DENY",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": (
            "camera=(), geolocation=(), microphone=(), payment=(), usb=(), "
            "publickey-credentials-get=(self), publickey-credentials-create=(self)"
        ),
    }
    if is_secure:
        headers["Strict-Transport-Security"] = "max-age=63072000; includeSubDomains"
    return headers


def policy(form_target: str = "", image_source: str = "", *, is_app: bool = False) -> str:
    """Return the content security policy of a page that may lead to these places."""
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            f"img-src 'self' {image_source}".strip(),
            "font-src 'self'",
            "connect-src 'self'",
            *(["manifest-src 'self'", "worker-src 'self'"] if is_app else []),
            f"form-action 'self' {form_target}".strip(),
            "base-uri 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        )
    )


def install(app: flask.Flask, *, is_secure: bool) -> None:
    """Set the headers on every answer."""
    always = fixed(is_secure=is_secure)

    @app.after_request
    def protect(response: flask.Response) -> flask.Response:
        headers = response.headers
        headers.update(always)
        headers["Content-Security-Policy"] = flask.g.get("own_policy") or policy(
            flask.g.get("form_target", ""),
            flask.g.get("image_source", ""),
            is_app=flask.g.get("is_app", False),
        )
        if flask.g.get("uses_camera"):
            headers["Permissions-Policy"] = always["Permissions-Policy"].replace(
                "camera=()", "camera=(self)"
            )
        if flask.request.endpoint == "static" and response.status_code in {200, 304}:
            is_named = "v" in flask.request.args or "/vendor/" in flask.request.path
            headers["Cache-Control"] = _IMMUTABLE if is_named else _STATIC_AGE
        elif is_public() and response.status_code == 200:
            headers["Cache-Control"] = f"public, max-age={flask.g.public_seconds}"
            # The language is chosen by these.
            headers.add("Vary", "Accept-Language, Cookie")
        elif "Cache-Control" not in headers or flask.request.endpoint == "static":
            headers["Cache-Control"] = "no-store"
            headers.add("Vary", "Cookie")
        return response
