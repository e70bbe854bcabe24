"""Works per CPU second of Sen ID and of a peer, measured side by side.

    python -m bench.run [--peer] [--quick] [--only WORK] [--subjects NAMES] [--profile]

Server and database are pinned to one core, the driver to another. Each round measures every subject
at every work, one right after the other, so that a slow moment of the machine meets all of them; a
ratio is taken within a round and the median of the rounds is shown. CPU seconds are user + system
time of the server's process tree and of PostgreSQL's. "Reference" CPU seconds are these divided by
how slow the core was just then (a probe times a fixed loop on it); the ratios use them.
"""

import argparse
import json
import math
import os
import platform
import signal
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from bench import hotspots
from bench.browser import SignInError
from bench.load import Load, ProtocolError, Slice
from bench.meter import SLOWNESS_WEIGHT, Probe
from bench.subjects import (
    PEOPLE,
    ROOT,
    SUBJECTS,
    Ours,
    Peer,
    Subject,
    UnavailableError,
    launcher,
    make_seed,
)
from bench.works import TITLES, WORKS, Session

HEADINGS = (
    "works/s",
    "per CPU s",
    "per ref. CPU s",
    "CPU ms",
    "p50 ms",
    "p99 ms",
    "spread",
    "errors",
)
RESULTS = ROOT / "bench" / "results"


@dataclass
class Measure:
    """One subject at one work in one round."""

    subject: str
    work: str
    round: int
    works: int
    errors: dict[str, int]
    seconds: float
    cpu_seconds: float
    slowness: float
    driver_share: float
    p50_ms: float
    p99_ms: float

    @property
    def per_cpu_second(self) -> float:
        return self.works / self.cpu_seconds if self.cpu_seconds else 0.0

    @property
    def per_reference_second(self) -> float:
        return self.per_cpu_second * math.pow(self.slowness, SLOWNESS_WEIGHT)


@dataclass
class Running:
    """A started subject with its signed-in sessions."""

    subject: Subject
    sessions: list[Session]
    start_seconds: float
    sign_in_seconds: float
    loads: dict[str, Load] = field(default_factory=dict)

    def load(self, work: str) -> Load:
        if work not in self.loads:
            sources = [WORKS[work](session) for session in self.sessions]
            self.loads[work] = Load(self.subject.port, sources)
        return self.loads[work]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__.splitlines()[0])
    parser.add_argument("--peer", action="store_true", help="measure oidc-provider (Node) as well")
    parser.add_argument("--subjects", help=f"comma-separated, of: {', '.join(SUBJECTS)}")
    parser.add_argument("--only", action="append", choices=list(WORKS), help="this work only")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement (3)")
    parser.add_argument("--rounds", type=int, default=5, help="5")
    parser.add_argument("--connections", type=int, default=16, help="16; the goals also name 32")
    parser.add_argument("--warmup", type=float, default=10.0, help="seconds per work, peer (10)")
    parser.add_argument("--quick", action="store_true", help="about a minute; figures are coarse")
    parser.add_argument("--profile", action="store_true", help="tell where our CPU time goes")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.seconds, chosen.rounds, chosen.warmup = 1.5, 1, 3.0
    for name, low, high in (
        ("seconds", 0.2, 60),
        ("rounds", 1, 20),
        ("connections", 1, 128),
        ("warmup", 0, 60),
    ):
        if not low <= getattr(chosen, name) <= high:
            parser.error(f"--{name} must be between {low} and {high}")
    if chosen.profile:
        chosen.connections = 1
    chosen.works = [work for work in WORKS if work in (chosen.only or WORKS)]
    if chosen.subjects:
        chosen.names = chosen.subjects.split(",")
        if unknown := set(chosen.names) - set(SUBJECTS):
            parser.error(f"unknown subjects: {', '.join(sorted(unknown))}")
    else:
        chosen.names = ["ours-sqlite", "ours-postgres"] + (["peer"] if chosen.peer else [])
    return chosen


def marker(name: str) -> Path:
    """The file that turns the profiler of a subject on, and the start of what it writes."""
    return RESULTS / f"profile-{name}"


def cores() -> tuple[int | None, int | None]:
    """The cores of the servers and of the driver; None for both where there is only one."""
    available = sorted(os.sched_getaffinity(0))
    return (available[0], available[1]) if len(available) > 1 else (None, None)


def say(text: str) -> None:
    print(text, flush=True)


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def launch(subject: Subject, seed_file: Path, connections: int) -> Running:
    """Starts a subject and signs one person in for each connection."""
    seed = json.loads(seed_file.read_text())
    begun = time.perf_counter()
    subject.start(seed_file)
    provider = subject.provider(seed)
    started = time.perf_counter()
    sessions = [
        Session(provider, person["login"], person["password"])
        for person in seed["people"][:connections]
    ]
    for session in sessions:
        session.sign_in()
    signed_in = time.perf_counter()
    return Running(subject, sessions, started - begun, signed_in - started)


