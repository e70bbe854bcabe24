"""Subjects and identifiers."""

from contextlib import suppress

import pytest
from sqlalchemy import select

from accounts.errors import BadIdentifierError, IdentifierTakenError
from accounts.subject import (
    IdentifierType,
    SubjectKind,
    canonical,
    check_organisation_number,
    check_tax_code,
    identifier,
)
from idp.services import Services

NUMBER = IdentifierType.PERSONAL_NUMBER


def add(services: Services, type_: IdentifierType, value: str) -> str:
    subject = services.subjects.add(SubjectKind.PERSON)
    services.subjects.identify(subject, type_, value, "population")
    return subject


@pytest.mark.parametrize(
    "code", ["0100233488", "0314409058-002", "0312687878-001", "0314409058 002"]
)
def test_a_possible_tax_code_passes(code: str) -> None:
    check_tax_code(code)


@pytest.mark.parametrize(
    "code",
    ["0100233480", "010023348", "01002334881", "", "abcdefghij", "0314409059-002", "٠١٠٠٢٣٣٤٨٨x"],
)
def test_an_impossible_tax_code_fails(code: str) -> None:
    with pytest.raises(BadIdentifierError):
        check_tax_code(code)


@pytest.mark.parametrize(
    ("type_", "typed", "kept"),
    [
        (IdentifierType.LOGIN, " LAN@Example.VN ", "lan@example.vn"),
        (IdentifierType.LOGIN, "ＬＡＮ", "lan"),
        (NUMBER, "999-190 000.001", "999190000001"),
        (NUMBER, "９９９１９００００００１", "999190000001"),
        (IdentifierType.PASSPORT, "fra x0000001", "FRAX0000001"),
        (IdentifierType.TAX_CODE, "0314409058-002", "0314409058002"),
    ],
)
def test_every_spelling_has_one_canonical_form(
    type_: IdentifierType, typed: str, kept: str
) -> None:
    assert canonical(type_, typed) == kept


def test_a_subject_is_found_by_any_spelling(services: Services) -> None:
    subject = add(services, NUMBER, "999000111222")
    assert services.subjects.find(NUMBER, "999 000 111 222") == subject
    assert services.subjects.find(NUMBER, "999000111223") is None


def test_an_identifier_is_found_by_its_type_only(services: Services) -> None:
    add(services, IdentifierType.RESIDENCE_CARD, "999000111222")
    assert services.subjects.find(NUMBER, "999000111222") is None


def test_an_identifier_belongs_to_one_subject(services: Services) -> None:
    add(services, NUMBER, "999000111222")
    other = services.subjects.add(SubjectKind.PERSON)
    with pytest.raises(IdentifierTakenError):
        services.subjects.identify(other, NUMBER, "999000111222", "population")


def test_the_same_identifier_again_changes_nothing(services: Services) -> None:
    subject = add(services, NUMBER, "999000111222")
    services.subjects.identify(subject, NUMBER, "999000111222", "population")
    assert len(services.subjects.identifiers_of(subject)) == 1


def test_a_replaced_number_stays_as_history_and_opens_nothing(services: Services) -> None:
    subject = add(services, NUMBER, "999000111222")
    services.subjects.identify(subject, NUMBER, "999000333444", "population")
    old, new = services.subjects.identifiers_of(subject)
    assert (old.value, old.valid_to is not None) == ("999000111222", True)
    assert (new.value, new.valid_to) == ("999000333444", None)
    assert services.subjects.find(NUMBER, "999000111222") is None
    assert services.subjects.find(NUMBER, "999000333444") == subject


def test_a_number_that_was_given_up_can_be_given_to_somebody_else(services: Services) -> None:
    subject = add(services, NUMBER, "999000111222")
    services.subjects.identify(subject, NUMBER, "999000333444", "population")
    assert add(services, NUMBER, "999000111222") != subject


def test_oa08_one_passport_number_of_two_countries_is_two_people(services: Services) -> None:
    passport = IdentifierType.PASSPORT_NUMBER
    one, other = add(services, passport, "P123456"), add(services, passport, "P123456")
    services.subjects.identify(one, IdentifierType.PASSPORT, "AAAP123456", "immigration")
    services.subjects.identify(other, IdentifierType.PASSPORT, "BBBP123456", "immigration")
    find = services.subjects.find_for_sign_in
    assert one != other
    assert find("P123456") is None
    assert (find("AAA P123456"), find("BBB P123456")) == (one, other)


def test_a_lone_passport_number_is_enough_to_sign_in(services: Services) -> None:
    subject = add(services, IdentifierType.PASSPORT_NUMBER, "P654321")
    assert services.subjects.find_for_sign_in("p-654321") == subject


@pytest.mark.parametrize("typed", ["", " ", "nobody", "\0", "lan\0", "x" * 256, "😀", "\u202elan"])
def test_what_names_nobody_finds_nobody(services: Services, typed: str) -> None:
    assert services.subjects.find_for_sign_in(typed) is None


def test_no_identifier_stands_readable_in_the_database(services: Services) -> None:
    add(services, NUMBER, "999000111222")
    for row in services.db.execute(select(identifier.c.sealed, identifier.c.blind_index)):
        assert b"999000111222" not in row.sealed + row.blind_index


def test_equal_identifiers_are_sealed_differently_and_indexed_alike(services: Services) -> None:
    passport = IdentifierType.PASSPORT_NUMBER
    add(services, passport, "P777777")
    add(services, passport, "P777777")
    index = services.installation.vault.blind_index(passport.value, "P777777")
    rows = services.db.execute(
        select(identifier.c.sealed).where(identifier.c.blind_index == index)
    ).all()
    assert len({row.sealed for row in rows}) == 2


def test_a_subject_bears_its_newest_identifier(services: Services) -> None:
    subject = add(services, NUMBER, "999000111222")
    services.subjects.identify(subject, NUMBER, "999000333444", "population")
    assert services.subjects.bears(subject, NUMBER) == "999000333444"
    assert services.subjects.bears(subject, IdentifierType.PASSPORT) is None


def test_an_organisation_gets_a_number_of_its_own(services: Services) -> None:
    number = IdentifierType.ORGANISATION_NUMBER
    one, other = (services.subjects.add(SubjectKind.ORGANISATION) for _ in range(2))
    given = services.subjects.bears(one, number) or ""
    # Of ten last digits one is right.
    passing = []
    for last in "0123456789":
        with suppress(BadIdentifierError):
            check_organisation_number(given[:13] + last)
            passing.append(last)
    assert passing == [given[13]]
    assert services.subjects.find(number, given) == one
    assert services.subjects.bears(other, number) not in {None, given}
    assert services.subjects.bears(services.subjects.add(SubjectKind.PERSON), number) is None


@pytest.mark.parametrize("number", ["", "1234567890123", "12345678901234", "0" * 13 + "x"])
def test_a_number_with_a_wrong_check_digit_was_never_given(number: str) -> None:
    with pytest.raises(BadIdentifierError):
        check_organisation_number(number)
