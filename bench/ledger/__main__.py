"""Measures the ledger of uses; the numbers of the measures are those of the acceptance list.

    .venv/bin/python -m bench.ledger [--entries 10000000] [--sqlite]

A year of uses is loaded, with real commitments and chains, into a database of its own in a temporary
directory; everything happens on loopback and goes away at the end. With ``--kept FOLDER`` a copy of
what was loaded stays, and the next run begins with it.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.ledger import archived, events, kept, latency, proofs, reading, writing
from bench.ledger.kept import Loaded
from bench.ledger.load import add_people, lengths, load
from bench.ledger.world import Place, Report, now, percentile, placed, sign_in_citizens
from bench.run import machine
from idp.audit import configure_logging
from idp.collector import collect_seldom

_RESULTS = Path(__file__).parents[1] / "results" / "ledger.json"


def fill(place: Place, chosen: argparse.Namespace) -> tuple[Loaded, float]:
    """Load a tenth, read, and load the rest; return also the median of reading."""
    wanted = lengths(chosen.entries)
    add_people(place, len(wanted))
    records = list(zip(place.people, wanted, strict=True))
    secret = place.installation.settings.secret
    loaded = Loaded(secret, chosen.entries, place.people, len(records) // 10)
    # The person with the long record comes with the second part.
    load(place, records[1 : loaded.tenth], "a tenth")
    median = read_tenth(place, loaded, chosen.times)
    if chosen.kept:
        kept.keep(place, kept.TENTH, chosen.kept)
    loaded.rate = load(place, [records[0], *records[loaded.tenth :]], "the rest")
    if chosen.kept:
        kept.keep(place, kept.WHOLE, chosen.kept)
        kept.note(loaded, chosen.kept)
    return loaded, median


def read_tenth(place: Place, loaded: Loaded, times: int) -> float:
    """Return the median of reading the newest page of whoever is loaded."""
    place.people = loaded.people[1 : loaded.tenth]
    reading.random_people(place, times)
    median = percentile(reading.random_people(place, times), 0.5)
    place.people = loaded.people
    return median


@contextmanager
def begun(chosen: argparse.Namespace, report: Report) -> Iterator[Place]:
    """Have everything loaded, and read."""
    loaded = kept.find(chosen.kept, chosen.entries) if chosen.kept else None
    with ExitStack() as stack:
        if loaded is None:
            name = stack.enter_context(tempfile.TemporaryDirectory())
            place = stack.enter_context(placed(Path(name), postgres=not chosen.sqlite))
            loaded, median = fill(place, chosen)
        else:
            with kept.brought(loaded, kept.TENTH, chosen.kept) as small:
                median = read_tenth(small, loaded, chosen.times)
            place = stack.enter_context(kept.brought(loaded, kept.WHOLE, chosen.kept))
        sign_in_citizens(place)
        report.say("8", "loaded, over the whole load (chains of a week at a time)",
                   f"{loaded.rate:,.0f}/s")  # fmt: skip
        growth = reading.measure_reading(place, report, chosen.times) / median
        report.say("2", "p50 with all ÷ p50 with a tenth", f"{growth:.2f}", "≤ 1.5",
                   met=growth <= 1.5)  # fmt: skip
        yield place


def main() -> int:
    """Run the measures that were asked for."""
    parser = argparse.ArgumentParser(description="How fast and how large the ledger is.")
    parser.add_argument("--entries", type=int, default=10_000_000)
    parser.add_argument("--sqlite", action="store_true", help="SQLite in place of PostgreSQL")
    parser.add_argument("--times", type=int, default=1_000, help="reads of each kind")
    parser.add_argument("--trials", type=int, default=10_000, help="withdrawals in the race")
    parser.add_argument("--withdrawals", type=int, default=200, help="whose events are awaited")
    parser.add_argument("--seconds", type=int, default=60, help="of light load and of releases")
    parser.add_argument("--sequence", type=float, default=3_600, help="seconds for the sequencer")
    parser.add_argument("--worlds", type=int, default=4_000, help="published runs to tell apart")
    parser.add_argument(
        "--kept", type=Path, metavar="FOLDER", help="keep what is loaded, or begin with it"
    )
    chosen = parser.parse_args()
    if chosen.entries < 20_000:
        parser.error("--entries: 20,000 at least")
    if chosen.kept and chosen.sqlite:
        parser.error("--kept: PostgreSQL only")
    configure_logging("ERROR")
    # As a server does.
    collect_seldom()
    postgres, report, start = not chosen.sqlite, Report(), time.monotonic()
    facts = {**machine(), "begun": now().isoformat(timespec="seconds"), "entries": chosen.entries,
             "load before": os.getloadavg()}  # fmt: skip
    print(f"{'PostgreSQL' if postgres else 'SQLite'}, {chosen.entries:,} entries; load average "
          f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)  # fmt: skip
    with begun(chosen, report) as place:
        reading.measure_page(place, report, min(chosen.times, 200))
        reading.measure_cold(place, report, min(chosen.times, 300))
        writing.measure_overhead(place, report, chosen.times)
        writing.measure_releases(place, report, chosen.seconds / 6)
        writing.measure_bulk(place, report)
        writing.measure_sequencer(place, report, chosen.sequence)
        proofs.measure_inclusion(place, report)
        proofs.measure_bundle(place, report)
        proofs.measure_storage(place, report)
        archived.measure_archive(place, report)
        proofs.measure_shredding(place, report)
        sign_in_citizens(place)
        writing.measure_race(place, report, chosen.trials)
    latency.measure_latency(report, chosen.seconds, postgres=postgres)
    events.measure_events(report, chosen.withdrawals, postgres=postgres)
    proofs.measure_privacy(report, chosen.worlds)
    took = time.monotonic() - start
    print(f"{took / 60:.0f} minutes; load average at the end {os.getloadavg()[0]:.1f}")
    report.write(_RESULTS, {**facts, "load after": os.getloadavg(), "seconds": round(took)})
    return 0


if __name__ == "__main__":
    sys.exit(main())
