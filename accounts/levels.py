"""The two scales of Decree 69/2024, never mixed: account level (identity) and authentication level.

The account level says how well a person was proved when the account was issued (Art. 7); the
authentication level says how strongly she proved herself at this sign-in (Art. 20).
"""

from collections.abc import Iterable
from enum import IntEnum, StrEnum
from functools import cache
from typing import NamedTuple

_ACR_PREFIX = "urn:vn:eid:aal:"
PHISHING_RESISTANT = "phr"
"""The OpenID EAP ACR value for phishing-resistant authentication."""
HARDWARE_PROTECTED = "phrh"
"""The OpenID EAP ACR value for phishing-resistant authentication by a key that hardware protects."""


class AccountLevel(StrEnum):
    """How well the holder's identity was proved. Organisations have no level."""

    NONE = "none"
    LEVEL_01 = "01"
    LEVEL_02 = "02"

    @property
    def rank(self) -> int:
        """Order of the levels, for comparing."""
        return _RANKS[self]


_RANKS = {AccountLevel.NONE: 0, AccountLevel.LEVEL_01: 1, AccountLevel.LEVEL_02: 2}


class AuthenticationLevel(IntEnum):
    """How strongly a person proved herself at sign-in; Decree 69/2024 Art. 20."""

    LEVEL_1 = 1
    LEVEL_2 = 2
    LEVEL_3 = 3
    LEVEL_4 = 4

    @property
    def acr(self) -> str:
        """The ``acr`` claim's value for this level."""
        return f"{_ACR_PREFIX}{self.value}"


class AuthenticationMethod(StrEnum):
    """A way to authenticate; its members are the session's record of what happened."""

    PASSWORD = "password"  # noqa: S105 - the name of a method, not a secret
    PASSKEY = "passkey"
    ACTIVATION_CODE = "activation-code"
    ENROLMENT_CODE = "enrolment-code"
    """An office's code to set a phone up."""
    TOTP = "totp"
    CODE_CARD = "code-card"
    PHONE = "phone"
    HARDWARE_KEY = "hardware-key"
    """Beside ``PASSKEY``: the key proved by attestation that hardware protects it."""
    BIOMETRIC_KEY = "biometric-key"
    """Beside ``HARDWARE_KEY``: nothing but a biometric unlocks keys of this model."""
    FINGERPRINT_KEY = "fingerprint-key"
    """The same, and the biometric can only be a fingerprint."""
    FACE = "face"
    """A live capture agreed with the portrait that the identity-card register holds."""
    CHIP = "chip"
    """The chip of the holder's own identity card signed our nonce."""
    KNOWN_SECRET = "known-secret"  # noqa: S105 - the name of a method, not a secret
    """The account's password, given on top of what was proved before."""


SECOND_FACTORS = frozenset({AuthenticationMethod.TOTP, AuthenticationMethod.CODE_CARD})
"""What proves possession beside a password; alone it opens nothing."""
STEPS = frozenset(
    {AuthenticationMethod.FACE, AuthenticationMethod.CHIP, AuthenticationMethod.KNOWN_SECRET}
)
"""What is proved on top of level 2; alone it opens nothing."""
BIOMETRIC = frozenset(
    {
        AuthenticationMethod.FACE,
        AuthenticationMethod.BIOMETRIC_KEY,
        AuthenticationMethod.FINGERPRINT_KEY,
    }
)
"""What proves a biometric."""
KNOWN = frozenset({AuthenticationMethod.PASSWORD, AuthenticationMethod.KNOWN_SECRET})
"""What proves something known."""

_METHOD_REFERENCES = {
    AuthenticationMethod.PASSWORD: ("pwd",),
    AuthenticationMethod.ACTIVATION_CODE: ("otp",),
    AuthenticationMethod.ENROLMENT_CODE: ("otp",),
    AuthenticationMethod.PASSKEY: ("pop", "user", "mfa"),
    AuthenticationMethod.TOTP: ("otp", "mfa"),
    AuthenticationMethod.CODE_CARD: ("otp", "mfa"),
    # A key in the phone's browser, used by somebody present who had unlocked a passkey there.
    AuthenticationMethod.PHONE: ("swk", "user", "mfa"),
    AuthenticationMethod.HARDWARE_KEY: ("hwk",),
    # Which biometric unlocked it, such a key does not say.
    AuthenticationMethod.BIOMETRIC_KEY: (),
    AuthenticationMethod.FINGERPRINT_KEY: ("fpt",),
    AuthenticationMethod.FACE: ("face", "mfa"),
    AuthenticationMethod.CHIP: ("sc",),
    AuthenticationMethod.KNOWN_SECRET: ("pwd",),
}


