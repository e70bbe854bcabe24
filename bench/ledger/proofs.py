"""Measures 11 to 13 and 18 to 20: proofs, what public bytes tell, shredding, and storage."""

import hashlib
import json
import math
import secrets
import tempfile
import time
import zlib
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

from sqlalchemy import delete, func, select, text

from bench.ledger import in_browser
from bench.ledger.load import add_people, uses
from bench.ledger.world import Place, Report, middle, now, placed
from consent.data_use import UseEntry, subject_chain, subject_key
from consent.ledger import commitment, tiles, verify
from consent.ledger.tree import inclusion_proof, leaf_hash, verify_inclusion
from consent.log_state import LogState
from idp import ledger, proof
from idp.database import for_reading

_TABLES = (
    "data_use",
    "subject_chain",
    "subject_key",
    "ledger_tile",
    "ledger_head",
    "ledger_piece",
    "use_receipt",
)


def sizes(place: Place) -> dict[str, int]:
    """Return the bytes of each table with its indexes."""
    with place.installation.engine.connect() as db:
        if db.dialect.name == "postgresql":
            query = (
                "SELECT pg_total_relation_size(:name) + coalesce(sum(pg_total_relation_size(relid)), 0) "
                "FROM pg_partition_tree(:name)"
            )
            found = {n: db.execute(text(query), {"name": n}).scalar_one() for n in _TABLES}
        else:
            query = "SELECT sum(pgsize) FROM dbstat WHERE name = :name OR name LIKE :auto"
            found = {
                n: db.execute(text(query), {"name": n, "auto": f"sqlite_autoindex_{n}%"}).scalar()
                for n in _TABLES
            }
        db.rollback()
    return {name: int(size or 0) for name, size in found.items()}


