"""Follows the published log of uses, entry by entry and once: what is made of entries afterwards, so that
releasing data waits for none of it.
"""

from datetime import timedelta

from consent import following, tallies
from idp import use_notices
from idp.database import for_reading
from idp.services import Installation

INTERVAL = timedelta(seconds=5)
_A_ROUND = 1000
"""Turns a round; what is left is the next round's."""


def follow(installation: Installation) -> int:
    """Take what was published since; return how many entries that were."""
    with for_reading(installation.engine).begin() as db:
        if not following.is_behind(db):
            return 0
    count = 0
    for _ in range(_A_ROUND):
        with installation.engine.begin() as db:
            turn = following.take(db)
            tallies.add(db, turn.entries)
            use_notices.tell(installation.services(db), turn.entries)
        count += len(turn.entries)
        if turn.is_last:
            break
    return count
