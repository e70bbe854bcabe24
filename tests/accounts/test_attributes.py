"""The attribute dictionary and the values held."""

import runpy
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import select, update

from accounts.attributes import (
    ALLOWED,
    CATALOGUE,
    DICTIONARY,
    EDITABLE,
    SCOPES,
    Held,
    HeldAttributes,
    Source,
    best_value,
    held_attributes,
    is_of_age,
)
from accounts.errors import SealBrokenError
from accounts.subject import SubjectKind
from idp.services import Services
from tests.support.clock import Clock


@pytest.fixture
def subject(services: Services) -> str:
    return services.subjects.add(SubjectKind.PERSON)


def test_every_claim_of_every_scope_is_in_the_dictionary() -> None:
    assert {claim for claims in SCOPES.values() for claim in claims} <= set(DICTIONARY)


def test_every_attribute_has_words_in_both_languages() -> None:
    for row in DICTIONARY.values():
        assert set(row.label) == {"vi", "en"}
        assert all(row.label.values())


def test_every_attribute_belongs_to_a_scope_and_sensitive_ones_need_more_than_a_password() -> None:
    for row in DICTIONARY.values():
        assert row.claim in ALLOWED[row.scope]
        if row.sensitive:
            assert (row.account_level.value, row.authentication_level >= 2) == ("02", True)


def test_templates_are_never_released() -> None:
    withheld = {row.claim for row in CATALOGUE} - set(DICTIONARY)
    assert withheld == {"death_status", "face_template", "fingerprints", "iris"}


@pytest.mark.parametrize(
    ("birthdate", "expected"),
    [("2008-01-01", True), ("2008-06-16", False), ("2008-06-15", True), ("2007", True),
     ("2008", None), ("2009", False), ("unknown", None)],
)  # fmt: skip
def test_an_age_is_told_as_far_as_the_date_tells(birthdate: str, expected: bool | None) -> None:
    assert is_of_age(18, birthdate, date(2026, 6, 15)) is expected


def test_of_other_people_name_and_relation_are_kept_and_names_are_composed(
    services: Services, subject: str
) -> None:
    father = {"name": "Ngô Văn A", "relation": "father", "personal_number": "999060000001"}
    services.held.hold(
        subject, Source.POPULATION, {"parents": [father], "name": "Nguye\u0302\u0303n"}
    )
    values = services.held.of_subject(subject)[Source.POPULATION].values
    assert values["parents"] == [{"name": "Ngô Văn A", "relation": "father"}]
    assert values["name"] == "Nguyễn"


def test_nobody_can_edit_what_a_register_states() -> None:
    registers = {Source.POPULATION, Source.IMMIGRATION, Source.ENTERPRISES, Source.PROVIDER}
    assert not [claim for claim in EDITABLE if registers & set(DICTIONARY[claim].sources)]


def test_values_are_kept_by_source_with_their_age(
    services: Services, subject: str, clock: Clock
) -> None:
    services.held.hold(subject, Source.POPULATION, {"name": "Lan"})
    clock.advance(hours=1)
    services.held.hold(subject, Source.SELF, {"email": "a@example.vn"})
    held = services.held.of_subject(subject)
    assert held[Source.POPULATION].values == {"name": "Lan"}
    assert (held[Source.SELF].as_of - held[Source.POPULATION].as_of).total_seconds() == 3600


def test_holding_again_replaces_what_this_source_said(services: Services, subject: str) -> None:
    services.held.hold(subject, Source.SELF, {"email": "a@example.vn", "nickname": "A"})
    services.held.hold(subject, Source.SELF, {"email": "b@example.vn"})
    assert services.held.of_subject(subject)[Source.SELF].values == {"email": "b@example.vn"}


def test_nothing_is_held_of_a_stranger(services: Services, subject: str) -> None:
    assert services.held.of_subject(subject) == {}


def test_held_values_are_sealed_to_their_subject(services: Services, subject: str) -> None:
    services.held.hold(subject, Source.SELF, {"email": "secret@example.vn"})
    sealed = services.db.execute(
        select(held_attributes.c.sealed).where(held_attributes.c.subject_id == subject)
    ).scalar_one()
    assert b"secret" not in sealed
    other = services.subjects.add(SubjectKind.PERSON)
    services.held.hold(other, Source.SELF, {"email": "other@example.vn"})
    services.db.execute(
        update(held_attributes).where(held_attributes.c.subject_id == other).values(sealed=sealed)
    )
    i = services.installation
    with pytest.raises(SealBrokenError):
        HeldAttributes(services.db, i.clock, i.vault).of_subject(other)


def test_the_best_source_wins(clock: Clock) -> None:
    def held(source: Source, **values: object) -> Held:
        return Held(source, clock(), values)

    both = {
        Source.SELF: held(Source.SELF, address="own"),
        Source.POPULATION: held(Source.POPULATION, address="register"),
    }
    assert best_value(both, "address") == "register"
    both[Source.POPULATION] = held(Source.POPULATION, address=None)
    assert best_value(both, "address") == "own"
    # A person's own word never counts for what only a register states.
    assert best_value({Source.SELF: held(Source.SELF, name="Somebody Else")}, "name") is None


def test_the_documented_dictionary_is_the_one_in_use() -> None:
    script = Path(__file__).parents[2] / "deploy" / "attributes.py"
    made = runpy.run_path(str(script))
    assert made["FILE"].read_text("utf-8") == made["page"](), "run `make attributes`"
