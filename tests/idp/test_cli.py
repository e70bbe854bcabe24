"""The command line."""

import gc
import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from consent.data_use import Channel
from idp.cli import main
from idp.services import Installation
from tests.support.cast import TAX_CODE
from tests.support.stores import INSTALLATION_SECRET, Templates, settings_for


@pytest.fixture
def environment(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """The environment of an operator of the seeded installation."""
    import base64  # noqa: PLC0415

    for name in [name for name in os.environ if name.startswith("SEN_")]:
        monkeypatch.delenv(name)
    (tmp_path / "secret").write_text(base64.b64encode(INSTALLATION_SECRET).decode())
    monkeypatch.setenv("SEN_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("SEN_DATABASE_URL", database_url)
    monkeypatch.setenv("SEN_ISSUER", "https://id.sen.example")
    return tmp_path


def sen(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def told(*arguments: str) -> str:
    """Run a command that succeeds and return what it says."""
    result = sen(*arguments)
    assert result.exit_code == 0, result.output
    assert result.exception is None
    return result.stdout


def failed(*arguments: str) -> str:
    """Run a command that fails with one sentence and return it."""
    result = sen(*arguments)
    assert result.exit_code in {1, 2}, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return result.stderr


def test_init_makes_what_is_missing_and_then_nothing_more(
    empty_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEN_DATA_DIR", str(tmp_path / "new"))
    monkeypatch.setenv("SEN_DATABASE_URL", empty_database_url)
    assert "made the secret" in told("init")
    secret = tmp_path / "new" / "secret"
    assert secret.stat().st_mode & 0o777 == 0o600
    before = secret.read_text()
    assert "made the secret" not in told("init")
    assert secret.read_text() == before
    assert len(told("keys", "list").splitlines()) == 3
    # A connection left open would be reported here, and not in whichever test comes next.
    gc.collect()


def test_another_installations_secret_is_noticed(environment: Path) -> None:
    import base64  # noqa: PLC0415
    import secrets  # noqa: PLC0415

    (environment / "secret").write_text(base64.b64encode(secrets.token_bytes(48)).decode())
    assert "the secret does not fit" in failed("init")


def test_seed_tells_how_many(environment: Path, templates: Templates) -> None:
    file = environment / "seed.json"
    file.write_text(json.dumps(templates.cast.seed_document()))
    assert told("seed", str(file)) == "seeded 7 relying parties, 7 people, 1 organisations\n"


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"{", "not valid JSON"),
        (b"\xff\xfe", "UTF-8"),
        (b'{"people": [{"kind": "citizen"}]}', "people[0]"),
        (b'{"people": 5}', "people"),
        (b'{"people": [5]}', "people[0]"),
        (b"[]", "line 1"),
    ],
)
def test_a_bad_seed_is_one_sentence(environment: Path, content: bytes, word: str) -> None:
    file = environment / "seed.json"
    file.write_bytes(content)
    assert word in failed("seed", str(file))


def test_a_missing_seed_is_one_sentence(environment: Path) -> None:
    assert "cannot be read" in failed("seed", str(environment / "none.json"))


NEW = {
    "client_id": "new",
    "client_name": "Mới",
    "redirect_uris": ["https://new.example/cb"],
    "purpose": "public-service",
}


def test_a_relying_party_is_registered_and_its_secret_shown_once(environment: Path) -> None:
    file = environment / "rp.json"
    file.write_text(json.dumps(NEW))
    output = told("relying-party", "add", str(file))
    secret = output.split("client_secret: ")[1].strip()
    assert len(secret) >= 32
    listed = told("relying-party", "list")
    assert "new\tactive\tpublic-service\tMới" in listed
    assert secret not in listed


@pytest.mark.parametrize(
    ("document", "word"),
    [
        ("{", "not valid JSON"),
        ("[]", "one JSON object"),
        ('{"client_id": "x"}', "is required"),
        (json.dumps(NEW | {"redirect_uris": ["http://x.example"]}), "redirect_uris"),
        (json.dumps(NEW | {"token_endpoint_auth_method": 5}), "token_endpoint_auth_method"),
        ("[" * 100_000, "not valid JSON"),
    ],
    ids=["syntax", "list", "missing", "http", "method", "deep"],
)
def test_a_bad_registration_is_one_sentence(environment: Path, document: str, word: str) -> None:
    file = environment / "rp.json"
    file.write_text(document)
    assert word in failed("relying-party", "add", str(file))


def test_a_relying_party_can_be_disabled(environment: Path) -> None:
    assert "disabled portal" in told("relying-party", "disable", "portal")
    assert "portal\tdisabled" in told("relying-party", "list")
    assert "no relying party" in failed("relying-party", "disable", "nobody")


def test_keys_can_be_rotated_one_by_one(environment: Path) -> None:
    assert told("keys", "rotate", "--algorithm", "ES256").endswith("\tES256\tactive\n")
    states = [line.split("\t")[1:3] for line in told("keys", "list").splitlines()]
    assert sorted(states) == [
        ["ES256", "active"], ["ES256", "retired"], ["PS256", "active"], ["RS256", "active"],
    ]  # fmt: skip
    assert failed("keys", "rotate", "--algorithm", "HS256")


@pytest.mark.parametrize("identifier", ["lan", "999190000001", "999 190 000 001", "LAN"])
def test_an_account_is_shown_without_naming_anybody(environment: Path, identifier: str) -> None:
    output = told("account", "show", identifier)
    assert "level 02" in output
    assert "passkeys 1" in output
    assert "Hương" not in output


def test_an_account_is_found_by_its_id(environment: Path) -> None:
    account = told("account", "show", "lan").split()[1]
    assert told("account", "show", account) == told("account", "show", "lan")
    assert "no account" in failed("account", "show", "nobody")


def test_an_account_can_be_locked_and_unlocked(environment: Path) -> None:
    assert "locks risk" in told("account", "lock", "lan", "--reason", "risk")
    assert "authority-order, risk" in told("account", "lock", "lan")
    assert "locks authority-order" in told("account", "unlock", "lan", "--reason", "risk")
    assert "locks none" in told("account", "unlock", "lan")


def test_who_is_shown_to_an_operator_sees_it(environment: Path, database_url: str) -> None:
    told("account", "show", "lan")
    told("account", "lock", "lan", "--reason", "risk")
    told("account", "history", "lan")
    installation = Installation(settings_for(database_url, environment))
    try:
        with installation.engine.begin() as db:
            services = installation.services(db)
            subject = services.subjects.find_for_sign_in("lan")
            assert subject is not None
            channels = [entry.use.channel for entry in services.use_log.of_subject(subject)]
            assert channels.count(Channel.OPERATOR_VIEW) == 3
            assert services.use_log.is_intact(subject)
    finally:
        installation.engine.dispose()


def test_an_account_can_be_closed_and_tells_its_history(environment: Path) -> None:
    told("account", "lock", "lan", "--reason", "holder-request")
    output = told("account", "close", "lan", "--reason", "death", "--ground", "Trích lục 1/2026")
    assert "state closed" in output
    assert "closed death" in output
    assert "account-closed" in failed("account", "lock", "lan")
    lines = [line.split("\t")[1:] for line in told("account", "history", "lan").splitlines()]
    assert lines[-2:] == [["locked", "holder-request", "operator"], ["closed", "death", "operator"]]


def test_a_lock_the_law_does_not_know_for_this_account_is_refused(environment: Path) -> None:
    assert "unfitting-reason" in failed("account", "lock", "lan", "--reason", "passport-expired")


def test_a_personal_number_can_be_followed(environment: Path) -> None:
    before = told("account", "show", "lan")
    assert told("account", "renumber", "lan", "999190000099") == before
    assert told("account", "show", "999190000099") == before
    assert "no account" in failed("account", "show", "999190000001")
    assert "12 digits" in failed("account", "renumber", "lan", "99919")


def test_a_foreigner_can_become_a_citizen(environment: Path) -> None:
    before = told("account", "show", "jean").split()[1]
    output = told("account", "naturalise", "jean", "999079000077", "--ground", "QĐ 7/2026")
    assert f"successor of {before}" in output
    assert "kind citizen" in output
    assert "activation code: " in output
    assert "no-succession" in failed("account", "naturalise", "jean", "999079000078")


def test_officers_are_appointed_listed_and_removed(environment: Path) -> None:
    assert "level 02" in failed("officer", "add", "hoa", "--office", "Công an phường Mẫu")
    sign = told("officer", "add", "lan", "--office", "Công an phường Mẫu").split()[1]
    assert told("officer", "list").startswith(f"{sign}\t")
    inspector = ("--office", "Cục Mẫu", "--role", "inspector")
    assert "appointed" in told("officer", "add", "minh", *inspector)
    assert "\tinspector\tCục Mẫu" in told("officer", "list")
    assert "removed" in told("officer", "remove", "minh")
    assert "removed" in told("officer", "remove", "lan")
    assert told("officer", "list") == ""
    assert "no office" in failed("officer", "remove", "lan")


def test_a_days_figures_are_written_with_their_manifest(environment: Path) -> None:
    folder = environment / "exports"
    told("ledger", "run", "--once")
    assert "no export" in failed("regulator", "export", "--day", "2020-01-01", "--to", str(folder))
    file, manifest = told("regulator", "export", "--to", str(folder)).split()
    assert b'"name":"root"' in gzip.decompress(Path(file).read_bytes())
    assert Path(manifest).read_text("ascii").count(".") == 2


def test_a_head_is_appointed_and_dismissed(environment: Path) -> None:
    ask = ("mandate", "appoint-head", TAX_CODE)
    decision = ("--decision", "Quyết định 12/QĐ-UBND")
    assert "level 02" in failed(*ask, "hoa", *decision)
    assert "no organisation" in failed("mandate", "appoint-head", "0000000000", "lan", *decision)
    assert told(*ask, "minh", *decision, "--until", "2030-12-31").startswith("appointed ")
    lines = told("mandate", "list", TAX_CODE).splitlines()
    assert [line.split("\t")[1:3] for line in lines] == [
        ["org_head", "active"],
        ["legal_rep", "active"],
    ]
    assert "2030-12-31T17:00:00" in lines[0]
    assert told("mandate", "dismiss-head", TAX_CODE, "minh").startswith("dismissed ")
    assert "does not head" in failed("mandate", "dismiss-head", TAX_CODE, "minh")
    assert told("mandate", "list", "bank") == ""


def test_an_activation_code_can_be_given(environment: Path) -> None:
    assert told("account", "activation-code", "tam").startswith("activation code: ")


def test_purge_tells_what_went(environment: Path) -> None:
    assert "0 grants" in told("purge")


def test_a_wrong_setting_is_one_sentence(
    environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEN_NONSENSE", "1")
    for command in (["init"], ["keys", "list"], ["purge"], ["seed", "x"]):
        assert "SEN_NONSENSE is not a setting" in failed(*command)


def test_a_database_that_is_away_is_one_sentence(
    environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEN_DATABASE_URL", "postgresql://nobody@127.0.0.1:9/none")
    assert "the database cannot be used" in failed("keys", "list")


@pytest.mark.parametrize("bind", ["nonsense", ":", "localhost:0", "localhost:99999", "x:y"])
def test_an_address_that_cannot_be_bound_is_one_sentence(environment: Path, bind: str) -> None:
    assert "HOST:PORT" in failed("serve", "--bind", bind)


def test_the_data_key_and_the_secret_can_be_changed(
    environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import base64  # noqa: PLC0415
    import secrets  # noqa: PLC0415
    from datetime import timedelta  # noqa: PLC0415

    monkeypatch.setattr("idp.data_rotation.KNOWN_EVERYWHERE", timedelta(0))
    assert "sealed with key 2\nretired 1" in told("keys", "rotate-data")
    assert [line.split("\t")[1][:7] for line in told("keys", "data").splitlines()] == [
        "retired", "retired", "in use"]  # fmt: skip
    new = environment / "new-secret"
    new.write_text(base64.b64encode(secrets.token_bytes(48)).decode())
    assert "under the new secret" in told("keys", "change-secret", str(new))
    assert "done before" in told("keys", "change-secret", str(new))
    assert "the secret does not fit" in failed("init")
    monkeypatch.setenv("SEN_SECRET_FILE", str(new))
    assert "ready" in told("init")
    assert "kind citizen" in told("account", "show", "lan")
    new.write_text("c2hvcnQ=")
    assert "is weak" in failed("keys", "change-secret", str(new))
