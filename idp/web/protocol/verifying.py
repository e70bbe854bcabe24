"""The verifying page: one file that checks a proof in the browser, to be saved and used offline.

Its hash is in the policy log (``idp.ledger``), so that everybody can be shown to have the same one.
"""

import base64
import hashlib
import re
from functools import cache

import flask

from idp.ledger import VERIFYING_PAGE
from idp.web import headers

blueprint = flask.Blueprint("verifying", __name__)


@blueprint.get("/verify")
def verify() -> flask.Response:
    """Give out the page, byte for byte as it is published."""
    page = VERIFYING_PAGE.read_bytes()
    headers.allow_only(*_parts(page))
    response = flask.Response(page, content_type="text/html; charset=utf-8")
    response.headers["Cache-Control"] = "public, max-age=300"
    return response


@cache
def _parts(page: bytes) -> tuple[str, str]:
    """Return the hashes of the script and the style that are in the page (CSP Level 3 §8.4)."""
    found = (
        re.search(rb"<%b>(.*?)</%b>" % (tag, tag), page, re.DOTALL) for tag in (b"script", b"style")
    )
    script, style = (
        base64.b64encode(hashlib.sha256(one[1] if one else b"").digest()).decode() for one in found
    )
    return script, style
