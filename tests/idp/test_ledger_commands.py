"""`sen ledger`, `sen verify`, `sen witness`: what an operator, a verifier and a watcher type."""

import base64
import json
import os
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import delete, update

from accounts.subject import SubjectKind
from consent.data_use import Channel, Use, data_use
from consent.ledger.note import VerifierKey
from consent.ledger.policy import Policy
from consent.sealing import Seal, SealClass
from idp import proof
from idp.cli import main
from idp.database import connect
from idp.services import Installation
from tests.support.clock import Clock
from tests.support.shelf import filled
from tests.support.stores import INSTALLATION_SECRET, Templates, settings_for

pytestmark = pytest.mark.parametrize("kind", ["sqlite"])


@pytest.fixture
def folder(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in [name for name in os.environ if name.startswith("SEN_")]:
        monkeypatch.delenv(name)
    (tmp_path / "secret").write_text(base64.b64encode(INSTALLATION_SECRET).decode())
    monkeypatch.setenv("SEN_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("SEN_DATABASE_URL", database_url)
    monkeypatch.setenv("SEN_ISSUER", "https://id.sen.example")
    return tmp_path


def sen(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def test_the_logs_are_kept_told_and_checked(folder: Path, database_url: str) -> None:
    assert "chains have uses that are not in the logs yet" in sen("ledger", "status").output
    assert "entries taken" in sen("ledger", "run", "--once").output
    status = sen("ledger", "status").output
    assert "root\t1 entries\t0 witnesses" in status
    assert "1 epochs; 0 chains" in status
    assert "no day of the last seven was compared" in status
    assert "0 releases that are not in the record" in sen("ledger", "reconcile").output
    assert "0 unlogged" in sen("ledger", "status").output
    assert sen("ledger", "check").output.splitlines()[-1] == "every chain is intact"
    trusted = Policy.parse(sen("ledger", "policy").output)
    assert [key.name for key in trusted.logs] == ["id.sen.example/ledger"] * 2
    engine = connect(database_url)
    with engine.begin() as db:
        db.exec_driver_sql("DELETE FROM ledger_head")
    assert "head" in sen("ledger", "check").output
    assert "made anew: head" in sen("ledger", "rebuild").output
    assert sen("ledger", "check").exit_code == 0
    with engine.begin() as db:
        db.exec_driver_sql("UPDATE data_use SET correlation = 'x' WHERE position = 1")
    failed = sen("ledger", "check")
    assert failed.exit_code == 1
    assert "entries that were changed or removed" in failed.output
    with engine.begin() as db:
        db.exec_driver_sql(
            "UPDATE ledger_tile SET data = zeroblob(34) WHERE level < 0 AND log = 'root'"
        )
    assert "lost: root" in sen("ledger", "rebuild").output
    engine.dispose()


def test_the_oversight_body_has_a_key_of_its_own(folder: Path, tmp_path: Path) -> None:
    key = tmp_path / "oversight"
    public = sen("oversight", "key", str(key)).output
    assert sen("oversight", "key", str(key)).output == public
    assert len(base64.b64decode(public)) == 32
    assert key.stat().st_mode & 0o077 == 0
    assert sen("ledger", "sealed").output == ""
    subject = Use(
        subject_id="s", client_id="police", channel=Channel.USERINFO, attributes=("sub",),
        purpose="public-service", purpose_version=1, legal_basis="consent", correlation="c" * 32,
    )  # fmt: skip
    installation = Installation(settings_for(os.environ["SEN_DATABASE_URL"], folder))
    until = installation.clock().date() + timedelta(days=3)
    with installation.engine.begin() as db:
        services = installation.services(db)
        seal = Seal(SealClass.COURT, "TAND/1", until)
        services.sealing.record(subject, seal, base64.b64decode(public), services.subjects)
    installation.engine.dispose()
    entries = tmp_path / "entries"
    entries.write_text(sen("ledger", "sealed").output)
    opened = json.loads(sen("oversight", "open", str(key), str(entries)).output)
    assert (opened["subject_id"], opened["client_id"]) == ("s", "police")
    sen("oversight", "key", str(tmp_path / "other"))
    failed = sen("oversight", "open", str(tmp_path / "other"), str(entries))
    assert failed.exit_code == 1
    assert "not encrypted to this key" in failed.output


def test_a_draw_is_opened_only_once_there_is_one(folder: Path) -> None:
    failed = sen("ledger", "open", "x" * 32, "--warrant", "7/2026", "--out", str(folder / "o"))
    assert failed.exit_code == 1
    assert "no such audit" in failed.output
    assert not (folder / "o").exists()
    assert json.loads(sen("ledger", "receipt-keys").output)["keys"][0]["crv"] == "Ed25519"


def test_old_uses_are_moved_listed_and_verified(folder: Path, database_url: str) -> None:
    assert sen("archive", "run").output == "nothing is old enough\n"
    assert sen("archive", "list").output == ""
    assert "no month is missing" in sen("archive", "verify").output
    long_ago = Clock(datetime(2024, 3, 5, tzinfo=UTC))
    installation = Installation(settings_for(database_url, folder), clock=long_ago)
    with installation.engine.begin() as db:
        services = installation.services(db)
        subject = services.subjects.add(SubjectKind.PERSON)
        services.use_log.record_many(
            [
                Use(
                    subject_id=subject, client_id="portal", channel=Channel.USERINFO,
                    attributes=("sub",), purpose="public-service", purpose_version=1,
                    legal_basis="consent", correlation="c" * 32,
                )
            ] * 3
        )  # fmt: skip
    assert sen("ledger", "run", "--once").exit_code == 0
    assert "2024-03: 3 uses of 1 people in 1 files, " in sen("archive", "run").output
    assert sen("archive", "list").output.startswith("uses-2024-03-000.parquet\t3 uses\t1 people\t")
    assert "000.parquet: 3 uses of 1 people, as signed" in sen("archive", "verify").output
    assert sen("ledger", "check").output.splitlines()[-1] == "every chain is intact"
    late = sen("ledger", "reconcile", "--day", "2024-03-05")
    assert (late.exit_code, "relying-party\tportal\tthe record has 3" in late.output) == (0, True)
    (folder / "archive" / "uses-2024-03-000.parquet").unlink()
    late = sen("ledger", "reconcile", "--day", "2024-03-05")
    assert (late.exit_code, "000.parquet is missing" in late.output) == (1, True)
    failed = sen("archive", "verify")
    assert failed.exit_code == 1
    assert "uses-2024-03-000.parquet: the file is missing" in failed.output
    assert "1 chains have entries that were changed or removed" in sen("ledger", "check").output
    installation.engine.dispose()


def test_what_was_tampered_with_is_named_mended_or_set_aside(
    folder: Path, database_url: str, templates: Templates
) -> None:
    installation = Installation(
        settings_for(database_url, folder), clock=Clock(datetime(2024, 3, 5, tzinfo=UTC))
    )
    shelf = filled(installation, installation.clock)  # type: ignore[arg-type]
    with templates.copy("sqlite", empty=True) as backup:
        engine = installation.engine
        with closing(engine.raw_connection()) as raw:
            raw.cursor().execute("VACUUM INTO ?", [backup.removeprefix("sqlite:///")])
        changed = data_use.c.subject_id == shelf.people[0]
        with engine.begin() as db:
            db.execute(
                update(data_use).where(changed, data_use.c.position == 2).values(correlation="x")
            )
            db.execute(update(data_use).where(changed, data_use.c.position == 3).values(terms=1))
        who = installation.ledger_index(shelf.people[0])[:16].hex()
        for failed in (sen("archive", "run"), sen("archive", "list"), sen("ledger", "mend")):
            assert f"2024-03: entry 3 of {who} is gone" in failed.output
            assert f"2024-03: entry 2 of {who} says something else" in failed.output
        assert sen("archive", "run").exit_code == 1
        assert sen("archive", "list").exit_code == 0
        refused = sen("archive", "set-aside", "2024-03", "--reference", "7/2026")
        assert "what they have in common with others is gone" in refused.output
        assert sen("ledger", "mend", "--backup", backup).output.endswith("put right\n")
        assert sen("ledger", "mend").output == "every row is as it was published\n"
        with engine.begin() as db:
            db.execute(delete(data_use).where(changed, data_use.c.position == 2))
    aside = sen("archive", "set-aside", "2024-03", "--reference", "")
    assert "a reference has 3 to 64 signs" in aside.output
    aside = sen("archive", "set-aside", "2024-03", "--reference", "7/2026")
    assert (aside.exit_code, "1 set aside under 7/2026" in aside.output) == (0, True)
    assert sen("archive", "run").exit_code == 0
    listed = f"set aside (7/2026): 2024-03: entry 2 of {who} is gone"
    assert listed in sen("archive", "list").output
    assert "1 set aside (7/2026)" in sen("archive", "verify").output
    evidence = json.loads(sen("archive", "evidence", "uses-2024-03-000.parquet").output)
    assert (evidence["fault"], evidence["row_found"]) == ("missing", None)
    assert "is not listed" in sen("archive", "evidence", "../secret").output
    assert "1 chains have entries that were changed" in sen("ledger", "check").output
    again = sen("archive", "set-aside", "2024-03", "--reference", "7/2026")
    assert (again.exit_code, "nothing is old enough" in again.output) == (1, True)
    installation.engine.dispose()


def test_a_proof_is_verified_at_the_command_line(folder: Path, database_url: str) -> None:
    assert sen("ledger", "run", "--once").exit_code == 0
    installation = Installation(settings_for(database_url, folder))
    with installation.engine.begin() as db:
        subject = installation.services(db).subjects.find_for_sign_in("lan")
    assert subject is not None
    path = folder / "proof.json"
    with path.open("wb") as file:
        proof.write(installation, subject, file)
    installation.engine.dispose()
    good = sen("verify", str(path), "--language", "en")
    assert good.exit_code == 0
    assert "none missing, none changed, confirmed by 0 of 0 witnesses" in good.output
    assert "Compare its fingerprint" in good.output
    path.write_text(json.dumps(json.loads(path.read_text()) | {"entries": []}))
    bad = sen("verify", str(path))
    assert (bad.exit_code, bad.output[:21]) == (1, "KHÔNG ĐƯỢC XÁC NHẬN. ")
    path.write_text("no JSON")
    assert sen("verify", str(path)).exit_code == 2


@pytest.mark.parametrize("program", ["witness", "auditor"])
@pytest.mark.parametrize("algorithm", ["ed25519", "ml-dsa-44"])
def test_a_watcher_keeps_its_key(folder: Path, program: str, algorithm: str) -> None:
    given = [program, str(folder / "w"), "--name", "w.example", "--algorithm", algorithm]
    first = sen(*given)
    assert VerifierKey.parse(first.output.strip()).name == "w.example"
    assert sen(*given).output == first.output
    assert (folder / "w" / "key").stat().st_mode & 0o777 == 0o600
    assert sen(*given, "--evidence").output == ""
    bad = sen(*given, "--log-key", "x", "--log-url", "http://localhost:1/ledger")
    assert (bad.exit_code, "cannot begin" in bad.output) == (1, True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("log a+b+c\nquorum none\n", "is no policy"),
        ("quorum w\n", "is no policy"),
        ("witness w {key}\nquorum w\n", "needs an https address"),
        ("witness w {key} http://w.example\nquorum w\n", "needs an https address"),
    ],
)
def test_a_policy_that_cannot_be_used_stops_the_start(
    folder: Path, text: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = sen("witness", str(folder / "w"), "--name", "w.example").output.strip()
    (folder / "policy").write_text(text.replace("{key}", key))
    monkeypatch.setenv("SEN_LEDGER_POLICY", str(folder / "policy"))
    failed = sen("ledger", "status")
    assert failed.exit_code == 1
    assert said in failed.output