class Strength(NamedTuple):
    """How strong an authentication is, or has to be."""

    level: AuthenticationLevel
    phishing_resistant: bool = False
    hardware_protected: bool = False

    def meets(self, needed: "Strength") -> bool:
        """True when this is at least as strong in every respect."""
        return (
            self.level >= needed.level
            and (self.phishing_resistant or not needed.phishing_resistant)
            and (self.hardware_protected or not needed.hardware_protected)
        )


ACR_VALUES = (
    AuthenticationLevel.LEVEL_1.acr,
    AuthenticationLevel.LEVEL_2.acr,
    PHISHING_RESISTANT,
    HARDWARE_PROTECTED,
)
"""The ``acr`` values that a sign-in can reach everywhere; advertised in discovery."""


def acr_values(*, by_face: bool, by_chip: bool, by_key: bool) -> tuple[str, ...]:
    """Return the ``acr`` values of an installation: level 3 where faces are compared, or keys that only
    a biometric unlocks can be told; level 4 where faces are compared and cards examined.
    """
    more = [AuthenticationLevel.LEVEL_3.acr] if by_face or by_key else []
    more += [AuthenticationLevel.LEVEL_4.acr] if by_face and by_chip else []
    return (*ACR_VALUES[:2], *more, *ACR_VALUES[2:])


def strength_of(methods: Iterable[AuthenticationMethod]) -> Strength:
    """Return what the methods prove together."""
    return _strength_of(frozenset(methods))


@cache
def _strength_of(proved: frozenset[AuthenticationMethod]) -> Strength:
    own = _strength_without_steps(proved)
    if own.level < AuthenticationLevel.LEVEL_2 or not proved & BIOMETRIC:
        return own
    # Art. 20: level 4 is a biometric, something possessed and something known. What a phone approved
    # from afar stays below it (docs/decisions/0021).
    is_highest = (
        AuthenticationMethod.CHIP in proved
        and bool(proved & KNOWN)
        and AuthenticationMethod.PHONE not in proved
    )
    level = AuthenticationLevel.LEVEL_4 if is_highest else AuthenticationLevel.LEVEL_3
    return own._replace(level=level)


def _strength_without_steps(proved: frozenset[AuthenticationMethod]) -> Strength:
    if AuthenticationMethod.PASSKEY in proved:
        # User verification may be a PIN, which the server cannot tell from a fingerprint, so a
        # browser passkey is two factors without a proven biometric: level 2 (Art. 20).
        hardware = AuthenticationMethod.HARDWARE_KEY in proved
        return Strength(AuthenticationLevel.LEVEL_2, True, hardware)
    if AuthenticationMethod.PHONE in proved:
        # As much as the phone's own session proved, but a code can be shown on from a false page.
        return Strength(AuthenticationLevel.LEVEL_2)
    if AuthenticationMethod.PASSWORD in proved and proved & SECOND_FACTORS:
        # Two different factors; but whoever is lured to a false page types both into it.
        return Strength(AuthenticationLevel.LEVEL_2)
    return Strength(AuthenticationLevel.LEVEL_1)


def references_of(method: AuthenticationMethod) -> tuple[str, ...]:
    """Return the method's ``amr`` values (RFC 8176)."""
    return _METHOD_REFERENCES[method]


def strengths_wanted(acr_values: tuple[str, ...]) -> list[Strength]:
    """Return what the values ask for, those that are known here; any of them will do."""
    return [strength for value in acr_values if (strength := _wanted(value))]


def best_acr(reached: Strength, wanted: tuple[str, ...]) -> str:
    """Return ``phrh`` or ``phr`` where asked for and reached, else the level's own value."""
    if HARDWARE_PROTECTED in wanted and reached.hardware_protected:
        return HARDWARE_PROTECTED
    if PHISHING_RESISTANT in wanted and reached.phishing_resistant:
        return PHISHING_RESISTANT
    return reached.level.acr


def _wanted(value: str) -> Strength | None:
    if value == PHISHING_RESISTANT:
        return Strength(AuthenticationLevel.LEVEL_2, phishing_resistant=True)
    if value == HARDWARE_PROTECTED:
        return Strength(AuthenticationLevel.LEVEL_2, True, True)
    number = value.removeprefix(_ACR_PREFIX)
    if number != value and number in {"1", "2", "3", "4"}:
        return Strength(AuthenticationLevel(int(number)))
    return None