def obtain_tokens(running: Running) -> None:
    """Fresh access tokens for every session, by one journey each."""
    result = running.load("sso").run(30, works_each=1)
    if result.errors:
        raise ProtocolError(f"no tokens: {dict(result.errors)}")


def measure(running: Running, work: str, number: int, seconds: float, probe: Probe) -> Measure:
    """Drives one work for some seconds and says what it cost."""
    obtain_tokens(running)
    start = time.monotonic()
    cpu = running.subject.cpu_seconds()
    with running.subject.profiled():
        result: Slice = running.load(work).run(seconds)
    cpu = running.subject.cpu_seconds() - cpu
    loop = probe.loop_time(start, time.monotonic())
    return Measure(
        subject=running.subject.name,
        work=work,
        round=number,
        works=result.works,
        errors=dict(result.errors),
        seconds=result.seconds,
        cpu_seconds=cpu,
        slowness=loop / probe.fastest,
        driver_share=result.driver_cpu / result.seconds,
        p50_ms=result.percentile(0.50),
        p99_ms=result.percentile(0.99),
    )


def median(values: list[float]) -> float:
    return statistics.median(values) if values else float("nan")


def table(rows: list[list[str]]) -> str:
    """Plain columns, the first to the left and the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def report(measures: list[Measure], running: list[Running], works: list[str]) -> str:
    """The tables: figures of each subject at each work, then the ratios to the peer."""
    works = [work for work in TITLES if work in works]
    parts = []
    for work in works:
        rows = [["", *HEADINGS]]
        for name in (entry.subject.name for entry in running):
            mine = [entry for entry in measures if (entry.subject, entry.work) == (name, work)]
            if not mine:
                continue
            rate = median([entry.per_cpu_second for entry in mine])
            reference = [entry.per_reference_second for entry in mine]
            middle = median(reference)
            spread = (max(reference) - min(reference)) / middle if middle else 0.0
            rows.append(
                [
                    name,
                    f"{median([entry.works / entry.seconds for entry in mine]):.0f}",
                    f"{rate:.0f}",
                    f"{middle:.0f}",
                    f"{1000 / rate if rate else float('nan'):.3f}",
                    f"{median([entry.p50_ms for entry in mine]):.1f}",
                    f"{median([entry.p99_ms for entry in mine]):.1f}",
                    f"{100 * spread:.0f} %",
                    str(sum(sum(entry.errors.values()) for entry in mine)),
                ]
            )
        parts.append(f"{TITLES[work]}\n{table(rows)}")
    rows = [["", "peak RSS MiB", "start s", "password sign-in ms"]]
    for entry in running:
        rows.append(
            [
                entry.subject.name,
                f"{entry.subject.server_rss():.0f}",
                f"{entry.start_seconds:.1f}",
                f"{1000 * entry.sign_in_seconds / len(entry.sessions):.0f}",
            ]
        )
    parts.append(f"server without its database\n{table(rows)}")
    if found := ratios(measures, works):
        rows = [["ratio to the peer", *works]]
        for name, by_work in found.items():
            rows.append(
                [
                    f"{name} : peer",
                    *(f"{by_work.get(w, float('nan')):.2f}" for w in works),
                ]
            )
        parts.append(f"medians of the ratios within rounds, reference CPU\n{table(rows)}")
    return "\n\n".join(parts)


def ratios(measures: list[Measure], works: list[str]) -> dict[str, dict[str, float]]:
    """Each of our subjects to the peer: the median of the ratios within rounds."""
    rates = {(m.subject, m.work, m.round): m.per_reference_second for m in measures}
    found: dict[str, dict[str, float]] = {}
    for name in dict.fromkeys(m.subject for m in measures if m.subject != Peer.name):
        for work in works:
            within = [
                rate / peer
                for (subject, at, number), rate in rates.items()
                if (subject, at) == (name, work)
                and (peer := rates.get((Peer.name, work, number), 0.0)) > 0
            ]
            if within:
                found.setdefault(name, {})[work] = median(within)
    return found


def machine() -> dict[str, str]:
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return {
        "processor": f"{model}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "kernel": platform.release(),
    }


def deadline(seconds: float) -> None:
    """Ends the run by a TimeoutError if it takes longer than it ever should."""

    def expire(_signal: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"not done after {seconds:.0f} s")

    signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, seconds)


@dataclass
class Benchmark:
    """One run: what was asked for, what was started, what was measured."""

    chosen: argparse.Namespace
    probe: Probe
    server_core: int | None
    started: list[Subject] = field(default_factory=list)
    running: list[Running] = field(default_factory=list)
    measures: list[Measure] = field(default_factory=list)

    def start(self, directory: Path) -> None:
        """Starts every subject that can be started; says why one cannot."""
        seed_file = directory / "seed.json"
        seed_file.write_text(json.dumps(make_seed(max(PEOPLE, self.chosen.connections))))
        seed_file.chmod(0o600)
        for name in self.chosen.names:
            note(f"starting {name}")
            kind = SUBJECTS[name]
            if self.chosen.profile and issubclass(kind, Ours):
                hotspots.clear(marker(name))
                subject: Subject = kind(directory, self.server_core, marker(name))
            else:
                subject = kind(directory, self.server_core)
            self.started.append(subject)
            try:
                self.running.append(launch(subject, seed_file, self.chosen.connections))
            except (ProtocolError, SignInError, UnavailableError) as error:
                note(f"{name}: {error}")

    def measure(self, work: str) -> None:
        """Warms every subject at the work, then measures it round by round."""
        for entry in self.running:
            # Node's compiler needs the load; Python only its caches and connections.
            wanted = self.chosen.warmup
            seconds = wanted if entry.subject.name == Peer.name else min(wanted, 1.0)
            note(f"{work}: warming {entry.subject.name} for {seconds:g} s")
            obtain_tokens(entry)
            entry.load(work).run(seconds)
        for number in range(1, self.chosen.rounds + 1):
            # The order changes each round: whoever comes first has no advantage.
            for entry in self.running if number % 2 else self.running[::-1]:
                done = measure(entry, work, number, self.chosen.seconds, self.probe)
                self.measures.append(done)
                note(
                    f"{work} round {number} {done.subject}: "
                    f"{done.per_cpu_second:.0f} per CPU s, slowness {done.slowness:.2f}, "
                    f"driver {100 * done.driver_share:.0f} %, errors {done.errors or 'none'}"
                )

    def tell(self) -> None:
        """Prints the tables and keeps the figures."""
        say(report(self.measures, self.running, self.chosen.works))
        record(self.chosen, self.measures, self.running)
        for entry in self.running:
            if self.chosen.profile and isinstance(entry.subject, Ours):
                say(f"\n{entry.subject.name}: where the time goes")
                say(hotspots.summary(marker(entry.subject.name)))

    def stop(self) -> None:
        """Ends every server that was started."""
        for entry in self.running:
            for load in entry.loads.values():
                load.close()
        for subject in self.started:
            subject.stop()

    def is_clean(self) -> bool:
        """True if every subject ran and every answer was right."""
        return len(self.running) == len(self.started) and not any(m.errors for m in self.measures)


def run(chosen: argparse.Namespace) -> int:
    """The whole benchmark; 0 if every subject ran and every answer was right."""
    server_core, driver_core = cores()
    if driver_core is None:
        note("Only one core: server and driver share it, latencies and works/s mean little.")
    else:
        os.sched_setaffinity(0, {driver_core})
    RESULTS.mkdir(exist_ok=True)
    slices = len(chosen.names) * len(chosen.works)
    deadline(300 + slices * (chosen.warmup + chosen.rounds * (chosen.seconds + 10)) * 2)
    benchmark = Benchmark(chosen, Probe(launcher(server_core)), server_core)
    with tempfile.TemporaryDirectory(prefix="sen-bench-") as text:
        directory = Path(text)
        # PostgreSQL's user must be able to pass through.
        directory.chmod(0o711)
        try:
            benchmark.probe.warm()
            benchmark.start(directory)
            if benchmark.running:
                for work in chosen.works:
                    benchmark.measure(work)
                benchmark.tell()
        finally:
            benchmark.stop()
            benchmark.probe.stop()
    return 0 if benchmark.is_clean() else 1


def record(chosen: argparse.Namespace, measures: list[Measure], running: list[Running]) -> None:
    """Writes bench/results/latest.json."""
    document = {
        "taken_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "settings": {
            name: getattr(chosen, name) for name in ("seconds", "rounds", "connections", "warmup")
        },
        "subjects": {
            entry.subject.name: {
                "title": entry.subject.title,
                "versions": entry.subject.versions,
                "peak_rss_mib": round(entry.subject.server_rss(), 1),
                "start_seconds": round(entry.start_seconds, 2),
            }
            for entry in running
        },
        "measures": [
            asdict(entry)
            | {
                "per_cpu_second": entry.per_cpu_second,
                "per_reference_second": entry.per_reference_second,
            }
            for entry in measures
        ],
        "ratios_to_peer": ratios(measures, chosen.works),
    }
    (RESULTS / "latest.json").write_text(json.dumps(document, indent=2) + "\n")


def main() -> int:
    if not sys.platform.startswith("linux"):
        note("The benchmark reads /proc and pins processes: it runs on Linux only.")
        return 1
    # Being ended by a signal is as orderly as Ctrl-C: the servers stop, the data goes.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return run(arguments())
    except (ProtocolError, SignInError, TimeoutError, OSError) as error:
        note(f"bench: {error}")
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
