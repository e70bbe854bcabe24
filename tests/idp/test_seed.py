"""Seed files: checked line by line, taken in all or nothing, and the second time changing nothing."""

import copy
import json
import time
from typing import Any

import pytest
from sqlalchemy import Table, func, select

from accounts.account import account
from accounts.attributes import held_attributes
from accounts.authenticators import passkey
from accounts.mandates import mandate
from accounts.secrets import password
from accounts.subject import identifier, subject
from consent.data_use import data_use
from idp.oidc.relying_parties import relying_party
from idp.seed import SeedError, read_seed
from idp.services import Installation
from tests.support.stores import Templates, apply_seed

TABLES = (subject, identifier, account, password, passkey, mandate, relying_party, held_attributes)


def counts(installation: Installation, *tables: Table) -> list[int]:
    with installation.engine.connect() as db:
        found = [
            db.execute(select(func.count()).select_from(table)).scalar_one()
            for table in tables or TABLES
        ]
        db.rollback()
    return found


@pytest.fixture
def document(templates: Templates) -> dict[str, Any]:
    return copy.deepcopy(templates.cast.seed_document())


def text_of(document: dict[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False, indent=1)


def refused(installation: Installation, document: dict[str, Any] | str) -> str:
    before = counts(installation)
    with pytest.raises(SeedError) as error:
        apply_seed(installation, document if isinstance(document, str) else text_of(document))
    assert counts(installation) == before
    return str(error.value)


def test_loading_the_same_file_again_changes_nothing(
    installation: Installation, document: dict[str, Any]
) -> None:
    before = counts(installation)
    apply_seed(installation, text_of(document))
    assert counts(installation) == before


def test_loading_the_same_file_again_records_no_new_use(
    installation: Installation, document: dict[str, Any]
) -> None:
    before = counts(installation, data_use)
    apply_seed(installation, text_of(document))
    assert counts(installation, data_use) == before


def test_issuing_is_in_the_log_of_each_person(installation: Installation) -> None:
    with installation.engine.begin() as db:
        services = installation.services(db)
        lan = services.subjects.find_for_sign_in("lan")
        assert lan is not None
        (entry,) = services.use_log.of_subject(lan)
        assert (entry.use.purpose, entry.use.legal_basis) == (
            "account-issuing",
            "statutory-function",
        )
        assert services.use_log.is_intact(lan)


FAULTS: list[tuple[str, Any, str]] = [
    ("people.0.personal_number", "12345", "people[0].personal_number"),
    ("people.0.personal_number", None, "people[0]"),
    ("people.1.birthdate", "1985-02-30", "people[1].birthdate"),
    ("people.1.gender", "other", "people[1].gender"),
    ("people.2.account_level", "03", "people[2].account_level"),
    ("people.2.login", "lan", "people[2]"),
    ("people.2.personal_number", "999190000001", "people[2]"),
    ("people.2.unknown_field", 1, "people[2].unknown_field"),
    ("people.2.claims", {"vn_pid": "x"}, "people[2]"),
    ("people.3.passport", None, "people[3]"),
    ("people.3.passport.country", "FR", "people[3].passport.country"),
    ("people.0.passkeys.0.public_key_jwk", {"kty": "RSA"}, "people[0].passkeys[0]"),
    ("people.0.passkeys.0.credential_id", "", "people[0].passkeys[0]"),
    ("people.0.name", "\ud800", "people[0].name"),
    ("people.0.name", "", "people[0].name"),
    ("people.0.kind", "robot", "people[0].kind"),
    ("organisations.0.tax_code", "0100233480", "organisations[0]"),
    ("organisations.0.legal_representatives", ["nobody"], "organisations[0]"),
    ("relying_parties.1.redirect_uris", ["http://basic.example/"], "relying_parties[1].redirect_uris"),
    ("relying_parties.1.client_secret", "short", "relying_parties[1].client_secret"),
    ("relying_parties.1.scope", "openid nonsense", "relying_parties[1].scope"),
    ("relying_parties.1.purpose", "marketing", "relying_parties[1].purpose"),
    ("relying_parties", {}, "relying_parties"),
    ("something", [], "something"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "value", "field"), FAULTS, ids=[f"{p}={v}"[:50] for p, v, _ in FAULTS]
)
def test_a_fault_is_told_by_line_and_field_and_nothing_is_taken_in(
    installation: Installation, document: dict[str, Any], path: str, value: Any, field: str
) -> None:
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    place: Any = document
    for part in parents:
        place = place[part]
    place[last] = value
    text = json.dumps(document, indent=1) if value == "\ud800" else text_of(document)
    told = refused(installation, text)
    assert field in told
    line = int(told.split(",")[0].removeprefix("line "))
    assert 1 <= line <= text.count("\n") + 1


@pytest.mark.parametrize("text", ["", "{", "[1", "nul", '{"people": [}', "[" * 100_000, "\ufeff{}"])
def test_what_is_not_json_is_refused(installation: Installation, text: str) -> None:
    assert "not valid JSON" in refused(installation, text)


@pytest.mark.parametrize("text", ["[]", "null", "1", '"x"'])
def test_what_is_no_object_is_refused(installation: Installation, text: str) -> None:
    assert refused(installation, text).startswith("line 1")


def test_the_line_is_the_right_one() -> None:
    text = '{\n "people": [\n  {"kind": "citizen",\n   "name": ""}\n ]\n}'
    with pytest.raises(SeedError, match=r"line [34], people\[0\]"):
        read_seed(text, lambda plain: plain, lambda _login: None)


def test_what_changed_in_the_file_changes_here(
    installation: Installation, document: dict[str, Any]
) -> None:
    document["people"][2]["account_level"] = "02"
    document["people"][2]["name"] = "Lê Thị Hoa Mới"
    apply_seed(installation, text_of(document))
    with installation.engine.begin() as db:
        services = installation.services(db)
        hoa = services.subjects.find_for_sign_in("hoa")
        assert hoa is not None
        found = services.accounts.find_of_subject(hoa)
        assert found is not None
        assert found.level.value == "02"


def test_a_long_file_is_located_quickly() -> None:
    people = [
        {"kind": "citizen", "personal_number": f"{999000000000 + n}", "name": "N", "birthdate": "1990-01-01",
         "account_level": "01"}
        for n in range(3000)
    ]  # fmt: skip
    people[-1]["birthdate"] = "x"
    begun = time.perf_counter()
    with pytest.raises(SeedError, match=r"people\[2999\]\.birthdate"):
        read_seed(json.dumps({"people": people}, indent=1), lambda p: p, lambda _l: None)
    assert time.perf_counter() - begun < 5
