"""The servers that the benchmark measures: how each is started, and what it consists of."""

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

from bench import meter
from bench.postgres import Postgres
from bench.works import Provider, RelyingParty

ROOT = Path(__file__).parents[1]
PEER = ROOT / "bench" / "peer"
PEOPLE = 200
START_SECONDS = 60

FAMILIES = ("Nguyễn", "Trần", "Lê", "Phạm", "Hoàng", "Phan", "Vũ", "Đặng", "Bùi", "Đỗ")
MIDDLES = ("Thị", "Văn", "Minh", "Thu", "Quốc")
GIVEN = (
    "An",
    "Bình",
    "Chi",
    "Dũng",
    "Giang",
    "Hà",
    "Khánh",
    "Lan",
    "Nam",
    "Oanh",
    "Phúc",
    "Yến",
)


class UnavailableError(Exception):
    """A subject that cannot be started here; the text says why."""


def make_seed(people: int) -> dict[str, list[dict[str, object]]]:
    """Invented people and one relying party, in the format of `sen seed`."""
    redirect = "http://127.0.0.1:9000"
    return {
        "relying_parties": [
            {
                "client_id": "bench",
                "client_name": "Cổng đo tốc độ",
                "client_name#en": "Benchmark portal",
                "redirect_uris": [f"{redirect}/cb"],
                "post_logout_redirect_uris": [f"{redirect}/bye"],
                "token_endpoint_auth_method": "client_secret_basic",
                "client_secret": secrets.token_urlsafe(32),
                "scope": "openid name birth contact offline_access",
                "require_pkce": True,
                "purpose": "public-service",
                "representation_aware": False,
                "jwks": None,
                "id_token_signed_response_alg": "ES256",
            }
        ],
        "people": [
            {
                "kind": "citizen",
                "personal_number": f"001{1 if number % 2 else 0}90{number:06d}",
                "name": " ".join(
                    (
                        FAMILIES[number % len(FAMILIES)],
                        MIDDLES[number % len(MIDDLES)],
                        GIVEN[number % len(GIVEN)],
                    )
                ),
                "birthdate": f"1990-{number % 12 + 1:02d}-{number % 28 + 1:02d}",
                "gender": "female" if number % 2 else "male",
                "account_level": "02",
                "login": f"bench-{number:04d}",
                "password": secrets.token_urlsafe(18),
                "email": f"bench-{number:04d}@example.vn",
            }
            for number in range(1, people + 1)
        ],
        "organisations": [],
    }


def free_port() -> int:
    """A port of loopback that is free now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def launcher(core: int | None) -> list[str]:
    """The words before a server's command: it takes its core, and ends when the benchmark ends."""
    prefix = ["setpriv", "--pdeathsig", "TERM", "--"]
    return prefix if core is None else [*prefix, "taskset", "--cpu-list", str(core)]


