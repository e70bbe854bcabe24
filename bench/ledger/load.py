"""Loads a year of uses fast: real commitments and chains, people with records of different lengths."""

import random
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from rich.progress import Progress
from sqlalchemy import Connection

from accounts.schema import new_id
from accounts.statements import copy_many
from accounts.subject import SubjectKind, subject
from bench.ledger.world import AGENCIES, Place, now
from consent.data_use import Channel, Use
from consent.purposes import PURPOSES
from consent.use_log import UseLog
from idp.services import Installation

BATCH = 10_000
AVERAGE = 100
"""Entries of a person."""
LONG = 200_000
"""Entries of the person with the long record; less where there are few entries in all."""
_WEEKS = 52
_ATTRIBUTES = (
    ("sub", "name", "birthdate"),
    ("sub",),
    ("sub", "name", "address", "gender"),
    ("sub", "email"),
)
_CHANNELS = (Channel.ID_TOKEN, Channel.USERINFO, Channel.INTROSPECTION)


def uses() -> list[Use]:
    """Return what may happen, of nobody yet."""
    chance, purposes = random.Random(5), sorted(PURPOSES)
    made = []
    for number in range(60):
        code = chance.choice(purposes)
        made.append(
            Use(
                subject_id="",
                client_id=f"agency-{number % AGENCIES}",
                channel=chance.choice(_CHANNELS),
                attributes=chance.choice(_ATTRIBUTES),
                purpose=code,
                purpose_version=PURPOSES[code].version,
                legal_basis="consent",
                correlation=secrets.token_hex(16),
                consent_id=secrets.token_hex(16),
                grant_id=secrets.token_hex(16),
            )
        )
    return made


def lengths(entries: int) -> list[int]:
    """Return how long each record is to be: one very long, the others by a skewed distribution."""
    chance = random.Random(7)
    long = min(LONG, entries // 5)
    weights = [chance.lognormvariate(0, 1) for _ in range(max(50, (entries - long) // AVERAGE))]
    unit = (entries - long) / sum(weights)
    return [long, *(max(1, round(weight * unit)) for weight in weights)]


def add_people(place: Place, count: int) -> None:
    """Add people until there are so many."""
    moment, chance = now(), place.installation.chance
    missing = count - len(place.people)
    rows = [
        {"id": new_id(moment, chance), "kind": SubjectKind.PERSON.value, "created_at": moment}
        for _ in range(missing)
    ]
    with place.installation.engine.begin() as db:
        copy_many(db, subject, rows)
    place.people += [str(row["id"]) for row in rows]


def load(place: Place, people: Sequence[tuple[str, int]], what: str) -> float:
    """Give each person so many entries over the last year; return entries a second."""
    installation, total = place.installation, sum(length for _, length in people)
    begun, step = time.perf_counter(), timedelta(days=365) / _WEEKS
    with Progress() as bar:
        task = bar.add_task(what, total=total)
        for week in range(_WEEKS):
            # The last ends before now, so that what is measured afterwards is later.
            at = now() - timedelta(hours=1) - step * (_WEEKS - 1 - week)
            for batch in _batches(people, week):
                at += timedelta(milliseconds=10)
                with installation.engine.begin() as db:
                    _log(place.installation, db, at).record_many(batch)
                bar.update(task, advance=len(batch))
    return total / (time.perf_counter() - begun)


def _log(installation: Installation, db: Connection, at: datetime) -> UseLog:
    return UseLog(db, lambda: at, installation.chance, installation.vault, installation.known_terms)


def _batches(people: Sequence[tuple[str, int]], week: int) -> Iterator[list[Use]]:
    chance, kinds = random.Random(week), uses()
    batch: list[Use] = []
    for subject_id, length in people:
        count = length * (week + 1) // _WEEKS - length * week // _WEEKS
        for _ in range(count):
            batch.append(replace(chance.choice(kinds), subject_id=subject_id))
            if len(batch) == BATCH:
                yield batch
                batch = []
    if batch:
        yield batch
