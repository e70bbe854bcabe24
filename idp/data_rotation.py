"""Replacing the data key, and destroying one that nothing is sealed with any more."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from accounts.data_keys import FRESH
from accounts.resealing import Done, Resealing, is_used
from idp import audit
from idp.database import for_reading
from idp.services import Installation

KNOWN_EVERYWHERE = 2 * FRESH
"""After so long every server seals with a key that was made."""
_ROUNDS = 20


class StillWrittenError(Exception):
    """Something kept sealing with the old key; it has been found again after every round."""


@dataclass(frozen=True)
class Rotated:
    """The key that seals now, those that retired, and how many values were sealed anew."""

    key_id: int
    retired: list[int]
    values: int


def rotate(
    installation: Installation,
    *,
    expect: Done,
    done: Done,
    wait: Callable[[timedelta], None],
) -> Rotated:
    """Make a new data key, or go on with an unfinished one, and seal everything with it.

    ``expect`` is told how many values there are before the first is sealed, ``done`` of each batch;
    ``wait`` lets time pass, so that every server has seen the new key before the last round.

    Raises:
        SealBrokenError: a value cannot be opened; nothing is retired.
        StillWrittenError: the old key did not fall out of use.
    """
    with installation.engine.begin() as db:
        key_id = installation.data_keys(db).add()
    installation.data_key_ring.forget()
    resealing = Resealing(
        installation.engine, for_reading(installation.engine), installation.vault, key_id
    )
    total = 0

    def count(values: int) -> None:
        nonlocal total
        total += values
        done(values)

    expect(resealing.count())
    resealing.run(count)
    wait(KNOWN_EVERYWHERE)
    for _ in range(_ROUNDS):
        resealing.run(count)
        if resealing.count() == 0:
            break
    else:
        raise StillWrittenError
    with installation.engine.begin() as db:
        retired = installation.data_keys(db).retire_before(key_id)
    installation.data_key_ring.forget()
    audit.security_event("data-key.rotated", key=key_id, values=total)
    return Rotated(key_id, retired, total)


def destroy_outlived(installation: Installation) -> int:
    """Destroy the data keys that retired an hour ago; return how many.

    A transaction that began before its key retired may have written with it since: that is sealed
    anew first.
    """
    with installation.engine.begin() as db:
        outlived = installation.data_keys(db).outlived(installation.clock())
    destroyed = 0
    for key_id in outlived:
        reading = for_reading(installation.engine)
        if is_used(reading, key_id):
            newest = installation.data_key_ring.newest()
            Resealing(installation.engine, reading, installation.vault, newest).run(lambda _n: None)
        if not is_used(reading, key_id):
            with installation.engine.begin() as db:
                installation.data_keys(db).destroy(key_id)
            destroyed += 1
            audit.security_event("data-key.destroyed", key=key_id)
    return destroyed


def change_secret(installation: Installation, secret: bytes) -> bool:
    """Seal the keys under another secret; False when they are under it already.

    Raises:
        SealBrokenError: the keys fit neither secret.
    """
    with installation.engine.begin() as db:
        changed = installation.data_keys(db).wrap_under(secret)
    if changed:
        audit.security_event("secret.changed")
    return changed
