"""A circuit breaker: a register that keeps failing is left alone for a while, and then probed."""

import threading
from datetime import datetime, timedelta

from accounts.schema import Clock

TOLERANCE = 3
"""So many failures in a row open the circuit."""
REST = timedelta(seconds=30)
"""For so long nobody asks; after it one call a rest is let through as a probe."""


class Breaker:
    """The standing of one register in this process. Safe to share between threads."""

    def __init__(self, clock: Clock, *, tolerance: int = TOLERANCE, rest: timedelta = REST) -> None:
        self._clock = clock
        self._tolerance = tolerance
        self._rest = rest
        self._lock = threading.Lock()
        self._failures = 0
        self._since: datetime | None = None
        self._closed_again_at: datetime | None = None

    @property
    def not_available_since(self) -> datetime | None:
        """The moment of the first failure since the last success, or None."""
        with self._lock:
            return self._since

    @property
    def is_open(self) -> bool:
        """True while calls are held back; asking does not count as a probe."""
        with self._lock:
            return self._closed_again_at is not None and self._clock() < self._closed_again_at

    def admits(self) -> bool:
        """True when a call may go out now: the circuit is closed, or this call is the probe.

        A probe that never reports back costs one rest, no more.
        """
        with self._lock:
            if self._closed_again_at is None:
                return True
            now = self._clock()
            if now < self._closed_again_at:
                return False
            self._closed_again_at = now + self._rest
            return True

    def succeeded(self) -> None:
        """Note a usable answer: the circuit closes."""
        with self._lock:
            self._failures, self._since, self._closed_again_at = 0, None, None

    def failed(self) -> None:
        """Note that no usable answer came."""
        with self._lock:
            now = self._clock()
            self._failures += 1
            self._since = self._since or now
            if self._failures >= self._tolerance:
                self._closed_again_at = now + self._rest
