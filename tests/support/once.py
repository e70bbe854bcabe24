"""What hundreds of applications in one process make alike, made once.

Nothing is left out: each answer is computed by the same code, the first time that it is needed.
"""

from collections.abc import Callable
from functools import cache

import flask
import pytest
from cryptography.hazmat.primitives import serialization

from idp import web

_TABLES = (
    "before_request_funcs",
    "after_request_funcs",
    "teardown_request_funcs",
    "template_context_processors",
    "url_value_preprocessors",
    "url_default_functions",
    "error_handler_spec",
)
"""Where Flask keeps what is called beside the views: by blueprint, and for all under None."""


def keep_what_is_always_the_same(patch: pytest.MonkeyPatch) -> None:
    """Enter the blueprints, and check each private key, once in a process."""
    patch.setattr(web, "register", _registered_once(web.register))
    # An RSA key takes fifty milliseconds of arithmetic each time that it is opened.
    load = serialization.load_der_private_key
    patch.setattr(serialization, "load_der_private_key", cache(load))


def _registered_once(register: Callable[[flask.Flask], None]) -> Callable[[flask.Flask], None]:
    """Every application has the same blueprints, and Flask spells, parses and compiles Python for each
    of their two hundred routes: later applications share what the first one made of them.
    """
    first: list[flask.Flask] = []

    def registered(app: flask.Flask) -> None:
        if not first:
            before = _for_all(app)
            register(app)
            assert _for_all(app) == before, "a blueprint that acts outside itself is not shared"
            first.append(app)
            return
        made = first[0]
        app.url_map = made.url_map
        app.view_functions |= made.view_functions
        app.blueprints |= made.blueprints
        for table in _TABLES:
            own, shared = getattr(app, table), getattr(made, table)
            own.update({name: shared[name] for name in made.blueprints if name in shared})

    return registered


def _for_all(app: flask.Flask) -> list[str]:
    """Return what is called whichever blueprint answers."""
    return [repr(getattr(app, table).get(None)) for table in _TABLES]
