"""Measures 19 and 20 for the archive: what an entry takes there, and what moving and reading it costs."""

import random
import secrets
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

from accounts.schema import new_id
from bench.ledger.world import Place, Report, now
from consent.archive import parts, spelling
from consent.archive.moving import COMMON_TO
from consent.archive.parts import SALT_BYTES, WHO_BYTES, Part
from consent.data_use import Channel, Use, UseEntry
from consent.old_uses import old_positions
from consent.purposes import PURPOSES
from idp import archiving
from idp.database import for_reading
from idp.services import Installation

_BEGIN = datetime(2025, 3, 1, tzinfo=UTC)
_AGENCIES = 40
_ATTRIBUTES = (
    ("birthdate", "name", "sub"),
    ("sub",),
    ("address", "gender", "name", "sub"),
    ("email", "sub"),
)


_AHEAD = timedelta(days=150)
_READS = 300


def measure_archive(place: Place, report: Report) -> None:
    """Move what will be old enough in five months, hold it against the logs, and read from it."""
    real = place.installation
    later = Installation(real.settings, engine=real.engine, clock=lambda: now() + _AHEAD)
    begun = time.perf_counter()
    moved = list(archiving.run(later))
    took = time.perf_counter() - begun
    entries, size = (sum(getattr(one, of) for one in moved) for of in ("entries", "size"))
    each = size / entries
    shape = f"{entries:,} of {sum(one.people for one in moved):,} people's months"
    report.say("20", f"an entry of the archive ({shape})", f"{each:.0f} B", "≤ 110 B",
               met=each <= 110)  # fmt: skip
    report.say("20", "moved: written, read back, held against the logs", f"{entries / took:,.0f}/s")
    begun = time.perf_counter()
    good = all(one.is_good for one in archiving.check(later))
    took = time.perf_counter() - begun
    report.say("20", "verified by 'sen archive verify'", f"{entries / took:,.0f}/s", met=good)
    took_each = []
    with for_reading(real.engine).begin() as db:
        for subject_id in random.Random(3).sample(place.people, min(_READS, len(place.people))):
            begun = time.perf_counter()
            log = later.services(db).use_log
            after, before = old_positions(db, subject_id)
            found = log.of_subject(subject_id, before=before) if before - after > 1 else []
            took_each += [(time.perf_counter() - begun) * 1000] if found else []
    report.times("1", "an archived page of 50", took_each, 50, share=0.95)


def bytes_an_entry(folder: Path, *, people: int, uses: int, grants: int) -> float:
    """Return the bytes an entry takes in a file with so many people, uses of each and grants of each.
    Every identifier is another, as are the agencies' purposes and attributes.
    """
    chance = random.Random(20)
    agencies = [
        (f"agency-{n}", code, PURPOSES[code].version, chance.choice(_ATTRIBUTES))
        for n, code in enumerate(chance.choices(sorted(PURPOSES), k=_AGENCIES))
    ]
    own = []
    for _ in range(people):
        given = [(_id(), _id(), chance.choice(agencies)) for _ in range(grants)]
        own.append((secrets.token_bytes(WHO_BYTES), _entries(chance, given, uses)))
    own.sort()
    counted = Counter(t for _, entries in own for t in {spelling.common(e) for e in entries})
    known = spelling.dictionary(t for t, count in counted.most_common() if count >= COMMON_TO)
    part, key = Part("2025-03", 0, secrets.token_bytes(SALT_BYTES), known), secrets.token_bytes(32)
    path = folder / "measured.parquet"
    with path.open("wb") as file:
        parts.write(file, part, (part.block(who, entries, key) for who, entries in own))
    return path.stat().st_size / (people * uses)


def _entries(
    chance: random.Random, given: list[tuple[str, str, tuple[str, str, int, tuple[str, ...]]]],
    count: int,
) -> list[UseEntry]:  # fmt: skip
    moments = sorted(chance.randrange(31 * 86_400_000_000) for _ in range(count))
    found = []
    for position, moment in enumerate(moments, 5):
        consent_id, grant_id, (agency, purpose, version, attributes) = chance.choice(given)
        at = _BEGIN + timedelta(microseconds=moment)
        use = Use(
            subject_id="s" * 32,
            client_id=agency,
            channel=chance.choice((Channel.ID_TOKEN, Channel.USERINFO, Channel.INTROSPECTION)),
            attributes=attributes,
            purpose=purpose,
            purpose_version=version,
            legal_basis="consent",
            correlation=secrets.token_hex(16),
            consent_id=consent_id,
            grant_id=grant_id,
        )
        entry_id = new_id(at, secrets.token_bytes)
        found.append(UseEntry(entry_id, position, at, use, secrets.token_bytes(32)))
    return found


def _id() -> str:
    return new_id(_BEGIN, secrets.token_bytes)
