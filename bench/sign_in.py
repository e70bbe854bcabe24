"""What signing in costs the server, way by way, and what many open pages with a QR code cost.

    python -m bench.sign_in [--times N] [--pages N] [--seconds S] [--subjects ours-sqlite,ours-postgres]

CPU time is that of the server's process tree and of PostgreSQL's. Each sign-in ends signed in, or the
run fails. Every person signs in a few times only, as the limits demand.
"""

import argparse
import base64
import heapq
import http.client
import json
import multiprocessing
import os
import random
import re
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import meter
from bench.subjects import SUBJECTS, Subject, make_seed
from idp.services import Installation
from idp.settings import Settings
from tests.support.app_phone import AppPhone
from tests.support.browser import Browser, connect
from tests.support.phone import Phone

SCANS_EACH = 4
CONNECTIONS = 16


@dataclass
class Citizen:
    """Somebody with a password, a passkey, and later an enrolled phone."""

    login: str
    password: str
    passkey: Phone
    app: AppPhone | None = None


class Bench:
    """A running server, and the people who sign in there."""

    def __init__(self, subject: Subject, people: list[Citizen]) -> None:
        self.subject = subject
        self.people = people
        self.issuer = f"http://localhost:{subject.port}"
        secret = base64.b64decode((subject.directory / "secret").read_text("ascii"))
        self.installation = Installation(
            Settings(
                issuer=self.issuer,
                database_url=subject.database_url(),
                data_dir=subject.directory,
                secret=secret,
            )
        )

    def browser(self) -> Browser:
        return Browser(connect(f"http://127.0.0.1:{self.subject.port}", self.issuer), self.issuer)

    def cost(self, times: int, act: Callable[[int], None]) -> tuple[float, float]:
        """Do it so many times; return CPU milliseconds and median wall milliseconds of one."""
        taken = []
        before = self.subject.cpu_seconds()
        for number in range(times):
            began = time.perf_counter()
            act(number)
            taken.append(time.perf_counter() - began)
        used = self.subject.cpu_seconds() - before
        return used * 1000 / times, statistics.median(taken) * 1000

    def citizen(self, number: int) -> Citizen:
        return self.people[number % len(self.people)]

    def by_password(self, number: int) -> None:
        citizen, browser = self.citizen(number), self.browser()
        form = browser.open("/sign-in").form("/sign-in/password")
        page = browser.submit(form, login=citizen.login, password=citizen.password)
        assert (page.status, page.location) == (303, "/me"), page.text
        browser.client.close()

    def by_passkey(self, number: int) -> None:
        browser = self.browser()
        browser.open("/sign-in")
        answer = browser.use_passkey(self.citizen(number).passkey)
        assert answer.status == 200, answer.html
        browser.client.close()

    def by_code(self, number: int) -> None:
        """Sign in by QR code, from the sign-in page on; the phone is signed in already."""
        phone, browser = self.citizen(number // SCANS_EACH).app, self.browser()
        assert phone is not None
        begun = browser.submit(browser.open("/sign-in").form("/sign-in/qr"))
        page = browser.open(begun.location)
        id_ = begun.location.rsplit("/", 1)[1]
        asked = phone.scan(self.frame(id_))
        assert asked.status == 200, asked.text
        found = re.search(r'sen-number">.*?([0-9]{2})</p>', browser.open(page.path).html, re.DOTALL)
        assert found
        phone.decide(asked, int(found[1]))
        done = browser.submit(browser.open(page.path).form(f"{page.path}/redeem"))
        assert (done.status, done.location) == (303, "/me"), done.text
        browser.client.close()

    def frame(self, id_: str) -> str:
        """Return what the screen spells, read without costing the server anything."""
        with self.installation.engine.connect() as db:
            known = self.installation.services(db).qr_sign_ins
            found = known.find(id_)
            assert found is not None
            return known.address_of(known.frame(found))

    def enrol(self, citizen: Citizen) -> None:
        browser = self.browser()
        browser.open("/sign-in")
        assert browser.use_passkey(citizen.passkey).status == 200
        citizen.app = AppPhone(browser)
        assert citizen.app.enrol().status == 303


class Pages:
    """Many open pages with a code, each a browser of its own, over a few connections."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.open: list[tuple[str, str]] = []
        self._lock = threading.Lock()

    def begin(self, pages: int) -> None:
        self._share(lambda at: None if at >= pages else self._begin)

    def poll(self, stop: Any) -> tuple[int, int]:
        """Let every page ask once a second, or when it was told to; return answers and refusals."""
        due = [(time.monotonic() + n / len(self.open), n) for n in range(len(self.open))]
        counts = [0, 0]

        def ask(connection: http.client.HTTPConnection, _at: int) -> None:
            with self._lock:
                at, page = heapq.heappop(due)
            time.sleep(max(0.0, at - time.monotonic()))
            path, cookies = self.open[page]
            status, headers, _ = _request(connection, "GET", f"{path}/status", cookies)
            wait = 1.0 if status == 200 else float(headers["Retry-After"])
            with self._lock:
                counts[status != 200] += 1
                # Spread as the page's script spreads it.
                wait *= random.uniform(1, 1.5)
                heapq.heappush(due, (time.monotonic() + wait, page))

        self._share(lambda _at: None if stop.is_set() else ask)
        return counts[0], counts[1]

    def _begin(self, connection: http.client.HTTPConnection, _at: int) -> None:
        _, headers, page = _request(connection, "GET", "/sign-in", "")
        cookies = "; ".join(line.split(";")[0] for line in headers.get_all("Set-Cookie") or [])
        token = re.search(r'name="csrf_token" value="([0-9a-f]+)"', page)
        assert token
        body = f"csrf_token={token[1]}"
        status, headers, _ = _request(connection, "POST", "/sign-in/qr", cookies, body)
        assert status == 303
        path = headers["Location"]
        assert _request(connection, "GET", path, cookies)[0] == 200
        with self._lock:
            self.open.append((path, cookies))

    def _share(self, job: Callable[[int], Any]) -> None:
        turn = iter(range(10**9))

        def work() -> None:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            while True:
                with self._lock:
                    at = next(turn)
                act = job(at)
                if act is None:
                    return
                act(connection, at)

        threads = [threading.Thread(target=work) for _ in range(CONNECTIONS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def _request(
    connection: http.client.HTTPConnection, method: str, path: str, cookies: str, body: str = ""
) -> tuple[int, http.client.HTTPMessage, str]:
    headers = {"Host": f"localhost:{connection.port}", "Cookie": cookies}
    if body:
        headers |= {
            "Content-Type": "application/x-www-form-urlencoded",
            "Origin": f"http://localhost:{connection.port}",
        }
    connection.request(method, path, body or None, headers)
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read().decode()


def rss(roots: list[int]) -> float:
    """The resident size of the trees now, MiB."""
    pages = 0
    for pid in meter.tree(roots):
        pages += int(Path("/proc", str(pid), "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def measure(name: str, chosen: argparse.Namespace, folder: Path) -> None:
    subject = SUBJECTS[name](folder, 0)
    issuer = f"http://localhost:{subject.port}"
    seed = make_seed(chosen.times)
    people = []
    for document in seed["people"]:
        passkey = Phone(issuer)
        document["passkeys"] = [passkey.seeded()]
        people.append(Citizen(str(document["login"]), str(document["password"]), passkey))
    path = folder / f"{name}.json"
    path.write_text(json.dumps(seed), "utf-8")
    try:
        subject.start(path)
        bench = Bench(subject, people)
        bench.by_password(0)
        bench.by_passkey(0)
        for citizen in people[: -(-chosen.times // SCANS_EACH)]:
            bench.enrol(citizen)
        print(f"{subject.title}, {chosen.times} times each")
        print(f"{'':24}{'CPU ms':>8}{'wall ms':>9}")
        for title, act in (
            ("password", bench.by_password),
            ("passkey", bench.by_passkey),
            ("QR code", bench.by_code),
        ):
            cpu, wall = bench.cost(chosen.times, act)
            print(f"{title:24}{cpu:8.1f}{wall:9.1f}")
        if chosen.pages:
            many_pages(bench, chosen)
    finally:
        subject.stop()


def many_pages(bench: Bench, chosen: argparse.Namespace) -> None:
    """Open many pages, let them ask, and sign in with a passkey meanwhile."""
    # A process of its own asks, so that what signs in meanwhile waits for the server only.
    apart = multiprocessing.get_context("fork")
    subject, pages, stop = bench.subject, Pages(bench.subject.port), apart.Event()
    roots = [subject.roots()[0]]
    before, used = rss(roots), subject.cpu_seconds()
    pages.begin(chosen.pages)
    opened, begun = rss(roots), subject.cpu_seconds()
    alone = sign_ins(bench, chosen.seconds / 2)
    began, told = subject.cpu_seconds(), apart.Queue()
    polling = apart.Process(target=lambda: told.put(pages.poll(stop)))
    polling.start()
    time.sleep(chosen.seconds)
    busy = (subject.cpu_seconds() - began) / chosen.seconds
    beside = sign_ins(bench, chosen.seconds / 2)
    stop.set()
    counts = told.get()
    polling.join()
    print(
        f"{len(pages.open)} open pages: {(begun - used) * 1000 / len(pages.open):.1f} CPU ms each to "
        f"begin; resident {before:.0f} MiB before, {opened:.0f} with all begun, {rss(roots):.0f} at the "
        f"end; {counts[0]} polls answered, {counts[1]} told to wait, {busy:.2f} of a core in all; "
        f"passkey sign-in, highest of 100: {alone:.0f} ms alone, {beside:.0f} ms beside them"
    )


def sign_ins(bench: Bench, seconds: float) -> float:
    """Sign in with a passkey again and again; return the 99th percentile in milliseconds."""
    taken: list[float] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.perf_counter()
        bench.by_passkey(len(taken))
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.quantiles(taken, n=100)[-1]


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.sign_in", description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=60, help="of each way (60)")
    parser.add_argument("--pages", type=int, default=10_000, help="open pages; 0 for none (10000)")
    parser.add_argument("--seconds", type=float, default=15, help="of polling (15)")
    parser.add_argument("--subjects", default="ours-sqlite", help="comma-separated (ours-sqlite)")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sen-bench-") as folder:
        # The database runs as another user, who has to reach its own folder.
        Path(folder).chmod(0o711)
        for name in chosen.subjects.split(","):
            measure(name, chosen, Path(folder))


if __name__ == "__main__":
    sys.exit(main())
