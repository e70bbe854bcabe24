"""A real server: `sen serve` with its workers, on a free port of loopback."""

import base64
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from tests.support.stores import INSTALLATION_SECRET

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 30.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Server:
    """The server's folder, address and process."""

    folder: Path
    database_url: str
    port: int
    workers: int = 4
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def issuer(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text("utf-8", errors="replace")

    def start(self) -> None:
        """Start it and wait until it is ready."""
        (self.folder / "secret").write_text(base64.b64encode(INSTALLATION_SECRET).decode())
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SEN_")}
        environment = kept | {
            "SEN_DATA_DIR": str(self.folder),
            "SEN_DATABASE_URL": self.database_url,
            "SEN_ISSUER": self.issuer,
        }
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "idp.cli", "serve", "--bind", f"127.0.0.1:{self.port}",
                 "--workers", str(self.workers)],
                cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + START_SECONDS
        while not self._is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"the server did not start: {self.log[-2000:]}")
            time.sleep(0.05)

    def kill(self) -> None:
        """End every process of it at once, as a power cut would."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def kill_a_worker(self) -> None:
        """End the worker that has served longest; one that has just begun would look like a fault
        that comes back at each start, and the server would give up.
        """
        assert self.process is not None
        workers = psutil.Process(self.process.pid).children()
        min(workers, key=lambda worker: worker.create_time()).kill()

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/readyz", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False


@contextmanager
def serving(folder: Path, database_url: str, port: int, workers: int = 4) -> Iterator[Server]:
    """Run a server for as long as the context lasts."""
    server = Server(folder, database_url, port, workers)
    server.start()
    try:
        yield server
    finally:
        server.kill()
