"""Measures what is done with many accounts: import, the registers' news, finding one among a million.

    python -m bench.accounts [--accounts 1000000] [--import-rows 100000] [--changes 1000]
                             [--lookups 20000] [--only sqlite|postgresql]

Everything runs on loopback in a temporary directory. The import is the real command in a process of its
own; news come from a simulated register in another process over its wire.
"""

import argparse
import base64
import csv
import os
import random
import secrets
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.postgres import Postgres
from bench.subjects import FAMILIES, GIVEN, MIDDLES
from connectors.simulation.generate import generate
from connectors.simulation.store import opened, publish
from idp import changes
from idp.account_import import COLUMNS
from idp.audit import configure_logging
from idp.database import for_reading
from idp.services import Installation
from idp.settings import read_settings

ROOT = Path(__file__).parents[1]
SEN = [sys.executable, "-m", "idp.cli"]


def number(position: int) -> str:
    """A personal number that no province bears."""
    return f"999{position:09}"


def write_people(path: Path, count: int) -> None:
    chance = random.Random(1)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for position in range(count):
            name = " ".join(map(chance.choice, (FAMILIES, MIDDLES, GIVEN)))
            writer.writerow(
                {
                    "kind": "citizen",
                    "level": chance.choice(("01", "02")),
                    "name": name,
                    "birthdate": f"{chance.randint(1940, 2009)}-{chance.randint(1, 12):02}-15",
                    "personal_number": number(position),
                    "gender": chance.choice(("male", "female")),
                    "email": f"nguoi{position}@example.vn",
                    "phone_number": f"+84 9{position:08}",
                }
            )


def run_import(environment: dict[str, str], file: Path, folder: Path) -> tuple[float, int, str]:
    """Returns seconds, peak memory in KiB, and what the command said."""
    command = [*SEN, "accounts", "import", str(file), "--as-of", "2026-10-01"]
    command += ["--codes", str(folder / f"codes-{secrets.token_hex(4)}.csv")]
    begun = time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE)
    assert process.stdout is not None
    said = process.stdout.read().decode()
    _pid, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    if process.returncode:
        raise RuntimeError(f"the import failed: {said}")
    return time.monotonic() - begun, used.ru_maxrss, said.strip()


def load_more(installation: Installation, start: int, end: int) -> None:
    """Adds accounts by the database's own bulk means, with real seals and indexes."""
    vault, now = installation.vault, datetime.now(UTC)
    subjects: list[tuple[Any, ...]] = []
    identifiers: list[tuple[Any, ...]] = []
    accounts: list[tuple[Any, ...]] = []

    def flush() -> None:
        with installation.engine.begin() as db:
            for table, columns, rows in (
                ("subject", "id, kind, created_at", subjects),
                (
                    "identifier",
                    "id, subject_id, type, sealed, blind_index, source, valid_from",
                    identifiers,
                ),
                (
                    "account",
                    "id, subject_id, kind, level, state, user_handle, issued_at",
                    accounts,
                ),
            ):
                driver: Any = db.connection.driver_connection
                if db.dialect.name == "postgresql":
                    with driver.cursor().copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
                        for row in rows:
                            copy.write_row(row)
                else:
                    places = ", ".join("?" * len(rows[0]))
                    plain = [
                        tuple(str(c)[:26] if isinstance(c, datetime) else c for c in row)
                        for row in rows
                    ]
                    driver.executemany(f"INSERT INTO {table} ({columns}) VALUES ({places})", plain)
                rows.clear()

    for position in range(start, end):
        id_ = secrets.token_hex(16)
        subjects.append((id_, "person", now))
        sealed = vault.seal("identifier", number(position).encode(), context=id_)
        index = vault.blind_index("personal-number", number(position))
        identifiers.append(
            (secrets.token_hex(16), id_, "personal-number", sealed, index, "population", now)
        )
        accounts.append(
            (secrets.token_hex(16), id_, "citizen", "02", "issued", secrets.token_bytes(32), now)
        )
        if len(subjects) == 20_000:
            flush()
    if subjects:
        flush()
    if installation.engine.dialect.name == "postgresql":
        with installation.engine.begin() as db:
            for table in ("subject", "identifier", "account"):
                db.exec_driver_sql(f"ANALYZE {table}")


