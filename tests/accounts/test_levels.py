"""The two scales of level (Decree 69/2024 Art. 7 and 20)."""

import pytest

from accounts.levels import (
    ACR_VALUES,
    PHISHING_RESISTANT,
    AccountLevel,
    AuthenticationLevel,
    AuthenticationMethod,
    best_acr,
    least_level,
    level_of,
    references_of,
)

ONE, TWO, THREE, FOUR = AuthenticationLevel


def test_a_password_proves_level_one_and_a_passkey_level_two() -> None:
    assert level_of(AuthenticationMethod.PASSWORD) is ONE
    assert level_of(AuthenticationMethod.ACTIVATION_CODE) is ONE
    assert level_of(AuthenticationMethod.PASSKEY) is TWO


def test_nothing_here_reaches_more_than_level_two() -> None:
    assert max(level_of(method) for method in AuthenticationMethod) is TWO


def test_only_what_can_be_reached_is_advertised() -> None:
    assert (ONE.acr, TWO.acr, PHISHING_RESISTANT) == ACR_VALUES


def test_account_levels_have_an_order() -> None:
    ranks = [
        level.rank for level in (AccountLevel.NONE, AccountLevel.LEVEL_01, AccountLevel.LEVEL_02)
    ]
    assert ranks == sorted(set(ranks))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((), None),
        (("urn:unknown",), None),
        ((ONE.acr,), ONE),
        ((TWO.acr, ONE.acr), ONE),
        ((PHISHING_RESISTANT,), TWO),
        ((FOUR.acr, "urn:unknown"), FOUR),
        (("urn:vn:eid:aal:5",), None),
        (("urn:vn:eid:aal:",), None),
        (("2",), None),
    ],
)
def test_the_least_level_that_satisfies_any_value_counts(
    values: tuple[str, ...], expected: AuthenticationLevel | None
) -> None:
    assert least_level(values) == expected


@pytest.mark.parametrize(
    ("level", "wanted", "expected"),
    [
        (ONE, (), ONE.acr),
        (ONE, (TWO.acr,), ONE.acr),
        (ONE, (PHISHING_RESISTANT,), ONE.acr),
        (TWO, (ONE.acr,), TWO.acr),
        (TWO, (PHISHING_RESISTANT,), PHISHING_RESISTANT),
        (TWO, (PHISHING_RESISTANT, TWO.acr), PHISHING_RESISTANT),
        (TWO, ("urn:unknown",), TWO.acr),
    ],
)
def test_the_acr_says_what_happened(
    level: AuthenticationLevel, wanted: tuple[str, ...], expected: str
) -> None:
    assert best_acr(level, wanted) == expected


def test_methods_have_registered_references() -> None:
    # RFC 8176 §2.
    registered = {"pwd", "otp", "pop", "user", "mfa", "hwk", "swk"}
    assert registered.issuperset(r for m in AuthenticationMethod for r in references_of(m))
