"""Accounts of an older system: bad rows reported, nothing twice, whatever spreadsheets do to a file."""

import csv
import os
from datetime import date
from pathlib import Path

import pytest

from accounts.account import AccountState
from accounts.attributes import Source
from accounts.subject import IdentifierType
from idp import account_import
from idp.account_import import (
    COLUMNS,
    AccountImport,
    CodesFile,
    Imported,
    ImportRefusedError,
    Refused,
    template,
)
from idp.cli import main
from tests.support.world import World

AS_OF = date(2026, 10, 1)
sqlite_only = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)


def citizen(number: int, **changes: str) -> dict[str, str]:
    return {
        "kind": "citizen",
        "level": "02",
        "name": "Nguyễn Thị Nhập",
        "birthdate": "1990-05-17",
        "personal_number": f"999291{number:06}",
        **changes,
    }


def foreigner(number: int, **changes: str) -> dict[str, str]:
    return {
        "kind": "foreigner", "level": "01", "name": "Amélie Nénuphar", "birthdate": "24/12/1988",
        "passport_country": "FRA", "passport_number": f"Z8{number:06}",
        "passport_expiry": "2035-01-01", "residence_card": f"TC-88{number:04}", **changes,
    }  # fmt: skip


def write(path: Path, rows: list[dict[str, str]], **options: str) -> Path:
    with path.open("w", encoding=options.pop("encoding", "utf-8"), newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, delimiter=options.pop("delimiter", ","))
        writer.writeheader()
        writer.writerows(rows)
    return path


def take(
    world: World, file: Path, *, name: str = "cũ", codes: CodesFile | None = None
) -> tuple[Imported, list[Refused]]:
    refused: list[Refused] = []
    done = AccountImport(world.installation, name, AS_OF, refused.append, codes).run(file)
    assert done.refused == len(refused)
    return done, refused


def test_people_are_taken_whole_and_activate_with_their_code(world: World, tmp_path: Path) -> None:
    rows = [
        citizen(1, email="nhap@example.vn", phone_number="+84 912 345 678", gender="female"),
        foreigner(2),
    ]
    codes = CodesFile(tmp_path / "codes.csv")
    done, refused = take(world, write(tmp_path / "old.csv", rows), codes=codes)
    codes.close()
    assert (done, refused) == (Imported(2, 0, 0), [])
    assert (tmp_path / "codes.csv").stat().st_mode & 0o777 == 0o600
    text = (tmp_path / "codes.csv").read_text(encoding="utf-8")
    written = list(csv.DictReader(text.splitlines()))
    assert [one["identifier"] for one in written] == ["999291000001", "FRAZ8000002"]
    world.secrets += [one["activation_code"] for one in written]
    with world.transaction() as services:
        subject = services.subjects.find(IdentifierType.PERSONAL_NUMBER, "999291000001")
        assert subject is not None
        found = services.accounts.find_of_subject(subject)
        assert found is not None
        assert (found.level.value, found.state) == ("02", AccountState.ISSUED)
        held = services.held.of_subject(subject)
        assert held[Source.POPULATION].as_of.date() == AS_OF
        assert held[Source.POPULATION].values["given_name"] == "Nhập"
        assert held[Source.SELF].values["email_verified"] is False
        (event,) = services.accounts.history(found.id)
        assert event.ground == "import/cũ"
        assert services.use_log.is_intact(subject)
        (entry,) = services.use_log.of_subject(subject)
        assert "vn_pid" in entry.use.attributes
        assert services.subjects.find_for_sign_in("TC-880002") is not None
        assert services.subjects.find_for_sign_in("Z8000002") is not None
    browser = world.browser()
    form = browser.open("/activate").form("/activate")
    page = browser.submit(form, login="999291000001", code=written[0]["activation_code"])
    assert page.location == "/activate/authenticators"