class Subject(ABC):
    """A server under test in a directory of its own, pinned to a core."""

    name: str
    title: str

    def __init__(self, directory: Path, core: int | None) -> None:
        self.directory = directory / self.name
        self.port = free_port()
        self._prefix = launcher(core)
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def start(self, seed_file: Path) -> None:
        """Starts it with these people and relying parties; raises UnavailableError with the reason."""

    @property
    def versions(self) -> str:
        """What runs, in a few words."""
        return ""

    def roots(self) -> list[int]:
        """The processes whose trees are counted: the server's and its database's."""
        return [self._process.pid] if self._process else []

    def cpu_seconds(self) -> float:
        return meter.cpu_seconds(self.roots())

    def server_rss(self) -> float:
        """The peak resident size of the server without its database, MiB."""
        return meter.peak_rss([self._process.pid]) if self._process else 0.0

    def provider(self, seed: dict[str, list[dict[str, object]]]) -> Provider:
        """The provider as the driver sees it."""
        party = seed["relying_parties"][0]
        redirect_uris = party["redirect_uris"]
        assert isinstance(redirect_uris, list)
        provider = Provider(
            self.port,
            RelyingParty(
                str(party["client_id"]),
                str(party["client_secret"]),
                str(redirect_uris[0]),
            ),
        )
        provider.discover()
        return provider

    @contextlib.contextmanager
    def profiled(self) -> Iterator[None]:
        """Profiles the server meanwhile, where that is possible and wanted."""
        yield

    def stop(self) -> None:
        """Ends the server and forgets its data."""
        if self._process is not None:
            children = meter.tree([self._process.pid])
            self._process.terminate()
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                for pid in children:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                self._process.wait()
            self._process = None
        shutil.rmtree(self.directory, ignore_errors=True)

    def _spawn(self, command: list[str | Path], environment: dict[str, str], cwd: Path) -> None:
        """Starts the server and returns when its port answers."""
        log = self.directory / "server.log"
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [*self._prefix, *command],
                cwd=cwd,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise UnavailableError(f"did not start: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)


class Ours(Subject):
    """`sen serve`, one worker, as it is installed."""

    def __init__(self, directory: Path, core: int | None, profile: Path | None = None) -> None:
        super().__init__(directory, core)
        self._profile = profile

    def database_url(self) -> str:
        return f"sqlite:///{self.directory / 'sen.db'}"

    def start(self, seed_file: Path) -> None:
        self.directory.mkdir(exist_ok=True)
        environment = {
            key: value for key, value in os.environ.items() if not key.startswith("SEN_")
        }
        environment |= {
            "SEN_ISSUER": f"http://localhost:{self.port}",
            "SEN_DATA_DIR": str(self.directory),
            "SEN_DATABASE_URL": self.database_url(),
        }
        command: list[str | Path] = [sys.executable, "-m", "idp.cli"]
        for arguments in (["init"], ["seed", seed_file]):
            result = subprocess.run(
                [*self._prefix, *command, *arguments],
                check=False,
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=300,
            )
            if result.returncode:
                output = result.stdout.decode(errors="replace")
                raise UnavailableError(f"`sen {arguments[0]}` failed: {output[-2000:]}")
        if self._profile is not None:
            environment["PYTHONPATH"] = str(ROOT / "bench" / "profiler")
            environment["BENCH_PROFILE"] = str(self._profile)
        serve = ["serve", "--bind", f"127.0.0.1:{self.port}", "--workers", "1"]
        self._spawn([*command, *serve], environment, ROOT)

    @contextlib.contextmanager
    def profiled(self) -> Iterator[None]:
        """Profiles the server meanwhile, if it was started for that."""
        if self._profile is None:
            yield
            return
        self._profile.touch()
        try:
            yield
        finally:
            self._profile.unlink()


class OursSqlite(Ours):
    name = "ours-sqlite"
    title = "Sen ID, SQLite"


class OursPostgres(Ours):
    name = "ours-postgres"
    title = "Sen ID, PostgreSQL (durable)"
    _database: Postgres | None = None

    def database_url(self) -> str:
        assert self._database is not None
        return self._database.url()

    def start(self, seed_file: Path) -> None:
        self._database = Postgres(self.directory.parent / "pg", self._prefix)
        try:
            self._database.start()
        except (ImportError, OSError, RuntimeError) as error:
            raise UnavailableError(str(error)) from error
        super().start(seed_file)

    def roots(self) -> list[int]:
        database = [self._database.pid] if self._database else []
        return super().roots() + database

    def stop(self) -> None:
        super().stop()
        if self._database is not None:
            self._database.stop()
            self._database = None


class Peer(Subject):
    """npm's oidc-provider on Node, in memory."""

    name = "peer"
    title = "oidc-provider (Node, in memory)"

    @property
    def versions(self) -> str:
        package = PEER / "node_modules" / "oidc-provider" / "package.json"
        node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True)
        version = json.loads(package.read_text())["version"]
        return f"oidc-provider {version}, Node {node.stdout.strip().removeprefix('v')}"

    def start(self, seed_file: Path) -> None:
        for tool in ("node", "npm"):
            if shutil.which(tool) is None:
                raise UnavailableError(f"{tool} is not installed (Node 20 or later is needed)")
        self._install()
        self.directory.mkdir(exist_ok=True)
        environment = os.environ | {"NODE_ENV": "production"}
        command: list[str | Path] = ["node", "server.mjs", str(self.port), seed_file]
        self._spawn(command, environment, PEER)

    def _install(self) -> None:
        """Installs the locked packages, once for each state of the lock file; runs no scripts."""
        lock = (PEER / "package-lock.json").read_bytes()
        mark = PEER / "node_modules" / ".installed-lock"
        if mark.exists() and mark.read_bytes() == lock:
            return
        result = subprocess.run(
            ["npm", "ci", "--ignore-scripts"],
            check=False,
            cwd=PEER,
            capture_output=True,
            text=True,
            timeout=300,
        )
        if result.returncode:
            raise UnavailableError(
                f"npm could not install the peer: {result.stderr.strip()[-1000:]}"
            )
        mark.write_bytes(lock)


SUBJECTS: dict[str, type[Subject]] = {
    subject.name: subject for subject in (OursSqlite, OursPostgres, Peer)
}
