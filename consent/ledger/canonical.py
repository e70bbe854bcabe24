"""The one spelling of an entry. Only who writes entries needs it: a verifier is given the spelling."""

from collections.abc import Mapping
from typing import Any

import orjson


def canonical(entry: Mapping[str, Any]) -> bytes:
    """Return compact JSON with sorted ASCII keys (RFC 8785's result for entries of strings, integers,
    lists and null).
    """
    return orjson.dumps(entry, option=orjson.OPT_SORT_KEYS)
