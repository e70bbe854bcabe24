"""The attribute dictionary and the values held."""

import pytest
from sqlalchemy import select, update

from accounts.attributes import (
    DICTIONARY,
    EDITABLE,
    SCOPES,
    Held,
    HeldAttributes,
    Source,
    best_value,
    held_attributes,
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
