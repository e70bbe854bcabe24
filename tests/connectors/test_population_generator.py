"""The generated population is one that could be: families, numbers, documents and enterprises."""

import json
import sqlite3
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from accounts.subject import check_tax_code
from connectors.simulation.generate import generate
from connectors.simulation.geography import COMMUNES, COMMUNES_OF, PRESENT_CODE, PROVINCES
from connectors.simulation.mrz import check_digit, td3

PEOPLE = 5000
TODAY = date(2026, 11, 1)


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    path = tmp_path_factory.mktemp("generated") / "p.db"
    generate(path, people=PEOPLE, seed="one", today=TODAY)
    opened = sqlite3.connect(path)
    opened.row_factory = sqlite3.Row
    yield opened
    opened.close()


def rows(db: sqlite3.Connection, sql: str) -> list[sqlite3.Row]:
    return db.execute(sql).fetchall()


def dump(path: Path) -> list[str]:
    opened = sqlite3.connect(path)
    try:
        return list(opened.iterdump())
    finally:
        opened.close()


def test_the_provinces_are_34_made_of_63() -> None:
    assert len(PROVINCES) == 34
    assert len(PRESENT_CODE) == 63
    assert set(PRESENT_CODE.values()) == set(PROVINCES)
    assert all(
        len(code) == 5 and commune.province in PROVINCES for code, commune in COMMUNES.items()
    )
    assert all(COMMUNES_OF[province] for province in PROVINCES)
    names = [(commune.name, commune.province) for commune in COMMUNES.values()]
    assert len(names) == len(set(names))


def test_the_same_seed_gives_the_same_people(tmp_path: Path) -> None:
    for name, seed in (("a", "x"), ("b", "x"), ("c", "y")):
        generate(tmp_path / name, people=200, seed=seed, today=TODAY)
    assert dump(tmp_path / "a") == dump(tmp_path / "b")
    assert dump(tmp_path / "a") != dump(tmp_path / "c")


@pytest.mark.parametrize("people", [1, 2, 7, 100])
def test_there_are_exactly_as_many_people_as_wanted(tmp_path: Path, people: int) -> None:
    told: list[int] = []
    generate(tmp_path / "p", people=people, seed="s", today=TODAY, progress=told.append)
    opened = sqlite3.connect(tmp_path / "p")
    assert opened.execute("SELECT count(*) FROM person").fetchone() == (people,)
    opened.close()
    assert told[-1] == people


def test_a_personal_number_tells_place_century_sex_and_year(db: sqlite3.Connection) -> None:
    change = date(2025, 7, 1)
    for row in rows(db, "SELECT number, birthdate, sex FROM person"):
        born = date.fromisoformat(row["birthdate"])
        number = row["number"]
        assert len(number) == 12
        assert number[0] == "0"
        assert number[1:3] in (PRESENT_CODE if born < change else PROVINCES)
        assert int(number[3]) == 2 * (born.year // 100 - 19) + (row["sex"] == "F")
        assert number[4:6] == f"{born.year % 100:02}"
    assert rows(db, "SELECT count(DISTINCT number) FROM person")[0][0] == PEOPLE


def test_families_fit_together(db: sqlite3.Connection) -> None:
    people = {row["number"]: row for row in rows(db, "SELECT * FROM person")}
    children = 0
    for row in people.values():
        if row["spouse"]:
            assert people[row["spouse"]]["spouse"] == row["number"]
            assert people[row["spouse"]]["sex"] != row["sex"]
        for parent in filter(None, (row["father"], row["mother"])):
            children += 1
            assert row["number"] in json.loads(people[parent]["children"])
            assert people[parent]["household"] == row["household"]
            years = int(row["birthdate"][:4]) - int(people[parent]["birthdate"][:4])
            assert 15 <= years <= 50
    assert children > PEOPLE / 4
    minors = [row for row in people.values() if row["birthdate"] > "2012-11-01"]
    assert 0.05 < len(minors) / PEOPLE < 0.3


def test_cards_are_for_those_who_may_hold_them(db: sqlite3.Connection) -> None:
    cards = rows(db, "SELECT card.*, birthdate FROM card JOIN person USING (number)")
    assert all(row["birthdate"] < row["issued"] <= TODAY.isoformat() for row in cards)
    states = {(row["expiry"] or "9") < TODAY.isoformat() for row in cards}
    assert states == {True, False}
    assert any(row["withdrawn"] for row in cards)
    adults = rows(db, "SELECT count(*) FROM person WHERE birthdate < '2010-01-01'")[0][0]
    assert 0.95 < len([row for row in cards if row["birthdate"] < "2010-01-01"]) / adults <= 1


def test_passports_have_right_check_digits(db: sqlite3.Connection) -> None:
    found = rows(db, "SELECT * FROM foreigner")
    assert len(found) == PEOPLE // 100
    for row in found:
        first, second = row["mrz"].split("\n")
        assert (len(first), len(second)) == (44, 44)
        assert second[9] == check_digit(second[:9])
        assert second[19] == check_digit(second[13:19])
        assert second[27] == check_digit(second[21:27])
        assert second[43] == check_digit(second[:10] + second[13:20] + second[21:43])
        assert row["passport"] == row["country"] + row["document"]
        assert row["residence_expiry"] < row["document_expiry"]


def test_check_digits_are_those_of_the_specimens_of_doc_9303() -> None:
    for field, digit in (("L898902C3", "6"), ("740812", "2"), ("120415", "9"), ("D23145890", "7")):
        assert check_digit(field) == digit
    lines = td3(country="UTO", surname="Eriksson", given_names="Anna Maria", number="L898902C3",
                birth="740812", sex="F", expiry="120415")  # fmt: skip
    assert lines[0] == "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<"
    assert lines[1].startswith("L898902C36UTO7408122F1204159")


def test_enterprises_have_possible_tax_codes_and_living_representatives(
    db: sqlite3.Connection,
) -> None:
    enterprises = rows(db, "SELECT * FROM enterprise")
    assert len(enterprises) > PEOPLE / 200
    for row in enterprises:
        check_tax_code(row["tax_code"])
    counts = rows(
        db,
        "SELECT count(*) AS n FROM representative r JOIN person p ON p.number = r.number "
        "WHERE p.birthdate < '2006-01-01' GROUP BY tax_code",
    )
    assert len(counts) == len(enterprises)
    assert {row["n"] for row in counts} >= {1, 2}


def test_officials_and_the_insured_are_people_of_the_population(db: sqlite3.Connection) -> None:
    for table in ("official", "insurance", "card"):
        missing = f"SELECT count(*) FROM {table} WHERE number NOT IN (SELECT number FROM person)"
        assert rows(db, missing)[0][0] == 0
        assert rows(db, f"SELECT count(*) FROM {table}")[0][0] > 10


def test_an_older_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "p"
    path.write_text("something else")
    generate(path, people=10, seed="s", today=datetime.now(UTC).date())
    assert [entry.name for entry in tmp_path.iterdir()] == ["p"]
