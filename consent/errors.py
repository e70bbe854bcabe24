"""Refusals of the consent package."""


class ConsentError(Exception):
    """Root of every refusal raised by ``consent``; ``code`` is stable and kebab-case."""

    code = "consent-refused"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or self.code)
        self.detail = detail


class NotAskedError(ConsentError):
    """The decision names attributes that were not asked for."""

    code = "not-asked"


class UnknownPurposeError(ConsentError):
    """The purpose is not in the catalogue."""

    code = "purpose-unknown"


class ArchiveError(ConsentError):
    """A file of the archive of uses is missing, damaged or not what was signed; ``detail`` says which,
    and names nobody.
    """

    code = "archive-unavailable"
