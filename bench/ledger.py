"""Measures the ledger: the sequencer, proofs, their verification, and storage.

    .venv/bin/python -m bench.ledger [--entries 50000] [--people 1000] [--postgres]

The numbers of the measures are those of the acceptance list. Everything happens in a temporary directory.
"""

import argparse
import json
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

from sqlalchemy import select, text

from accounts.subject import SubjectKind
from bench.postgres import Postgres
from consent.data_use import Channel, Use, subject_chain
from consent.ledger import tiles, verify
from consent.ledger.tree import inclusion_proof, leaf_hash, verify_inclusion
from consent.log_state import LogState
from idp import ledger, proof
from idp.audit import configure_logging
from idp.database import for_reading, upgrade
from idp.services import Installation, prepare_keys
from idp.settings import Settings

LONG_HISTORY = 10_000
_CHUNK = 2_000
_TABLES = ("data_use", "subject_chain", "ledger_tile", "ledger_head", "ledger_piece")
USE = Use(
    subject_id="", client_id="national-portal", channel=Channel.USERINFO,
    attributes=("sub", "name", "birthdate"), purpose="public-service", purpose_version=1,
    legal_basis="consent", correlation=secrets.token_hex(16), consent_id=secrets.token_hex(16),
    grant_id=secrets.token_hex(16),
)  # fmt: skip


def say(measure: str, what: str, figure: str, target: str = "") -> None:
    print(f"{measure:<4} {what:<58} {figure:>18}  {target}", flush=True)


def record(installation: Installation, subjects: list[str], entries: int) -> float:
    """Write so many entries, and return entries a second."""
    begun = time.perf_counter()
    for first in range(0, entries, _CHUNK):
        with installation.engine.begin() as db:
            log = installation.services(db).use_log
            for number in range(first, min(first + _CHUNK, entries)):
                log.record(replace(USE, subject_id=subjects[number % len(subjects)]))
    return entries / (time.perf_counter() - begun)


def sequence(installation: Installation) -> tuple[int, float]:
    """Take all that waits; return entries and seconds."""
    sequencer, taken = ledger.sequencer(installation), 0
    begun = time.perf_counter()
    while (done := sequencer.run_once()).entries:
        taken += done.entries
    return taken, time.perf_counter() - begun


def timed(act: Callable[[], Any], times: int = 200) -> float:
    """Return the median of an act's milliseconds."""
    took = []
    for _ in range(times):
        begun = time.perf_counter()
        act()
        took.append((time.perf_counter() - begun) * 1000)
    return statistics.median(took)


