"""Refusals of the accounts package. Each carries a stable kebab-case code and no text for people."""


class AccountsError(Exception):
    """Root of every refusal raised by ``accounts``; ``code`` is what pages translate."""

    code = "account-refused"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or self.code)
        self.detail = detail


class UnknownAccountError(AccountsError):
    """No such account; raised by look-ups that promise to find one."""

    code = "account-unknown"


class AccountClosedError(AccountsError):
    """The account is closed for good: nothing about it can be changed."""

    code = "account-closed"


class UnknownApplicationError(AccountsError):
    """No such application."""

    code = "not-found"


class PasskeyRefusedError(AccountsError):
    """A WebAuthn ceremony failed one of our checks (WebAuthn Level 3 §7)."""

    code = "passkey-refused"


class PasskeyUnknownError(PasskeyRefusedError):
    """No account has this passkey (any more); the browser may forget it."""

    code = "passkey-unknown"


class OwnLockError(PasskeyRefusedError):
    """The passkey is good, but its holder locked the account herself: she can unlock it with it."""

    code = "own-lock"


class PhoneRefusedError(AccountsError):
    """A phone's key cannot be kept: not proved, known already, or one too many."""

    code = "phone-refused"


class PasswordUnsuitableError(AccountsError):
    """A new password is too short, too long or too easy."""

    code = "password-unsuitable"


class LastAuthenticatorError(AccountsError):
    """Removing this authenticator would leave the person no way to sign in."""

    code = "last-authenticator"


class IdentifierTakenError(AccountsError):
    """The identifier already belongs to another account."""

    code = "identifier-taken"


class BadIdentifierError(AccountsError):
    """The identifier breaks a rule that its issuer guarantees (a check digit, a length)."""

    code = "bad-identifier"


class BadPhoneError(AccountsError):
    """The text cannot be a phone number."""

    code = "bad-phone"


class BadMrzError(AccountsError):
    """A machine-readable zone has another shape than ICAO Doc 9303's, or a wrong check digit."""

    code = "bad-mrz"


class SealBrokenError(Exception):
    """Sealed bytes cannot be opened: wrong key, wrong place, or altered.

    No refusal but a fault of the installation, so it is no ``AccountsError``.
    """
