"""Refusals of the journey. Each carries a stable kebab-case code and no text for people."""


class LoginError(Exception):
    """Root of every refusal raised by ``idp.login``."""

    code = "login-refused"


class InteractionGoneError(LoginError):
    """The parked request is unknown, expired, answered already, or belongs to another browser."""

    code = "interaction-gone"


class SignInRefusedError(LoginError):
    """Identifier and proof do not belong together, or the account cannot be used.

    One code for all causes: the page must not tell who has an account here.
    """

    code = "sign-in-refused"


class RiskError(LoginError):
    """What was proved is right, but a risk rule (``idp.login.risk``) wants more, or refuses;
    ``code`` names the rule.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class CodeRefusedError(LoginError):
    """The code of the second factor is wrong, was used before, or is not the one asked for."""

    code = "code-refused"


class SignInExpiredError(LoginError):
    """The first half of the sign-in was too long ago, or in another browser."""

    code = "sign-in-expired"


class TooManyFailuresError(LoginError):
    """Too many wrong attempts; the right one is refused as well until the window is over."""

    code = "too-many-failures"


class NotOfferedError(LoginError):
    """The choice was not among those offered."""

    code = "not-offered"