def measure_inclusion(place: Place, report: Report) -> None:
    """Measure one inclusion proof in the longest log."""
    with for_reading(place.installation.engine).begin() as db:
        state = LogState(db)
        logs = state.logs()
        log = max(logs.values(), key=lambda one: one.size)
        read, number = state.reading(log.name), log.size // 3

        def make() -> list[bytes]:
            return inclusion_proof(number, log.size, lambda a, b: tiles.hash_in(read, a, b))

        path = make()
        entry = tiles.unbundle(read(tiles.ENTRIES, number // 256))[number % 256]
        leaf = leaf_hash(entry)
        size, made = len(path) * 32, middle(make)
        report.say("11", f"inclusion proof in {log.size:,} entries, {len(logs)} logs", f"{size} B",
                   "≤ 1 KB", met=size <= 1024)  # fmt: skip
        report.say("11", "made from stored tiles, p50", f"{made:.2f} ms", "≤ 20 ms", met=made <= 20)
        check = middle(lambda: verify_inclusion(leaf, number, log.size, path, log.root))
        report.say("11", "verified in Python, p50", f"{check * 1000:.0f} µs")
    if in_browser.find() is None:
        report.say("11", "verified in a browser", "not measured: no Chromium")
        return
    with in_browser.verifying_page() as page:
        took = in_browser.inclusion_milliseconds(page, leaf, number, log.size, path, log.root)
    report.say("11", "verified in Chromium, p50", f"{took:.2f} ms", "≤ 1 ms", met=took <= 1)


def bundle_of(place: Place, subject_id: str) -> dict[str, Any]:
    """Return the proof of a record."""
    file = BytesIO()
    proof.write(place.installation, subject_id, file, patience=0)
    found: dict[str, Any] = json.loads(file.getvalue())
    return found


def is_good(place: Place, bundle: dict[str, Any]) -> bool:
    """True when the proof verifies."""
    return verify.check(
        bundle, now=int(time.time()), policy=ledger.policy(place.installation)
    ).is_good


def measure_bundle(place: Place, report: Report) -> None:
    """Measure the proof of a record of some 10,000 entries."""
    with place.installation.engine.connect() as db:
        rows = db.execute(select(subject_chain.c.subject_id, subject_chain.c.length)).all()
        db.rollback()
    subject_id, count = min(rows, key=lambda row: abs(row.length - 10_000))
    begun = time.perf_counter()
    bundle = bundle_of(place, subject_id)
    made = time.perf_counter() - begun
    own = {name: bundle[name] for name in ("certificate", "map", "epoch", "checkpoint")}
    lines = bundle["checkpoint"].split("\n")
    small = {**own, "checkpoint": "\n".join(line for line in lines if len(line) < 1000)}
    for name, facts, most in (("Ed25519", small, 4), ("with ML-DSA-44", own, 16)):
        size = len(json.dumps(facts))
        report.say("12", f"completeness proof as JSON, {name}", f"{size:,} B", f"≤ {most} KB",
                   met=size <= most * 1024)  # fmt: skip
    report.say("13", f"bundle of {count:,} entries made", f"{made:.2f} s")
    begun = time.perf_counter()
    assert is_good(place, bundle)
    took = time.perf_counter() - begun
    report.say("13", f"verified by the command, {count:,} entries", f"{took:.2f} s",
               "≤ 1 s", met=took <= 1)  # fmt: skip
    if in_browser.find() is None:
        report.say("13", "verified on a phone", "not measured: no Chromium")
        return
    policy = ledger.policy(place.installation).text
    with in_browser.verifying_page(in_browser.PHONE) as page:
        took = in_browser.bundle_seconds(page, bundle, policy)
    report.say("13", f"verified in Chromium, {in_browser.PHONE} times slowed", f"{took:.2f} s",
               "≤ 2 s", met=took <= 2)  # fmt: skip


def measure_storage(place: Place, report: Report) -> None:
    """Measure what an entry and a person cost."""
    found = sizes(place)
    with place.installation.engine.connect() as db:
        logs = LogState(db).logs().values()
        taken = sum(log.size for log in logs if log.name.startswith("entries/"))
        rows, people = db.execute(select(func.sum(subject_chain.c.length), func.count())).one()
        db.rollback()
    row = found["data_use"] / rows
    report.say("20", "a use's row with its indexes", f"{row:,.0f} B", "≤ 300 B", met=row <= 300)
    report.say("20", "tiles, entries and auditors' stream, an entry taken",
               f"{found['ledger_tile'] / taken:,.0f} B")  # fmt: skip
    report.say(
        "20", "the relying party's receipt, an entry", f"{found['use_receipt'] / taken:,.0f} B"
    )
    own = sum(found[n] for n in ("subject_chain", "subject_key", "ledger_head", "ledger_piece"))
    report.say("20", "chain, key, head and share of the map, a person", f"{own / people:,.0f} B")


def measure_shredding(place: Place, report: Report) -> None:
    """Forget one person's year, and see who notices."""
    installation = place.installation
    with installation.engine.connect() as db:
        taken = LogState(db).heads_of(place.people[-500:])
        db.rollback()
    gone, other = sorted(one for one, head in taken.items() if head.length > 20)[:2]
    year = now().year - 1
    before = _opening(place, gone, year)
    with installation.engine.begin() as db:
        mine = subject_key.c.subject_id == gone, subject_key.c.year == year
        db.execute(delete(subject_key).where(*mine))
    after = _opening(place, gone, year)
    report.say("19", f"a person-year shredded: of {before} entries, still opening", f"{after}", "0",
               met=before > 0 and after == 0)  # fmt: skip
    good = is_good(place, bundle_of(place, other)) and is_good(
        place, bundle_of(place, place.people[0])
    )
    report.say("19", "the others' proofs verify", "yes" if good else "no", "yes", met=good)
    report.say("19", "a copy of archive and rows without keys", "tests/consent/test_archive.py")


def _opening(place: Place, subject_id: str, year: int) -> int:
    """Count a year's entries whose commitments what is kept of them, here or in the archive, opens."""
    with place.installation.engine.connect() as db:
        log, entries, before = place.installation.services(db).use_log, list[UseEntry](), None
        while page := log.of_subject(subject_id, before=before, limit=500):
            entries, before = [*entries, *page], page[-1].position
        kept = log.spelled(subject_id, 10**9)
        found = sum(
            commitment.commit(spelling, salt) == entry.commitment
            for (salt, spelling), entry in zip(kept, reversed(entries), strict=True)
            if entry.at.year == year
        )
        db.rollback()
    return found


def measure_privacy(report: Report, worlds: int) -> None:
    """Try to tell one person used by one agency from many people and agencies, by published tiles."""
    width = 64
    samples: list[list[list[bytes]]] = []
    for many in (False, True):
        with (
            tempfile.TemporaryDirectory() as name,
            placed(Path(name), postgres=False, seed=False) as place,
        ):
            add_people(place, 64 if many else 1)
            kinds = uses() if many else uses()[:1]
            count = worlds * width
            for first in range(0, count, 8192):
                with place.installation.engine.begin() as db:
                    place.installation.services(db).use_log.record_many([
                        replace(kinds[n % len(kinds)], subject_id=place.people[n % len(place.people)])
                        for n in range(first, min(first + 8192, count))
                    ])  # fmt: skip
            taker = ledger.sequencer(place.installation)
            while taker.run_once().entries:
                pass
            with place.installation.engine.connect() as db:
                state = LogState(db)
                log = max(state.logs().values(), key=lambda one: one.size)
                leaves = [
                    leaf
                    for number in range(log.size // 256)
                    for leaf in tiles.unbundle(state.tile(log.name, tiles.ENTRIES, number))
                ]
                db.rollback()
            samples.append(
                [leaves[n : n + width] for n in range(0, len(leaves) - width + 1, width)]
            )
    area = _area(*samples)
    tested = min(map(len, samples)) // 2
    error = math.sqrt((2 * tested + 1) / (12 * tested * tested))
    report.say("18", f"AUC of a classifier, {tested:,} published runs of {width} entries each",
               f"{area:.3f} ± {error:.3f}", "≤ 0.52", met=area <= 0.52)  # fmt: skip
    _attack(report)


def _features(leaves: list[bytes]) -> list[float]:
    joined = b"".join(leaves)
    ones = [sum(leaf[place] for leaf in leaves) / len(leaves) for place in range(32)]
    counts = [0] * 256
    for byte in joined:
        counts[byte] += 1
    mean = len(joined) / 256
    return [
        *ones,
        sum((one - mean) ** 2 for one in counts),
        float(len(zlib.compress(joined, 9))),
        float(joined.count(b"\x00")),
        float(len(set(leaves))),
        float(int.from_bytes(joined, "big").bit_count()),
    ]


def _area(one: list[list[bytes]], other: list[list[bytes]]) -> float:
    """Train Gaussian naive Bayes on the first halves; return the area under its curve on the others."""
    parts = []
    for world in (one, other):
        vectors = [_features(leaves) for leaves in world]
        parts.append((vectors[: len(vectors) // 2], vectors[len(vectors) // 2 :]))
    models = []
    for trained, _ in parts:
        columns = list(zip(*trained, strict=True))
        means = [sum(column) / len(column) for column in columns]
        spread = [
            sum((value - mean) ** 2 for value in column) / len(column) + 1e-9
            for column, mean in zip(columns, means, strict=True)
        ]
        models.append((means, spread))

    def score(vector: list[float]) -> float:
        likely = [
            -sum(
                (value - mean) ** 2 / (2 * wide) + math.log(wide) / 2
                for value, mean, wide in zip(vector, means, spread, strict=True)
            )
            for means, spread in models
        ]
        return likely[1] - likely[0]

    ranked = sorted([(score(v), 0) for v in parts[0][1]] + [(score(v), 1) for v in parts[1][1]])
    first, second = len(parts[0][1]), len(parts[1][1])
    ranks = sum(place for place, (_, kind) in enumerate(ranked, 1) if kind)
    return (ranks - second * (second + 1) / 2) / (first * second)


def _attack(report: Report) -> None:
    """Guess an entry whose content is known in full, without its salt and with it."""
    key, entry_id = secrets.token_bytes(32), secrets.token_hex(16)
    known = json.dumps({"subject": "s", "client_id": "agency-1", "id": entry_id}).encode()
    true = commitment.salt(key, entry_id)
    published = commitment.commit(known, true)
    public = [b"", bytes(32), entry_id.encode(), hashlib.sha256(entry_id.encode()).digest(),
              *(commitment.salt(hashlib.sha256(str(n).encode()).digest(), entry_id)
                for n in range(100_000))]  # fmt: skip
    found = sum(commitment.commit(known, one) == published for one in public)
    assert commitment.commit(known, true) == published
    report.say("18", f"content known in full, {len(public):,} salts tried", f"{found} found", "0",
               met=found == 0)  # fmt: skip
