"""The two scales of Decree 69/2024, never mixed: account level (identity) and authentication level.

The account level says how well a person was proved when the account was issued (Art. 7); the
authentication level says how strongly she proved herself at this sign-in (Art. 20).
"""

from enum import IntEnum, StrEnum

_ACR_PREFIX = "urn:vn:eid:aal:"
PHISHING_RESISTANT = "phr"
"""The OpenID EAP ACR value for phishing-resistant authentication."""


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


_METHOD_LEVELS = {
    AuthenticationMethod.PASSWORD: AuthenticationLevel.LEVEL_1,
    AuthenticationMethod.ACTIVATION_CODE: AuthenticationLevel.LEVEL_1,
    # User verification may be a PIN, which the server cannot tell from a fingerprint, so a
    # browser passkey is two factors without a proven biometric: level 2 (Art. 20).
    AuthenticationMethod.PASSKEY: AuthenticationLevel.LEVEL_2,
}

_METHOD_REFERENCES = {
    AuthenticationMethod.PASSWORD: ("pwd",),
    AuthenticationMethod.ACTIVATION_CODE: ("otp",),
    AuthenticationMethod.PASSKEY: ("pop", "user", "mfa"),
}

ACR_VALUES = (
    AuthenticationLevel.LEVEL_1.acr,
    AuthenticationLevel.LEVEL_2.acr,
    PHISHING_RESISTANT,
)
"""The ``acr`` values that a sign-in can reach here and now; advertised in discovery."""


def level_of(method: AuthenticationMethod) -> AuthenticationLevel:
    """Return the level that one method alone proves."""
    return _METHOD_LEVELS[method]


def references_of(method: AuthenticationMethod) -> tuple[str, ...]:
    """Return the method's ``amr`` values (RFC 8176)."""
    return _METHOD_REFERENCES[method]


def least_level(acr_values: tuple[str, ...]) -> AuthenticationLevel | None:
    """Return the lowest level that satisfies any of the values, or None if none is known."""
    levels = [level for value in acr_values if (level := _level_of_acr(value))]
    return min(levels, default=None)


def best_acr(level: AuthenticationLevel, wanted: tuple[str, ...]) -> str:
    """Return the first wanted value that ``level`` satisfies, else the level's own value."""
    for value in wanted:
        needed = _level_of_acr(value)
        if needed is not None and level >= needed and value == PHISHING_RESISTANT:
            return value
    return level.acr


def _level_of_acr(value: str) -> AuthenticationLevel | None:
    if value == PHISHING_RESISTANT:
        return AuthenticationLevel.LEVEL_2
    number = value.removeprefix(_ACR_PREFIX)
    if number != value and number in {"1", "2", "3", "4"}:
        return AuthenticationLevel(int(number))
    return None
