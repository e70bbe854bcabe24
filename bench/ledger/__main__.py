"""Measures the ledger of uses; the numbers of the measures are those of the acceptance list.

    .venv/bin/python -m bench.ledger [--entries 10000000] [--sqlite]

A year of uses is loaded, with real commitments and chains, into a database of its own in a temporary
directory; everything happens on loopback and goes away at the end.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from bench.ledger import archived, latency, proofs, reading, writing
from bench.ledger.load import add_people, lengths, load
from bench.ledger.world import Place, Report, now, placed, sign_in_citizens
from bench.run import machine
from idp.audit import configure_logging

_RESULTS = Path(__file__).parents[1] / "results" / "ledger.json"


def fill(place: Place, report: Report, chosen: argparse.Namespace) -> None:
    """Load a tenth, read, load the rest, and read again."""
    wanted = lengths(chosen.entries)
    add_people(place, len(wanted))
    records = list(zip(place.people, wanted, strict=True))
    everybody = place.people
    # Only whoever is loaded is read; the person with the long record comes with the second part.
    tenth = len(records) // 10
    load(place, records[1:tenth], "a tenth")
    place.people = everybody[1:tenth]
    reading.random_people(place, chosen.times)
    small = reading.percentile(reading.random_people(place, chosen.times), 0.5)
    rate = load(place, [records[0], *records[tenth:]], "the rest")
    place.people = everybody
    report.say("8", "loaded, over the whole load (chains of a week at a time)", f"{rate:,.0f}/s")
    growth = reading.measure_reading(place, report, chosen.times) / small
    report.say("2", "p50 with all ÷ p50 with a tenth", f"{growth:.2f}", "≤ 1.5", met=growth <= 1.5)


def main() -> int:
    """Run the measures that were asked for."""
    parser = argparse.ArgumentParser(description="How fast and how large the ledger is.")
    parser.add_argument("--entries", type=int, default=10_000_000)
    parser.add_argument("--sqlite", action="store_true", help="SQLite in place of PostgreSQL")
    parser.add_argument("--times", type=int, default=1_000, help="reads of each kind")
    parser.add_argument("--trials", type=int, default=10_000, help="withdrawals in the race")
    parser.add_argument("--seconds", type=int, default=60, help="of light load and of releases")
    parser.add_argument("--sequence", type=float, default=3_600, help="seconds for the sequencer")
    parser.add_argument("--worlds", type=int, default=4_000, help="published runs to tell apart")
    chosen = parser.parse_args()
    if chosen.entries < 20_000:
        parser.error("--entries: 20,000 at least")
    configure_logging("ERROR")
    postgres, report, begun = not chosen.sqlite, Report(), time.monotonic()
    facts = {**machine(), "begun": now().isoformat(timespec="seconds"), "entries": chosen.entries,
             "load before": os.getloadavg()}  # fmt: skip
    print(f"{'PostgreSQL' if postgres else 'SQLite'}, {chosen.entries:,} entries; load average "
          f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)  # fmt: skip
    with tempfile.TemporaryDirectory() as name, placed(Path(name), postgres=postgres) as place:
        fill(place, report, chosen)
        sign_in_citizens(place)
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
    proofs.measure_privacy(report, chosen.worlds)
    took = time.monotonic() - begun
    print(f"{took / 60:.0f} minutes; load average at the end {os.getloadavg()[0]:.1f}")
    report.write(_RESULTS, {**facts, "load after": os.getloadavg(), "seconds": round(took)})
    return 0


if __name__ == "__main__":
    sys.exit(main())
