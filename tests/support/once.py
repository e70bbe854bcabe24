"""What hundreds of applications in one process make alike, made once.

Nothing is left out: each answer is computed by the same code, the first time that it is needed.
"""

from collections.abc import Callable
from functools import cache

import pytest
from cryptography.hazmat.primitives import serialization
from werkzeug.routing import Rule


def keep_what_is_always_the_same(patch: pytest.MonkeyPatch) -> None:
    """Compile each route, and check each private key, once in a process."""
    patch.setattr(Rule, "compile", _compiled_once(Rule.compile))
    # An RSA key takes fifty milliseconds of arithmetic each time that it is opened.
    load = serialization.load_der_private_key
    patch.setattr(serialization, "load_der_private_key", cache(load))


def _compiled_once(compile_route: Callable[[Rule], None]) -> Callable[[Rule], None]:
    """Werkzeug spells, parses and compiles Python for every route of every application; what comes
    of it depends on the route's words alone.
    """
    known: dict[tuple[object, ...], Rule] = {}

    def compiled(rule: Rule) -> None:
        words = (rule.rule, rule.subdomain, rule.host, rule.merge_slashes, repr(rule.defaults))
        same = known.get(words)
        if same is None:
            compile_route(rule)
            known[words] = rule
            return
        rule._parts, rule._trace = same._parts, same._trace
        rule._converters = same._converters
        rule.arguments |= same.arguments
        # The functions take the route that they build for as their first argument.
        rule._build = same._build.__func__.__get__(rule)  # type: ignore[attr-defined]
        rule._build_unknown = same._build_unknown.__func__.__get__(rule)  # type: ignore[attr-defined]

    return compiled