def measure_inclusion(installation: Installation) -> None:
    with for_reading(installation.engine).begin() as db:
        state = LogState(db)
        log = max(state.logs().values(), key=lambda one: one.size)
        read, number = state.reading(log.name), log.size // 3

        def make() -> list[bytes]:
            return inclusion_proof(number, log.size, lambda a, b: tiles.hash_in(read, a, b))

        path = make()
        entry = tiles.unbundle(read(tiles.ENTRIES, number // 256))[number % 256]
        leaf = leaf_hash(entry)
        say("11", f"inclusion proof in {log.size:,} entries", f"{len(path) * 32} B", "≤ 1 KB")
        say("11", "made from stored tiles, p50", f"{timed(make):.2f} ms", "≤ 20 ms")
        check = timed(lambda: verify_inclusion(leaf, number, log.size, path, log.root))
        say("11", "verified in Python, p50", f"{check * 1000:.0f} µs")


def measure_bundle(installation: Installation, subject_id: str) -> None:
    file = BytesIO()
    begun = time.perf_counter()
    proof.write(installation, subject_id, file, patience=0)
    made = time.perf_counter() - begun
    bundle = json.loads(file.getvalue())
    count = len(bundle["entries"])
    own = {name: bundle[name] for name in ("certificate", "map", "epoch", "checkpoint")}
    whole = len(json.dumps(own))
    lines = bundle["checkpoint"].split("\n")
    small = {**own, "checkpoint": "\n".join(line for line in lines if len(line) < 1000)}
    say("12", "completeness proof, Ed25519, as JSON", f"{len(json.dumps(small)):,} B", "≤ 4 KB")
    say("12", "completeness proof, with ML-DSA-44", f"{whole:,} B", "≤ 16 KB")
    say("13", f"bundle of {count:,} entries made", f"{made:.2f} s")
    now, trusted = int(time.time()), ledger.policy(installation)
    begun = time.perf_counter()
    verdict = verify.check(bundle, now=now, policy=trusted)
    took = time.perf_counter() - begun
    assert verdict.is_good, verdict.failed
    say("13", f"verified, {count:,} entries", f"{took:.2f} s", "≤ 1 s")


def sizes(installation: Installation) -> dict[str, int]:
    """Return the bytes of each table with its indexes."""
    with installation.engine.connect() as db:
        if db.dialect.name == "postgresql":
            query = "SELECT pg_total_relation_size(:name)"
            found = {n: db.execute(text(query), {"name": n}).scalar_one() for n in _TABLES}
        else:
            query = "SELECT sum(pgsize) FROM dbstat WHERE name = :name OR name LIKE :auto"
            found = {
                n: db.execute(text(query), {"name": n, "auto": f"sqlite_autoindex_{n}%"}).scalar()
                for n in _TABLES
            }
        db.rollback()
    return {name: int(size or 0) for name, size in found.items()}


@contextmanager
def installed(folder: Path, *, postgres: bool) -> Iterator[Installation]:
    # A root process starts PostgreSQL as another user, who has to get in.
    folder.chmod(0o755)
    server = Postgres(folder / "postgres", ()) if postgres else None
    url = f"sqlite:///{folder / 'sen.db'}"
    if server is not None:
        server.start()
        url = server.url()
    settings = Settings("https://id.example", url, folder, secrets.token_bytes(48))
    installation = Installation(settings)
    try:
        upgrade(installation.engine)
        prepare_keys(installation)
        yield installation
    finally:
        installation.engine.dispose()
        if server is not None:
            server.stop()


def main() -> int:
    parser = argparse.ArgumentParser(description="How fast and how large the ledger is.")
    parser.add_argument("--entries", type=int, default=50_000)
    parser.add_argument("--people", type=int, default=1_000)
    parser.add_argument("--postgres", action="store_true")
    given = parser.parse_args()
    configure_logging("WARNING")
    with (
        tempfile.TemporaryDirectory() as name,
        installed(Path(name), postgres=given.postgres) as installation,
    ):
        print(f"{installation.engine.dialect.name}, {given.entries:,} entries of {given.people:,}")
        with installation.engine.begin() as db:
            subjects = installation.services(db).subjects
            people = [subjects.add(SubjectKind.PERSON) for _ in range(given.people)]
        say(
            "",
            "entries written, one transaction for many",
            f"{record(installation, people, given.entries):,.0f}/s",
        )
        hot = sizes(installation)
        taken, seconds = sequence(installation)
        say(
            "9",
            f"sequencer with map, {given.people:,} people",
            f"{taken / seconds:,.0f}/s",
            "≥ 10,000/s",
        )
        record(installation, people[:1], LONG_HISTORY)
        taken, seconds = sequence(installation)
        say("9", "sequencer with map, one person", f"{taken / seconds:,.0f}/s", "≥ 10,000/s")
        record(installation, people[:20], 20)
        _, seconds = sequence(installation)
        say("", "an epoch of 20 entries", f"{seconds * 1000:.0f} ms")
        measure_inclusion(installation)
        measure_bundle(installation, people[0])
        after = sizes(installation)
        with installation.engine.connect() as db:
            total = sum(db.execute(select(subject_chain.c.length)).scalars())
            db.rollback()
        say(
            "20",
            "a use's row with its indexes",
            f"{hot['data_use'] / given.entries:,.0f} B",
            "≤ 300 B",
        )
        logs = after["ledger_tile"] / total
        say("20", "tiles, entries and auditors' stream, an entry", f"{logs:,.0f} B")
        rest = (after["ledger_head"] + after["ledger_piece"]) / given.people
        say("20", "head and its share of the map, a person", f"{rest:,.0f} B")
    return 0


if __name__ == "__main__":
    sys.exit(main())
