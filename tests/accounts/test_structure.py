"""Structure checks: what is refused (zones, phone numbers) and what only warns (personal numbers)."""

import pytest

from accounts import mrz
from accounts.errors import BadMrzError, BadPhoneError
from accounts.personal_number import Doubt, doubts
from accounts.phone import e164, readable
from accounts.spelling import composed, folded

# The specimens of ICAO Doc 9303, parts 4 and 5.
PASSPORT = [
    "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<",
    "L898902C36UTO7408122F1204159ZE184226B<<<<<10",
]
CARD = [
    "I<UTOD231458907<<<<<<<<<<<<<<<",
    "7408122F1204159UTO<<<<<<<<<<<6",
    "ERIKSSON<<ANNA<MARIA<<<<<<<<<<",
]


def test_the_specimens_of_the_standard_are_read() -> None:
    passport, card = mrz.read(PASSPORT), mrz.read(CARD)
    assert (passport.number, passport.birth, passport.sex) == ("L898902C3", "740812", "female")
    assert (card.number, card.expiry, card.nationality) == ("D23145890", "120415", "UTO")
    assert passport.names == card.names == "ERIKSSON ANNA MARIA"


@pytest.mark.parametrize("zone", [PASSPORT, CARD])
def test_one_wrong_sign_in_what_is_checked_is_refused(zone: list[str]) -> None:
    row = 1
    for column in (0, 4, len(zone[row]) - 1):
        line = zone[row]
        wrong = "0" if line[column] != "0" else "1"
        changed = [*zone]
        changed[row] = line[:column] + wrong + line[column + 1 :]
        with pytest.raises(BadMrzError):
            mrz.read(changed)


@pytest.mark.parametrize("lines", [[], ["A" * 30], [PASSPORT[0], PASSPORT[1][:-1]],
                                   [CARD[0].lower(), *CARD[1:]], ["é" + CARD[0][1:], *CARD[1:]]])  # fmt: skip
def test_another_shape_is_refused(lines: list[str]) -> None:
    with pytest.raises(BadMrzError):
        mrz.read(lines)


@pytest.mark.parametrize(
    ("number", "birthdate", "sex", "expected"),
    [
        ("001190912345", "1990-01-31", "female", ()),
        ("001090912345", "1990-01-31", "female", (Doubt.SEX,)),
        ("001190912345", "1991-01-31", "female", (Doubt.YEAR,)),
        ("001305912345", "2005", "male", (Doubt.SEX,)),
        ("001190912345", "", "", ()),
        ("12", "1990-01-31", "male", ()),
    ],
)
def test_a_personal_number_that_does_not_fit_is_doubted(
    number: str, birthdate: str, sex: str, expected: tuple[Doubt, ...]
) -> None:
    assert doubts(number, birthdate, sex) == expected


@pytest.mark.parametrize(
    ("text", "kept"),
    [("0912 345 678", "+84912345678"), ("+84 912.345.678", "+84912345678"),
     ("024 3825 1234", "+842438251234"), ("+33 6 12 34 56 78", "+33612345678")],
)  # fmt: skip
def test_a_phone_number_is_kept_as_e164(text: str, kept: str) -> None:
    assert e164(text) == kept
    assert e164(kept) == kept
    assert e164(readable(kept)) == kept


@pytest.mark.parametrize("text", ["", "12", "abc", "+84", "0912 345 678 90123", "+999 123456789"])
def test_what_cannot_be_a_phone_number_is_refused(text: str) -> None:
    with pytest.raises(BadPhoneError):
        e164(text)


def test_words_are_found_without_marks_and_kept_composed() -> None:
    assert folded("  ĐỊA  chỉ ") == "dia chi"
    assert composed("Nguye\u0302\u0303n") == "Nguyễn"
