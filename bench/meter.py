"""What a tree of processes has used, and how fast its core was meanwhile (Linux: reads /proc)."""

import contextlib
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")

# A shared machine slows a core for seconds at a time (neighbours on the sibling hyperthread).
# Servers feel less of it than the probe's tight loop does; this exponent was fitted on repeats.
SLOWNESS_WEIGHT = 0.65

PROBE = """
import sys, time
while True:
    time.sleep(0.08)
    start = time.thread_time_ns()
    for _ in range(40_000):
        pass
    used = time.thread_time_ns() - start
    sys.stdout.write(f"{time.monotonic()} {used}\\n")
    sys.stdout.flush()
"""


def _stat(pid: str) -> list[str] | None:
    """The fields of /proc/PID/stat from the state on; None if the process is gone."""
    try:
        text = Path("/proc", pid, "stat").read_text()
    except OSError:
        return None
    return text[text.rindex(")") + 2 :].split()


def tree(roots: Iterable[int]) -> set[int]:
    """The process ids of the roots and of all that descend from them."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(entry.name)):
            parents[int(entry.name)] = int(fields[1])
    found = {pid for pid in roots if pid in parents}
    grown = True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        found |= more
        grown = bool(more)
    return found


def cpu_seconds(roots: Iterable[int]) -> float:
    """User and system time of the trees so far; that of ended children is their parent's."""
    ticks = 0
    for pid in tree(roots):
        if fields := _stat(str(pid)):
            ticks += sum(int(value) for value in fields[11:15])
    return ticks / TICKS


def peak_rss(roots: Iterable[int]) -> float:
    """The sum of the highest resident sizes of the trees' processes, MiB."""
    kibibytes = 0
    for pid in tree(roots):
        with contextlib.suppress(OSError):
            for line in Path("/proc", str(pid), "status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    kibibytes += int(line.split()[1])
    return kibibytes / 1024


class Probe:
    """A process that times a fixed loop on the servers' core, ten times a second (2 % of it)."""

    def __init__(self, prefix: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            [*prefix, sys.executable, "-S", "-c", PROBE], stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        os.set_blocking(self._process.stdout.fileno(), False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._process.stdout, selectors.EVENT_READ)
        self._rest = b""
        self._fastest = float("inf")

    def loop_time(self, start: float, end: float) -> float:
        """The mean nanoseconds of the loop between two moments of the monotonic clock."""
        assert self._process.stdout is not None
        times = []
        while self._selector.select(timeout=0):
            data = os.read(self._process.stdout.fileno(), 65536)
            if not data:
                break
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                moment, used = line.split()
                self._fastest = min(self._fastest, float(used))
                if start <= float(moment) <= end:
                    times.append(float(used))
        return sum(times) / len(times) if times else self._fastest

    @property
    def fastest(self) -> float:
        """The shortest time of the loop seen so far, nanoseconds."""
        return self._fastest

    def warm(self) -> None:
        """Let it see the idle core for a moment."""
        now = time.monotonic()
        time.sleep(1)
        self.loop_time(now, time.monotonic())

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        self._selector.close()
        if self._process.stdout is not None:
            self._process.stdout.close()
