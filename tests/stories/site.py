"""The product as it runs: the provider and the demo's two relying parties, each a process."""

import base64
import http.client
import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from click.testing import CliRunner, Result
from sqlalchemy import update

from accounts.notices import By
from accounts.recoveries import recovery
from accounts.sessions import browser_session
from connectors.messages import MailServer
from connectors.simulation.cards import authority_file, establish
from connectors.simulation.faces import difference
from idp import changes, delivery
from idp.cli import main
from idp.database import connect
from idp.demo.run import BANK, PORTAL
from idp.services import Installation, Services
from idp.settings import Settings
from tests.stories.folk import Person, gather, seed_document
from tests.support.registers import (
    CLIENT,
    authority,
    enter_card,
    enter_person,
    population,
    running,
)

FACE_MATCH = "VN-TEST/GOV/MPS/face-match"
READY_SECONDS = 60.0
STOP_SECONDS = 15.0
ROOT = Path(__file__).resolve().parents[2]


class Site:
    """A provider with a portal and a bank, on ports of its own."""

    def __init__(
        self,
        folder: Path,
        database_url: str | None = None,
        *,
        issuer: str | None = None,
        settings: dict[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self.provider = issuer or f"http://localhost:{self.port}"
        self.database_url = database_url or f"sqlite:///{folder / 'sen.db'}"
        self.portal = replace(PORTAL, port=free_port())
        self.bank = replace(BANK, port=free_port())
        self._settings = dict(settings or {})
        self._children: list[subprocess.Popen[bytes]] = []
        self._outside = ExitStack()
        self.registers = folder / "registers.db"
        self._people: dict[str, list[Person]] = defaultdict(list)
        self._log_read = 0
        self._seeds = 0

    def start(self, extra_environment: dict[str, str] | None = None) -> None:
        """Make the database, seed everybody and start the three processes."""
        self.folder.mkdir(parents=True, exist_ok=True)
        population(self.registers, people=20)
        simulator = self._outside.enter_context(running(self.registers))
        self._settings.setdefault("SEN_REGISTERS_URL", f"http://{authority(simulator)}")
        self._settings.setdefault("SEN_XROAD_CLIENT", CLIENT)
        self._settings.setdefault("SEN_FACE_MATCH", FACE_MATCH)
        places = (f"localhost:{party.port}" for party in (self.portal, self.bank))
        self._settings.setdefault("SEN_OUTBOUND_ALLOW", ",".join(places))
        establish(self.registers)
        self._settings.setdefault("SEN_CSCA_FILE", str(authority_file(self.registers)))
        self._settings.setdefault("SEN_LEAVE_TO", f"{self.bank.origin}/")
        parties = (self.portal, self.bank)
        given = {party.client_id: secrets.token_urlsafe(32) for party in parties}
        registered = [party.registration_at_provider(given[party.client_id]) for party in parties]
        self._sen("init")
        told = self._sen("ledger", "receipt-keys").stdout
        simulator.receipt_keys += json.loads(told)["keys"]
        self._seed({"relying_parties": registered, **self._invite()})
        self._run("provider", "idp.cli", "serve", "--bind", f"127.0.0.1:{self.port}")
        for party in parties:
            document = party.own_registration(self.provider, given[party.client_id])
            # What parties tell of later uses would come into the midst of a story.
            document["tells_every_seconds"] = 24 * 3600.0
            path = self.folder / f"{party.look}.json"
            path.write_text(json.dumps(document), "utf-8")
            self._run(party.look, "idp.demo.relying_party", str(path), more=extra_environment)
        for port in (self.port, self.portal.port, self.bank.port):
            self._wait_for(port)

    def stop(self) -> None:
        """End the processes that were started here."""
        for child in self._children:
            child.terminate()
        for child in self._children:
            try:
                child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        self._outside.close()

    def person(self, role: str) -> Person:
        """Return somebody of the role whom no story has met yet."""
        if not self._people[role]:
            self._seed(self._invite())
        return self._people[role].pop()

    def faults(self) -> list[str]:
        """Return what the provider logged as a fault of its own since the last asking."""
        with (self.folder / "provider.log").open("rb") as log:
            log.seek(self._log_read)
            new = log.read()
        self._log_read += len(new)
        lines = new.decode("utf-8", "replace").splitlines()
        return [line for line in lines if '"level": "error"' in line or "Traceback" in line]

    def let_sessions_lie_idle(self) -> None:
        """Set the last use of every browser session to an hour ago."""
        self._age(last_seen_at=datetime.now(UTC) - timedelta(hours=1))

    def let_sign_ins_grow_old(self) -> None:
        """Set every session's authentication to ten minutes ago; it stays in use."""
        self._age(authenticated_at=datetime.now(UTC) - timedelta(minutes=10))

    def _age(self, **values: datetime) -> None:
        engine = connect(self.database_url)
        try:
            with engine.begin() as db:
                db.execute(update(browser_session).values(**values))
        finally:
            engine.dispose()

    def _invite(self) -> dict[str, Any]:
        people = gather()
        for role, group in people.items():
            self._people[role].extend(group)
        return seed_document(people)

    def _seed(self, document: dict[str, Any]) -> None:
        self._seeds += 1
        path = self.folder / f"seed-{self._seeds}.json"
        path.write_text(json.dumps(document, ensure_ascii=False), "utf-8")
        self._sen("seed", str(path))

    def appoint(self, person: Person, office: str, role: str = "desk") -> None:
        """Let the person work at the officers' desk, or supervise."""
        self._sen("officer", "add", person.login, "--office", office, "--role", role)

    def hear(self) -> int:
        """Have the registers' news followed now, as the provider does by itself every 20 seconds."""
        installation = self.installation(registers_url=self._settings["SEN_REGISTERS_URL"])
        try:
            return changes.follow(installation, interval=timedelta(0)).applied
        finally:
            installation.engine.dispose()

    def code_on(self, page: str) -> str:
        """Return the address that the code on the page of a sign-in spells now."""
        with self._transaction() as services:
            known = services.qr_sign_ins
            found = known.find(page.rsplit("/", 1)[1])
            assert found is not None
            return known.address_of(known.frame(found))

    def deliver(self, server: MailServer) -> dict[str, int]:
        """Have the notices that wait delivered by a mail server, as a provider that knows one does."""
        installation = self.installation()
        installation.messengers = {By.EMAIL: server}
        try:
            return delivery.deliver(installation)
        finally:
            installation.engine.dispose()

    def end_waiting_times(self) -> None:
        """Let the waiting time of every recovery be over."""
        engine = connect(self.database_url)
        try:
            with engine.begin() as db:
                db.execute(update(recovery).values(ready_at=datetime.now(UTC)))
        finally:
            engine.dispose()

    def services(self) -> AbstractContextManager[Services]:
        """Open a transaction on the running site's database, as its registers' officers do."""
        return self._transaction()

    @contextmanager
    def _transaction(self) -> Iterator[Services]:
        installation = self.installation()
        try:
            with installation.engine.begin() as db:
                yield installation.services(db, correlation="story")
        finally:
            installation.engine.dispose()

    def installation(self, registers_url: str | None = None) -> Installation:
        """Open the running site's installation beside it, as a second server does."""
        secret = base64.b64decode((self.folder / "secret").read_text("ascii"))
        settings = Settings(
            issuer=self.provider,
            database_url=self.database_url,
            data_dir=self.folder,
            secret=secret,
            registers_url=registers_url,
            xroad_client=CLIENT,
        )
        return Installation(settings)

    def knows(self, person: Person) -> None:
        """Have the registers of people and of identity cards know the person."""
        enter_person(
            self.registers, number=person.number, name=person.name, birthdate=person.birthdate
        )
        enter_card(self.registers, number=person.number)

    def somebody_unlike(self, person: Person) -> str:
        """Return the number of somebody whose drawn face is told from the person's easily."""
        others = (f"99930100{serial:04}" for serial in range(200))
        return max(others, key=lambda number: difference(number, person.number))

    def read_card(self, number: str, code: str) -> Result:
        """Hold somebody's simulated card to the reader program, which answers the code."""
        place = str(self.registers)
        wanted = ("--person", number, "--url", f"http://127.0.0.1:{self.port}", "--code", code)
        return self._try_sen("registers", "read-card", place, *wanted)

    def _sen(self, *arguments: str) -> Result:
        done = self._try_sen(*arguments)
        assert done.exit_code == 0, f"sen {arguments[0]}: {done.stderr}"
        return done

    def _try_sen(self, *arguments: str) -> Result:
        """Run a command in this process: one of its own spends most of its time on its start."""
        others = {name: None for name in os.environ if name.startswith("SEN_")}
        try:
            return CliRunner().invoke(main, arguments, env={**others, **self._own_environment()})
        finally:
            # How a command logs is not how the tests do.
            structlog.reset_defaults()

    def _run(self, name: str, *module: str, more: dict[str, str] | None = None) -> None:
        # A session of its own: Ctrl-C in the terminal is for the tests, which then stop the site.
        with (self.folder / f"{name}.log").open("wb") as log:
            child = subprocess.Popen(
                [sys.executable, "-m", *module],
                cwd=ROOT,
                env={**self._environment(), **(more or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._children.append(child)

    def _wait_for(self, port: int) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not _is_ready(port):
            ended = [child.args for child in self._children if child.poll() is not None]
            assert not ended, f"ended by itself: {ended}, see {self.folder}"
            assert time.monotonic() < deadline, f"port {port} did not answer, see {self.folder}"
            time.sleep(0.05)

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SEN_")}
        return {**kept, **self._own_environment()}

    def _own_environment(self) -> dict[str, str]:
        return {
            "SEN_DATA_DIR": str(self.folder),
            "SEN_ISSUER": self.provider,
            "SEN_DATABASE_URL": self.database_url,
            **self._settings,
        }


def free_port() -> int:
    """Return a port on which nobody listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/healthz", headers={"Host": f"localhost:{port}"})
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
