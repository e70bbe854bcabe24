"""The only place that asks the machine what time it is."""

from datetime import UTC, datetime
from functools import partial

now = partial(datetime.now, UTC)
"""Return the present moment in UTC. No function of ours: a sign-in asks twenty times."""
