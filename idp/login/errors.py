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


class QrGoneError(LoginError):
    """There is no such sign-in by QR code for this browser or phone, or it is over.

    One code for all causes: whoever tries ids learns nothing.
    """

    code = "qr-gone"


class QrTakenError(LoginError):
    """Another phone scanned the code first."""

    code = "qr-taken"


class QrElsewhereError(LoginError):
    """The link for the same device was opened in another network."""

    code = "qr-elsewhere"


class QrNumberError(LoginError):
    """Another number was chosen than the browser shows; the sign-in has failed."""

    code = "qr-number"


class QrRefusedError(LoginError):
    """The approval is not signed by a phone of this account."""

    code = "qr-refused"


class PasskeyAskedError(LoginError):
    """The phone's own session is too old or too weak to approve anything."""

    code = "passkey-asked"
