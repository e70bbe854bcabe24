"""The key sets that relying parties publish at their ``jwks_uri``, each kept for a few minutes.

Anybody can send an assertion in a relying party's name, so how often one asks for its keys must not
depend on what is sent: at most once a minute for each address and process, whatever comes.
"""

import json
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from accounts.schema import Clock
from connectors.errors import OutboundRefusedError
from connectors.outbound import Outbound

Jwk = dict[str, Any]

_FRESH = timedelta(minutes=5)
_ASK_AGAIN = timedelta(minutes=1)
"""For a key identifier that is not there (a relying party has changed its keys), or after a failure."""
_GRACE = timedelta(hours=1)
"""How long the last key set serves when its address does not answer."""
_MOST = 1000
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass
class _Kept:
    keys: list[Jwk] = field(default_factory=list)
    answered_at: datetime = _NEVER
    asked_at: datetime = _NEVER
    asking: threading.Lock = field(default_factory=threading.Lock)


class KeySets:
    """All key sets of this process. Safe to share between threads."""

    def __init__(self, outbound: Outbound, clock: Clock) -> None:
        self._outbound = outbound
        self._clock = clock
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._keeping = threading.Lock()

    def at(self, url: str, kid: object) -> list[Jwk]:
        """Return the keys published at the address; asks anew if they are old or lack ``kid``.

        Raises:
            OutboundRefusedError: the address may not be asked, or gives no answer.
            ValueError: what is there is no JWK Set (RFC 7517 §5).
        """
        kept = self._entry(url)
        # Who comes while another thread asks waits for that one's answer.
        with kept.asking:
            now = self._clock()
            is_fresh = now - kept.answered_at < _FRESH
            is_there = kid is None or any(key.get("kid") == kid for key in kept.keys)
            if not (is_fresh and is_there) and now - kept.asked_at >= _ASK_AGAIN:
                self._ask(kept, url, now)
            if now - kept.answered_at >= _GRACE:
                raise OutboundRefusedError("no-answer-yet")
            return kept.keys

    def _ask(self, kept: _Kept, url: str, now: datetime) -> None:
        kept.asked_at = now
        try:
            kept.keys = _read(self._outbound.get(url))
            kept.answered_at = now
        except (OutboundRefusedError, ValueError, RecursionError):
            if now - kept.answered_at >= _GRACE:
                raise

    def _entry(self, url: str) -> _Kept:
        with self._keeping:
            kept = self._kept.setdefault(url, _Kept())
            if len(self._kept) > _MOST:
                self._kept.popitem(last=False)
            return kept


def _read(body: bytes) -> list[Jwk]:
    document = json.loads(body)
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
        raise ValueError("jwks_uri holds no JWK Set")
    return keys
