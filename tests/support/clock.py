"""A clock that stands still until a test turns it."""

from datetime import UTC, datetime, timedelta


class Clock:
    """The dial: calling it tells the time, which only `advance` and `set` change."""

    def __init__(self, now: datetime | None = None) -> None:
        # Early in the minute, so that what a page shows changes only when a test lets minutes pass.
        self.now = now or datetime.now(UTC).replace(second=1, microsecond=0)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **amount: float) -> None:
        """Let time pass, in `timedelta`'s words."""
        self.now += timedelta(**amount)

    def set(self, now: datetime) -> None:
        self.now = now