def test_again_and_after_an_interruption_nothing_is_taken_twice(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account_import, "BATCH", 4)
    file = write(tmp_path / "old.csv", [citizen(n) for n in range(10)])

    def stop(_position: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        AccountImport(world.installation, "cũ", AS_OF, lambda _r: None, None, stop).run(file)
    assert take(world, file)[0] == Imported(6, 4, 0)
    assert take(world, file)[0] == Imported(0, 10, 0)
    # Under another name they are somebody else's.
    done, refused = take(world, file, name="khác")
    assert (done.taken, done.refused) == (0, 10)
    assert refused[0] == Refused(2, "somebody bears this identifier already")


@sqlite_only
def test_duplicates_are_told_with_the_line_they_repeat(world: World, tmp_path: Path) -> None:
    lan = world.person("lan").number
    rows = [
        citizen(1),
        citizen(2),
        citizen(1, personal_number="999 291 000 001"),
        citizen(3, personal_number=lan),
        foreigner(5),
        foreigner(6, residence_card="tc880005"),
    ]
    done, refused = take(world, write(tmp_path / "old.csv", rows))
    assert done.taken == 3
    assert sorted((one.line, one.reason) for one in refused) == [
        (4, "the same identifier stands in line 2"),
        (5, "somebody bears this identifier already"),
        (7, "the same identifier stands in line 6"),
    ]


BAD = {
    "kind: must be": citizen(1, kind="org"),
    "level: must be": citizen(1, level="2"),
    "name: missing": citizen(1, name=" "),
    "name: begins like": citizen(1, name="=HYPERLINK(1)"),
    "name: longer": citizen(1, name="x" * 201),
    "name: a control": citizen(1, name="a\x07b"),
    "birthdate: must be": citizen(1, birthdate="17-05-1990"),
    "birthdate: not a possible": citizen(1, birthdate="2990-01-01"),
    "birthdate: must be 2003": citizen(1, birthdate="30/02/1990"),
    "personal_number: 12 digits": citizen(1, personal_number="1190000001"),
    "personal_number: 12": citizen(1, personal_number="9.9919E+11"),
    "gender: must be": citizen(1, gender="x"),
    "email: cannot": citizen(1, email="no"),
    "email: begins like": citizen(1, email="@SUM(1)"),
    "phone_number: cannot": citizen(1, phone_number="09123"),
    "passport_country: three": foreigner(1, passport_country="FR"),
    "passport_expiry: must": foreigner(1, passport_expiry="soon"),
}


@sqlite_only
def test_a_bad_row_is_told_without_its_values_and_the_rest_goes_on(
    world: World, tmp_path: Path
) -> None:
    file = write(tmp_path / "old.csv", [*BAD.values(), citizen(99)])
    done, refused = take(world, file)
    assert done.taken == 1
    for (reason, row), told in zip(BAD.items(), refused, strict=True):
        assert told.reason.startswith(reason), told
        assert row["name"].strip() not in told.reason or not row["name"].strip()
    assert [one.line for one in refused] == list(range(2, 2 + len(BAD)))


@sqlite_only
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_what_spreadsheets_write_is_read(world: World, tmp_path: Path, delimiter: str) -> None:
    file = write(
        tmp_path / "old.csv",
        [citizen(1, name='Nguyễn "Sen", Thị\u00a0Lá'), citizen(2)],
        encoding="utf-8-sig",
        delimiter=delimiter,
    )
    assert b"\r\n" in file.read_bytes()
    assert take(world, file)[0].taken == 2


@sqlite_only
def test_broken_lines_do_not_take_others_with_them(world: World, tmp_path: Path) -> None:
    head = ",".join(COLUMNS[:5]).encode()
    good = "citizen,02,Lê Sen,1990-05-17,99929100000{}".format
    file = tmp_path / "old.csv"
    file.write_bytes(
        b"\n".join(
            [head, good(1).encode(), good(2).encode("cp1258", "replace"), b"citizen,02",
             b'citizen,02,"L\xc3\xaa" Sen,1990-05-17,999291000003', b"", good(4).encode()]
        )
    )  # fmt: skip
    done, refused = take(world, file)
    assert done.taken == 2
    assert [one.line for one in refused] == [3, 4, 5]
    assert refused[0].reason == "name: not UTF-8"
    assert "5 columns" in refused[1].reason
    assert "not CSV" in refused[2].reason


@sqlite_only
@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "'kind' is missing"),
        (b"kind,level,name\n", "'birthdate' is missing"),
        (template().encode().replace(b"email", b"mail"), "unknown column 'mail'"),
        (template().encode().replace(b"email", b"name"), "names a column twice"),
        (template().encode("utf-16"), "UTF-16"),
        (b"PK\x03\x04", "workbook"),
        ("kind,level,name,họ\n".encode("cp1258", "replace") + b"\xff", "missing"),
        (b"kind,\xff\n", "not UTF-8"),
    ],
)
def test_a_file_that_is_none_is_one_sentence(
    world: World, tmp_path: Path, content: bytes, word: str
) -> None:
    file = tmp_path / "old.csv"
    file.write_bytes(content)
    with pytest.raises(ImportRefusedError, match=word):
        take(world, file)


@sqlite_only
def test_codes_go_into_a_file_of_ones_own_only(world: World, tmp_path: Path) -> None:
    open_to_all = tmp_path / "open.csv"
    open_to_all.touch(0o644)
    with pytest.raises(ImportRefusedError, match="nobody else"):
        CodesFile(open_to_all)
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with pytest.raises(ImportRefusedError, match="symbolic links"):
        CodesFile(tmp_path / "link")
    for number in (1, 2):
        codes = CodesFile(tmp_path / "codes.csv")
        take(world, write(tmp_path / "old.csv", [citizen(number)]), codes=codes)
        codes.close()
    lines = (tmp_path / "codes.csv").read_text().splitlines()
    assert len(lines) == 3
    world.secrets += [line.split(",")[1] for line in lines[1:]]


@sqlite_only
def test_the_command_reports_and_ends_with_a_sign(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import base64  # noqa: PLC0415

    from click.testing import CliRunner  # noqa: PLC0415

    for name in [name for name in os.environ if name.startswith("SEN_")]:
        monkeypatch.delenv(name)
    (tmp_path / "secret").write_text(base64.b64encode(world.installation.settings.secret).decode())
    monkeypatch.setenv("SEN_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("SEN_DATABASE_URL", str(world.installation.engine.url))
    file = write(tmp_path / "old.csv", [citizen(1), citizen(2, level="3")])
    run = CliRunner().invoke(main, ["accounts", "import", str(file), "--as-of", "2026-10-01"])
    assert run.exit_code == 1, run.output
    assert "1 taken, 0 taken before, 1 refused" in run.stdout
    assert "line 3: level: must be 01 or 02" in run.stderr
    assert CliRunner().invoke(main, ["accounts", "template"]).stdout == template()
    report = ["--report", str(tmp_path / "report.txt"), "--codes", str(tmp_path / "codes.csv")]
    CliRunner().invoke(main, ["accounts", "import", str(file), "--as-of", "2026-10-01", *report])
    assert (tmp_path / "report.txt").read_text().startswith("3\tlevel")
