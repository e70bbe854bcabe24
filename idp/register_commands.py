"""``sen registers``: the simulated registers, for development, demonstration and tests."""

import json
import signal
import sqlite3
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import jwt
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from connectors.errors import OutboundRefusedError
from connectors.outbound import Outbound, is_loopback
from connectors.protocol import EventKind
from connectors.simulation.cards import authority_file, establish
from connectors.simulation.faces import capture
from connectors.simulation.generate import generate
from connectors.simulation.happenings import happen
from connectors.simulation.people import KINDS, Kind, people
from connectors.simulation.reader import chip_of, present
from connectors.simulation.server import NAMES, Fault, run, serve
from connectors.simulation.store import opened

_FILE = click.Path(path_type=Path, dir_okay=False)
_DEFAULT_BIND = "127.0.0.1:8110"
_PROGRESS_FROM = 1000


class _Failure(click.ClickException):
    """One clear sentence on standard error and exit code 1."""

    def show(self, file: Any = None) -> None:
        click.echo(f"sen: {self.message}", err=True)


@click.group()
def registers() -> None:
    """Simulate the six registers."""


@registers.command("generate")
@click.argument("file", type=_FILE)
@click.option("--people", "count", type=click.IntRange(1, 20_000_000), required=True)
@click.option("--seed", default="sen", show_default=True)
def registers_generate(file: Path, count: int, seed: str) -> None:
    """Invent a population and write it to FILE; the same seed on the same day invents the same."""
    with Progress(
        TextColumn("inventing people"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=count <= _PROGRESS_FROM or not sys.stderr.isatty(),
    ) as bar:
        task = bar.add_task("people", total=count)
        try:
            generate(
                file,
                people=count,
                seed=seed,
                today=datetime.now(UTC).date(),
                progress=lambda done: bar.update(task, completed=done),
            )
        except (OSError, sqlite3.Error) as error:
            raise _Failure(f"{file} cannot be written ({error})") from error
        establish(file)
    click.echo(f"invented {count} people in {file}")
    click.echo(f"their cards are signed by {authority_file(file)}, for SEN_CSCA_FILE")


@registers.command("serve")
@click.argument("file", type=_FILE)
@click.option("--bind", default=_DEFAULT_BIND, show_default=True, metavar="HOST:PORT")
@click.option("--fault", "faults", multiple=True, metavar="REGISTER=FAULT")
@click.option(
    "--receipt-keys",
    type=_FILE,
    required=True,
    help="The provider's public keys, as `sen ledger receipt-keys` prints them.",
)
@click.option(
    "--auditor",
    "auditors",
    multiple=True,
    metavar="CLIENT",
    help="Who may ask whether somebody exists.",
)
def registers_serve(
    file: Path, bind: str, faults: tuple[str, ...], receipt_keys: Path, auditors: tuple[str, ...]
) -> None:
    """Answer for the six registers from FILE, as a security server would, until stopped: only under
    a use receipt by one of the keys.
    """
    host, _, port = bind.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise _Failure(f"--bind {bind!r} must be HOST:PORT")
    if not is_loopback(host):
        raise _Failure(
            "the simulated registers serve on localhost only: they ask for no certificate"
        )
    switched = [_fault(text) for text in faults]
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    try:
        simulator = serve(file, host, int(port), _keys(receipt_keys))
    except FileNotFoundError as error:
        raise _Failure(f"there is no file {file}; 'sen registers generate' makes one") from error
    except OSError as error:
        raise _Failure(f"cannot serve on {bind} ({error.strerror})") from error
    simulator.auditors.update(auditors)
    for name, fault in switched:
        simulator.set_fault(name, fault)
    click.echo(f"serving the registers on http://{bind}")
    run(simulator, stop)


def _keys(path: Path) -> list[dict[str, Any]]:
    try:
        keys: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))["keys"]
        for key in keys:
            jwt.PyJWK(key)
    except (OSError, ValueError, TypeError, KeyError, jwt.PyJWTError) as error:
        raise _Failure(f"{path} holds no JWK set ('sen ledger receipt-keys' prints it)") from error
    return keys


@registers.command("people")
@click.argument("file", type=_FILE)
@click.option("--kind", type=click.Choice(KINDS), default="citizen", show_default=True)
@click.option("--gender", type=click.Choice(["female", "male"]), default=None)
@click.option("--limit", type=click.IntRange(1, 1_000_000), default=10, show_default=True)
def registers_people(file: Path, kind: Kind, gender: str | None, limit: int) -> None:
    """Print people of FILE as JSON, one a line, in the shape of seed files."""
    with _opened(file) as db:
        for person in people(db, kind, limit=limit, gender=gender):
            click.echo(json.dumps(person, ensure_ascii=False))


