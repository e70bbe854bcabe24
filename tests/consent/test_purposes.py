"""The catalogue of purposes and legal bases."""

import pytest

from consent.errors import UnknownPurposeError
from consent.purposes import LEGAL_BASES, PURPOSES, purpose


def test_every_purpose_and_basis_has_words_in_both_languages() -> None:
    texts = [text for p in PURPOSES.values() for text in (p.title, p.details)]
    texts += [text for basis in LEGAL_BASES.values() for text in (basis.title, basis.law)]
    for text in texts:
        assert set(text) == {"vi", "en"}
        assert all(text.values())


def test_a_purpose_is_found_by_its_code() -> None:
    assert purpose("banking").code == "banking"


def test_an_unknown_purpose_is_refused() -> None:
    with pytest.raises(UnknownPurposeError):
        purpose("marketing")


def test_a_consent_lasts_a_year_at_most() -> None:
    assert max(p.lasts.days for p in PURPOSES.values()) <= 365
