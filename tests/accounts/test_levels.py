"""The two scales of level (Decree 69/2024 Art. 7 and 20)."""

import pytest

from accounts.levels import (
    ACR_VALUES,
    HARDWARE_PROTECTED,
    PHISHING_RESISTANT,
    AccountLevel,
    AuthenticationLevel,
    Strength,
    acr_values,
    best_acr,
    references_of,
    strength_of,
    strengths_wanted,
)
from accounts.levels import AuthenticationMethod as M

ONE, TWO, THREE, FOUR = AuthenticationLevel
PASSKEY = Strength(TWO, phishing_resistant=True)


@pytest.mark.parametrize(
    ("methods", "expected"),
    [
        ({M.PASSWORD}, Strength(ONE)),
        ({M.ACTIVATION_CODE}, Strength(ONE)),
        ({M.TOTP}, Strength(ONE)),
        ({M.CODE_CARD, M.TOTP}, Strength(ONE)),
        ({M.PASSWORD, M.TOTP}, Strength(TWO)),
        ({M.PASSWORD, M.CODE_CARD}, Strength(TWO)),
        ({M.PASSKEY}, Strength(TWO, phishing_resistant=True)),
        ({M.PASSKEY, M.ACTIVATION_CODE}, Strength(TWO, phishing_resistant=True)),
        # Approved from afar, nothing reaches the highest.
        (set(M), Strength(THREE, phishing_resistant=True, hardware_protected=True)),
        (set(M) - {M.PHONE}, Strength(FOUR, phishing_resistant=True, hardware_protected=True)),
        ({M.PASSKEY, M.FACE}, Strength(THREE, phishing_resistant=True)),
        ({M.PASSWORD, M.TOTP, M.FACE}, Strength(THREE)),
        ({M.PHONE, M.FACE}, Strength(THREE)),
        ({M.PASSKEY, M.HARDWARE_KEY, M.FINGERPRINT_KEY}, Strength(THREE, True, True)),
        # A biometric is one factor, and a card that anybody may hold another.
        ({M.PASSWORD, M.FACE, M.CHIP}, Strength(ONE)),
        ({M.PASSKEY, M.CHIP, M.KNOWN_SECRET}, Strength(TWO, phishing_resistant=True)),
        ({M.PASSKEY, M.FACE, M.CHIP}, Strength(THREE, phishing_resistant=True)),
        ({M.PASSKEY, M.FACE, M.CHIP, M.KNOWN_SECRET}, Strength(FOUR, phishing_resistant=True)),
        # Said without the passkey, it proves nothing.
        ({M.PASSWORD, M.HARDWARE_KEY}, Strength(ONE)),
    ],
)
def test_what_methods_prove_together(methods: set[M], expected: Strength) -> None:
    assert strength_of(methods) == expected


def test_only_what_can_be_reached_is_advertised() -> None:
    assert (ONE.acr, TWO.acr, PHISHING_RESISTANT, HARDWARE_PROTECTED) == ACR_VALUES
    assert acr_values(by_face=False, by_chip=True, by_key=False) == ACR_VALUES
    by_key = (ONE.acr, TWO.acr, THREE.acr, PHISHING_RESISTANT, HARDWARE_PROTECTED)
    assert acr_values(by_face=False, by_chip=True, by_key=True) == by_key
    assert acr_values(by_face=True, by_chip=True, by_key=False)[2:4] == (THREE.acr, FOUR.acr)


def test_account_levels_have_an_order() -> None:
    ranks = [
        level.rank for level in (AccountLevel.NONE, AccountLevel.LEVEL_01, AccountLevel.LEVEL_02)
    ]
    assert ranks == sorted(set(ranks))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((), []),
        (("urn:unknown",), []),
        ((ONE.acr,), [Strength(ONE)]),
        ((TWO.acr, ONE.acr), [Strength(TWO), Strength(ONE)]),
        ((PHISHING_RESISTANT,), [Strength(TWO, phishing_resistant=True)]),
        ((FOUR.acr, "urn:unknown"), [Strength(FOUR)]),
        (("urn:vn:eid:aal:5",), []),
        (("urn:vn:eid:aal:",), []),
        (("2",), []),
    ],
)
def test_what_the_values_ask_for(values: tuple[str, ...], expected: list[Strength]) -> None:
    assert strengths_wanted(values) == expected


@pytest.mark.parametrize(
    ("reached", "wanted", "expected"),
    [
        (Strength(ONE), (), ONE.acr),
        (Strength(ONE), (TWO.acr,), ONE.acr),
        (Strength(ONE), (PHISHING_RESISTANT,), ONE.acr),
        (Strength(TWO), (PHISHING_RESISTANT,), TWO.acr),
        (PASSKEY, (ONE.acr,), TWO.acr),
        (PASSKEY, (PHISHING_RESISTANT,), PHISHING_RESISTANT),
        (PASSKEY, (PHISHING_RESISTANT, TWO.acr), PHISHING_RESISTANT),
        (PASSKEY, ("urn:unknown",), TWO.acr),
    ],
)
def test_the_acr_says_what_happened(
    reached: Strength, wanted: tuple[str, ...], expected: str
) -> None:
    assert best_acr(reached, wanted) == expected


def test_methods_have_registered_references() -> None:
    # RFC 8176 §2.
    registered = {"pwd", "otp", "pop", "user", "mfa", "hwk", "swk", "fpt", "face", "sc"}
    assert registered.issuperset(r for m in M for r in references_of(m))