@registers.command("happen")
@click.argument("file", type=_FILE)
@click.argument("kind", type=click.Choice([kind.value for kind in EventKind]))
@click.argument("number")
@click.argument("values", nargs=-1)
def registers_happen(file: Path, kind: str, number: str, values: tuple[str, ...]) -> None:
    """Let something happen to whoever bears NUMBER (personal number, passport with its country, or
    tax code); the register's feed tells of it, also while it serves.
    """
    with _opened(file) as db:
        try:
            sequence = happen(db, EventKind(kind), number, values)
        except ValueError as error:
            raise _Failure(str(error)) from error
    click.echo(f"event {sequence}")


@registers.command("read-card")
@click.argument("file", type=_FILE)
@click.option("--person", required=True, metavar="NUMBER", help="Whose card: a personal number.")
@click.option("--url", required=True, help="The provider's address.")
@click.option("--code", required=True, help="The code that the provider's page shows.")
def registers_read_card(file: Path, person: str, url: str, code: str) -> None:
    """Hold a simulated card to a reader: answer the provider's request with this code by the chip of
    the card that PERSON of FILE has.
    """
    with _opened(file) as db:
        try:
            status, answer = present(chip_of(db, establish(file), person), url, code)
        except (ValueError, OutboundRefusedError) as error:
            raise _Failure(f"the card could not be presented ({error})") from error
    if status != 200:
        raise _Failure(f"refused: {answer.get('reason') or answer.get('error') or status}")
    state = f"; the application is {answer['application']}" if "application" in answer else ""
    click.echo(f"accepted{state}")


@registers.command("show-face")
@click.argument("file", type=_FILE)
@click.argument("picture", type=_FILE)
@click.option("--person", required=True, metavar="NUMBER", help="Whose face: a personal number.")
def registers_show_face(file: Path, picture: Path, person: str) -> None:
    """Write to PICTURE what a camera sees that PERSON of FILE stands before: a drawn face as PNG, for
    the page that compares faces.
    """
    with _opened(file) as db:
        if db.execute("SELECT 1 FROM person WHERE number = ?", (person,)).fetchone() is None:
            raise _Failure("nobody of the population bears this number")
    try:
        picture.write_bytes(capture(person))
    except OSError as error:
        raise _Failure(f"{picture} cannot be written ({error.strerror})") from error
    click.echo(f"wrote {picture}")


@registers.command("fault")
@click.argument("register", type=click.Choice([*NAMES, "*"]))
@click.argument("fault", type=click.Choice([*(fault.value for fault in Fault), "none"]))
@click.option("--at", default=_DEFAULT_BIND, show_default=True, metavar="HOST:PORT")
def registers_fault(register: str, fault: str, at: str) -> None:
    """Switch a fault of a REGISTER on while it serves, or with `none` off again."""
    host = at.rpartition(":")[0]
    if not is_loopback(host):
        raise _Failure("faults are switched on localhost only")
    document = {"register": register, "fault": None if fault == "none" else fault}
    body = json.dumps(document).encode()
    try:
        Outbound(frozenset({at}), plain_on_loopback=True).exchange(
            "POST",
            f"http://{at}/control/faults",
            headers={"Content-Length": str(len(body))},
            body=body,
        )
    except OutboundRefusedError as error:
        raise _Failure(f"no simulated registers answer at {at}") from error
    click.echo(f"{register}: {fault}")


def _fault(text: str) -> tuple[str | None, Fault]:
    name, _, fault = text.partition("=")
    if name not in {*NAMES, "*"} or fault not in {one.value for one in Fault}:
        known = ", ".join(one.value for one in Fault)
        raise _Failure(f"--fault {text!r} must be REGISTER=FAULT; the faults are {known}")
    return (None if name == "*" else name), Fault(fault)


@contextmanager
def _opened(file: Path) -> Iterator[sqlite3.Connection]:
    if not file.is_file():
        raise _Failure(f"there is no file {file}; 'sen registers generate' makes one")
    try:
        with opened(file) as db:
            yield db
    except sqlite3.Error as error:
        raise _Failure(f"{file} cannot be used as a population ({error})") from error