def look_up(installation: Installation, among: int, times: int) -> list[float]:
    """Returns the milliseconds of each lookup: identifier to account, a transaction of its own."""
    chance, took = random.Random(2), []
    reading = for_reading(installation.engine)
    for turn in range(times + times // 10):
        wanted = number(chance.randrange(among))
        begun = time.perf_counter()
        with reading.connect() as db:
            services = installation.services(db)
            subject = services.subjects.find_for_sign_in(wanted)
            found = services.accounts.find_of_subject(subject or "")
        if found is None:
            raise RuntimeError("an account was not found")
        if turn >= times // 10:
            took.append((time.perf_counter() - begun) * 1000)
    return sorted(took)


@contextmanager
def registers(folder: Path, count: int) -> Iterator[str]:
    """Simulated registers with so many withdrawn cards in their feed; gives their address."""
    file = folder / "registers.db"
    file.unlink(missing_ok=True)
    generate(file, people=5, seed="bench", today=date.today())  # noqa: DTZ011
    with opened(file) as db:
        for position in range(count):
            publish(db, "identity_cards", "card-withdrawn", number(position), {})
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [*SEN, "registers", "serve", str(file), "--bind", f"127.0.0.1:{port}"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while socket.socket().connect_ex(("127.0.0.1", port)):
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def follow(environment: dict[str, str], folder: Path, count: int) -> float:
    """Returns the seconds in which so many changes of the feed were applied."""
    with registers(folder, count) as url:
        settings = read_settings(
            {**_sen(environment), "SEN_REGISTERS_URL": url, "SEN_XROAD_CLIENT": "VN/GOV/SEN/bench"}
        )
        installation = Installation(settings)
        try:
            applied, begun = 0, time.monotonic()
            while applied < count:
                before = applied
                applied += changes.follow(installation, interval=timedelta(0)).applied
                if applied == before:
                    raise RuntimeError(f"only {applied} of {count} changes arrived")
            return time.monotonic() - begun
        finally:
            installation.engine.dispose()


def measure(name: str, url: str, folder: Path, given: argparse.Namespace) -> None:
    folder.mkdir()
    (folder / "secret").write_text(base64.b64encode(secrets.token_bytes(48)).decode())
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("SEN_")},
        "SEN_DATA_DIR": str(folder),
        "SEN_DATABASE_URL": url,
        "SEN_SECRET_FILE": str(folder / "secret"),
    }
    subprocess.run([*SEN, "init"], cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
    people = folder / "people.csv"
    write_people(people, given.import_rows)
    took, memory, said = run_import(environment, people, folder)
    rate = given.import_rows / took
    tell(name, f"import of {given.import_rows:,} rows in {took:.1f} s, {rate:,.0f} a second, "
               f"peak {memory / 1024:.0f} MiB ({said})")  # fmt: skip
    took, memory, said = run_import(environment, people, folder)
    tell(name, f"the same file again in {took:.1f} s, peak {memory / 1024:.0f} MiB ({said})")
    took = follow(environment, folder, given.changes)
    tell(
        name,
        f"{given.changes:,} changes of a feed in {took:.1f} s, {given.changes / took:,.0f} a second",
    )
    installation = Installation(read_settings(_sen(environment)))
    try:
        load_more(installation, given.import_rows, given.accounts)
        times = look_up(installation, given.accounts, given.lookups)
    finally:
        installation.engine.dispose()
    p50, p99 = statistics.median(times), times[int(len(times) * 0.99)]
    tell(name, f"lookup by blind index among {given.accounts:,} accounts: p50 {p50:.2f} ms, "
               f"p99 {p99:.2f} ms, highest {times[-1]:.1f} ms")  # fmt: skip


def tell(name: str, text: str) -> None:
    print(f"{name}: {text}", flush=True)


def _sen(environment: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in environment.items() if key.startswith("SEN_")}


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what is done with many accounts.")
    parser.add_argument("--accounts", type=int, default=1_000_000)
    parser.add_argument("--import-rows", type=int, default=100_000)
    parser.add_argument("--changes", type=int, default=1_000)
    parser.add_argument("--lookups", type=int, default=20_000)
    parser.add_argument("--only", choices=("sqlite", "postgresql"))
    given = parser.parse_args()
    configure_logging("ERROR")
    folder = Path(tempfile.mkdtemp(prefix="sen-bench-accounts-"))
    folder.chmod(0o755)
    postgres = Postgres(folder / "pg", ())
    try:
        if given.only != "postgresql":
            measure("SQLite", f"sqlite:///{folder / 'sen.db'}", folder / "a", given)
        if given.only != "sqlite":
            postgres.start()
            measure("PostgreSQL", postgres.url(), folder / "b", given)
    finally:
        postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
