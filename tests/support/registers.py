"""The simulated registers in a thread: the same code and wire as `sen registers serve`."""

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from connectors.outbound import Outbound
from connectors.simulation.generate import generate
from connectors.simulation.server import Simulator, serve
from connectors.simulation.store import name_key, opened
from connectors.xroad import SecurityServer
from consent.data_use import Recorded
from consent.use_receipts import Evidence, UseReceipts
from idp.services import Installation
from idp.settings import Settings
from tests.support.clock import Clock
from tests.support.stores import settings_for

CLIENT = "VN-TEST/GOV/SEN/identity-provider"
PEOPLE = 400
RECEIPTS = UseReceipts("https://id.example", Ed25519PrivateKey.generate())
"""Whose receipts every simulator of the tests believes, besides those of the installation it serves."""


def evidence(entry: str = "") -> Evidence:
    """Return what a question of a test rests on; by default one of its own."""
    at = datetime.now(UTC)
    recorded = Recorded(entry or secrets.token_hex(16), "s", 1, at, "sen-id", bytes(32), bytes(32))
    return Evidence(recorded, RECEIPTS)


def population(path: Path, people: int = PEOPLE, seed: str = "tests") -> Path:
    """Generate a population of today."""
    generate(path, people=people, seed=seed, today=datetime.now(UTC).date())
    return path


@contextmanager
def running(file: Path) -> Iterator[Simulator]:
    """Run the simulators for as long as the context lasts."""
    simulator = serve(file, "127.0.0.1", 0, [RECEIPTS.jwk])
    thread = threading.Thread(target=simulator.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield simulator
    finally:
        simulator.shutdown()
        thread.join()
        simulator.server_close()


def behind(settings: Settings, simulator: Simulator) -> Settings:
    """Return the settings of an installation that asks these registers."""
    url = f"http://{authority(simulator)}"
    return replace(settings, registers_url=url, xroad_client=CLIENT)


@contextmanager
def installed(
    database_url: str, folder: Path, simulator: Simulator, clock: Clock
) -> Iterator[Installation]:
    """Open an installation that asks these registers."""
    made = Installation(behind(settings_for(database_url, folder), simulator), clock=clock)
    simulator.receipt_keys.append(made.use_receipts.jwk)
    try:
        yield made
    finally:
        made.engine.dispose()


def authority(simulator: Simulator) -> str:
    return f"127.0.0.1:{simulator.server_port}"


def security_server(address: str) -> SecurityServer:
    """Return the client of a security server at ``host:port``."""
    outbound = Outbound(frozenset({address}), plain_on_loopback=True)
    return SecurityServer(f"http://{address}", CLIENT, outbound, secrets.token_bytes)


def enter_person(file: Path, *, number: str, name: str, birthdate: str, **columns: str) -> None:
    """Have the population register know somebody, besides those who were generated."""
    row = {
        "number": number, "name": name, "name_key": name_key(name), "birthdate": birthdate,
        "sex": "F", "province": "01", "commune": "90001", "line": "1 Phố Mới", "household": "0",
        "marital": "single", "children": "[]", **columns,
    }  # fmt: skip
    _enter(file, "person", row)


def enter_enterprise(file: Path, *, tax_code: str, name: str, **columns: str) -> None:
    """Have the business register know an enterprise."""
    row = {
        "tax_code": tax_code, "name": name, "name_key": name_key(name), "form": "joint-stock",
        "founded": "2020-01-01", "status": "active", "province": "01", "commune": "90001",
        "line": "1 Phố Mới", **columns,
    }  # fmt: skip
    _enter(file, "enterprise", row)


def enter_representative(file: Path, *, tax_code: str, number: str, place: int) -> None:
    """Have the business register name somebody, whom the population register knows too."""
    row = {"tax_code": tax_code, "number": number, "role": "director", "place": str(place)}
    _enter(file, "representative", row)


def enter_card(file: Path, *, number: str, issued: str = "2022-02-02", **columns: str) -> None:
    """Have the card register know somebody's card."""
    row = {"number": number, "issued": issued, "expiry": "2050-01-01", "withdrawn": "0", **columns}
    _enter(file, "card", row)


def enter_insured(file: Path, *, number: str, **columns: str) -> None:
    """Have social insurance know somebody."""
    row = {
        "number": number, "insurance_number": "0190000001", "status": "contributing",
        "health_card": "DN4010190000001", "valid_to": "2050-12-31",
        "facility": "Trạm Y tế Mẫu", **columns,
    }  # fmt: skip
    _enter(file, "insurance", row)


def _enter(file: Path, table: str, row: dict[str, str]) -> None:
    marks = ", ".join("?" * len(row))
    with opened(file) as db:
        db.execute(
            f"INSERT OR REPLACE INTO {table} ({', '.join(row)}) VALUES ({marks})",
            tuple(row.values()),
        )
