"""`sen registers`: a population is invented, served by a process of its own, and things happen."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from accounts.attributes import Source
from accounts.subject import IdentifierType
from connectors.protocol import NotFound, Query, Record, Unavailable
from connectors.registry import remote_registers
from connectors.remote import RemoteRegister
from idp import changes
from idp.cli import main
from idp.services import Installation
from idp.settings import read_settings
from tests.support.clock import Clock
from tests.support.registers import RECEIPTS, evidence, security_server
from tests.support.server import ROOT, free_port

START_SECONDS = 20.0


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("registers") / "people.db"
    assert sen("generate", "--people", "300", "--seed", "t", str(path)).exit_code == 0
    return path


def sen(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["registers", *arguments])


def refused(*arguments: str) -> str:
    result = sen(*arguments)
    assert result.exit_code == 1
    assert result.output.count("\n") == 1
    assert result.output.startswith("sen: ")
    return result.output


def receipt_keys(file: Path) -> Path:
    path = file.with_name("receipt-keys.json")
    path.write_text(json.dumps({"keys": [RECEIPTS.jwk]}))
    return path


@contextmanager
def served(file: Path, *options: str) -> Iterator[str]:
    """Run `sen registers serve`, and end it by its signal."""
    address = f"127.0.0.1:{free_port()}"
    with subprocess.Popen(
        [sys.executable, "-m", "idp.cli", "registers", "serve", str(file), "--bind", address,
         "--receipt-keys", str(receipt_keys(file)), *options],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        try:
            deadline = time.monotonic() + START_SECONDS
            assert process.stdout is not None
            assert b"serving" in process.stdout.readline()
            assert time.monotonic() < deadline
            yield address
        finally:
            process.terminate()
            assert process.wait(10) == 0


def person(file: Path, kind: str = "citizen") -> dict[str, object]:
    told = sen("people", str(file), "--kind", kind, "--limit", "1").output
    found: dict[str, object] = json.loads(told)
    return found


def asking(file: Path, address: str) -> tuple[RemoteRegister, Query]:
    someone = person(file)
    remote = remote_registers(security_server(address), Clock())[Source.POPULATION]
    query = Query(
        IdentifierType.PERSONAL_NUMBER,
        str(someone["personal_number"]),
        str(someone["name"]),
        str(someone["birthdate"]),
        ("gender", "death_date"),
    )
    return remote, query


def test_a_process_answers_fails_on_demand_and_tells_what_happens(file: Path) -> None:
    with served(file, "--fault", "officials=down") as address:
        remote, query = asking(file, address)
        now = Clock()()
        first = remote.look_up(query, evidence(), now)
        assert isinstance(first, Record)
        assert set(first.values) == {"gender"}
        assert sen("fault", "population", "error", "--at", address).exit_code == 0
        assert isinstance(remote.look_up(query, evidence(), now), Unavailable)
        assert sen("fault", "*", "none", "--at", address).exit_code == 0
        told = sen("happen", str(file), "death", query.identifier)
        assert told.exit_code == 0, told.output
        second = remote.look_up(query, evidence(), now)
        assert isinstance(second, Record)
        assert "death_date" in second.values
        events = remote.changes(0, 10)
        assert isinstance(events, tuple)
        assert ("death", query.identifier) in [(event.kind, event.number) for event in events]


def test_a_changed_number_is_the_only_one_known(file: Path) -> None:
    with served(file) as address:
        remote, query = asking(file, address)
        assert (
            sen("happen", str(file), "number-changed", query.identifier, "001190999999").exit_code
            == 0
        )
        assert remote.look_up(query, evidence(), Clock()()) == NotFound("population")


def test_people_are_told_in_the_shape_of_seed_files(file: Path) -> None:
    lines = sen("people", str(file), "--limit", "5", "--gender", "female").output.splitlines()
    assert len(lines) == 5
    assert {json.loads(line)["gender"] for line in lines} == {"female"}
    assert set(person(file, "foreigner")["passport"]) == {"country", "number", "expiry"}  # type: ignore[call-overload]
    assert set(person(file, "representative")["organisation"]) == {"tax_code", "name"}  # type: ignore[call-overload]


def test_what_cannot_be_done_is_told_in_one_sentence(file: Path, tmp_path: Path) -> None:
    missing = str(tmp_path / "none.db")
    keys = ("--receipt-keys", str(receipt_keys(file)))
    assert "generate" in refused("serve", missing, *keys)
    assert "JWK set" in refused("serve", str(file), "--receipt-keys", str(file))
    assert "generate" in refused("people", missing)
    assert not Path(missing).exists()
    assert "cannot be written" in refused("generate", "--people", "5", str(tmp_path / "a" / "b"))
    (tmp_path / "text").write_text("no database, and long enough to be sure of it" * 10)
    assert "as a population" in refused("people", str(tmp_path / "text"))
    assert "localhost only" in refused("serve", str(file), *keys, "--bind", "0.0.0.0:8110")
    assert "HOST:PORT" in refused("serve", str(file), *keys, "--bind", "x")
    assert "REGISTER=FAULT" in refused("serve", str(file), *keys, "--fault", "population=tired")
    assert "nobody" in refused("happen", str(file), "death", "000000000000")
    assert "no simulated registers" in refused("fault", "*", "none", "--at", "127.0.0.1:9")


def test_an_installation_without_registers_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEN_DATA_DIR", str(tmp_path))
    assert CliRunner().invoke(main, ["init"]).exit_code == 0
    assert "SEN_REGISTERS_URL" in refused("status")
    monkeypatch.setenv("SEN_REGISTERS_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("SEN_XROAD_CLIENT", "VN/GOV/MPS/sen-id")
    assert "no feed was read yet" in sen("status").output
    settings = read_settings()
    installation = Installation(settings)
    changes.follow(installation)
    installation.engine.dispose()
    told = sen("status").output.splitlines()
    assert len(told) == len(changes.SOURCES)
    assert all("not available since" in line for line in told)
