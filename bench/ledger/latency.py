"""Measure 10: how long after its commit a use is in the logs, and confirmed by those who watch."""

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from werkzeug.serving import make_server

from bench.ledger.load import add_people, uses
from bench.ledger.world import Place, Report, placed
from bench.subjects import ROOT, free_port, launcher
from consent.ledger.epoch import ROOT_LOG
from consent.ledger.note import Note
from consent.ledger.policy import Policy
from consent.log_state import Log, LogState
from idp import ledger
from idp.app import create_app
from idp.database import for_reading
from idp.door import Door

ROLES = {"w1": "witness", "w2": "witness", "a1": "auditor"}
A_SECOND = 10
_GROUPS = "group auditors all a1\ngroup witnesses all w1 w2\ngroup both all auditors witnesses\nquorum both\n"
_PROGRAM = [sys.executable, "-c", "from consent.cosigners.commands import main; main()"]


def measure_latency(report: Report, seconds: int, *, postgres: bool) -> None:
    """Write some entries a second beside the keeper, two witnesses and an auditor, each a program."""
    port = free_port()
    with (
        tempfile.TemporaryDirectory() as name,
        placed(
            Path(name), postgres=postgres, seed=False, issuer=f"http://localhost:{port}"
        ) as place,
    ):
        programs: list[subprocess.Popen[bytes]] = []
        app = create_app(installation=place.installation)
        serving = make_server("127.0.0.1", port, app, threaded=True)
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        try:
            programs = _watched(place, Path(name), f"http://localhost:{port}/ledger")
            _measure(place, report, seconds)
        finally:
            for one in programs:
                one.terminate()
                one.wait(10)
            serving.shutdown()
            door = app.wsgi_app
            assert isinstance(door, Door)
            door.close()


def _watched(place: Place, folder: Path, url: str) -> list[subprocess.Popen[bytes]]:
    """Start everybody who watches, and let the installation know."""
    log_key = str(ledger.signers(place.installation)[0].verifier)
    programs, lines = [], []
    for name, role in ROLES.items():
        port, own = free_port(), folder / name
        command = [*_PROGRAM, role, str(own), "--name", f"{name}.example"]
        made = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
        key = made.stdout.decode().strip()
        lines.append(f"witness {name} {key} http://127.0.0.1:{port}\n")
        command += ["--log-key", log_key, "--log-url", url, "--bind", f"127.0.0.1:{port}"]
        programs.append(
            subprocess.Popen([*launcher(None), *command], cwd=ROOT, stdout=subprocess.DEVNULL)
        )
    policy = Policy.parse("".join(lines) + _GROUPS)
    installation = place.installation
    installation.settings = replace(installation.settings, ledger_policy=policy)
    ledger.forget_policy(installation)
    time.sleep(2)
    return programs


class _Times:
    """When each person's use was committed, seen in the logs, and seen confirmed."""

    def __init__(self, place: Place) -> None:
        self._installation = place.installation
        self._trusted = ledger.policy(place.installation)
        self.committed: dict[str, float] = {}
        self.integrated: dict[str, tuple[float, int]] = {}
        self.confirmed: dict[str, float] = {}
        self.is_over = threading.Event()

    def is_done(self) -> bool:
        return len(self.confirmed) == len(self.committed)

    def keep(self) -> None:
        """Keep the logs as a server does."""
        keeper = ledger.Keeper()
        while not self.is_over.is_set():
            keeper(self._installation)
            self.is_over.wait(ledger.INTERVAL.total_seconds())
        keeper.close()

    def watch(self) -> None:
        """Look what is published, all the time."""
        while not self.is_over.wait(0.02):
            waiting = [one for one in list(self.committed) if one not in self.confirmed]
            with for_reading(self._installation.engine).begin() as db:
                state = LogState(db)
                root, heads = state.find_log(ROOT_LOG), state.heads_of(waiting)
            self._note(root, heads)

    def _note(self, root: Log | None, heads: Iterable[str]) -> None:
        moment, size = time.perf_counter(), root.size if root else 0
        for one in heads:
            self.integrated.setdefault(one, (moment, size))
        if root is None or not root.cosigned:
            return
        if not self._trusted.standing(Note.parse(root.cosigned)).is_quorum:
            return
        # The line below the origin: how many epochs they confirmed.
        seen = int(root.cosigned.split("\n")[1])
        for one in heads:
            if seen >= self.integrated[one][1]:
                self.confirmed[one] = moment


def _measure(place: Place, report: Report, seconds: int) -> None:
    installation, times = place.installation, _Times(place)
    add_people(place, A_SECOND * seconds)
    threads = [threading.Thread(target=act) for act in (times.keep, times.watch)]
    for one in threads:
        one.start()
    try:
        # The first rounds make the logs, and whoever watches reads them.
        time.sleep(5)
        begun = time.perf_counter()
        for number, subject_id in enumerate(place.people):
            time.sleep(max(0.0, begun + number / A_SECOND - time.perf_counter()))
            with installation.engine.begin() as db:
                installation.services(db).use_log.record(replace(uses()[0], subject_id=subject_id))
            times.committed[subject_id] = time.perf_counter()
        deadline = time.perf_counter() + 70
        while not times.is_done() and time.perf_counter() < deadline:
            time.sleep(0.1)
    finally:
        times.is_over.set()
        for one in threads:
            one.join()
    taken, confirmed = times.integrated, times.confirmed
    took = [(taken[one][0] - at) * 1000 for one, at in times.committed.items() if one in taken]
    report.times("10", f"committed until in the logs, {A_SECOND} a second", took, 2000)
    took = [(confirmed[one] - at) * 1000 for one, at in times.committed.items() if one in confirmed]
    if took:
        report.times("10", "committed until cosigned: 2 witnesses, 1 auditor", took, 10_000)
        longest = max(took) / 1000
        report.say("10", "the longest", f"{longest:.1f} s", "≤ 60 s", met=longest <= 60)
    missing = len(times.committed) - len(took)
    report.say("10", "never confirmed", f"{missing}", "0", met=missing == 0)
