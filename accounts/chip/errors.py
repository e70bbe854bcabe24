"""Why a reading of a chip is refused."""

from accounts.errors import AccountsError


class ChipRefusedError(AccountsError):
    """The reading proves nothing; ``detail`` is the kebab-case reason, one of ``REASONS``."""

    code = "chip-refused"


REASONS = frozenset(
    {
        "unreadable",
        "too-large",
        "file-missing",
        "signature-wrong",
        "issuer-unknown",
        "certificate-expired",
        "certificate-unsuitable",
        "certificate-revoked",
        "revocation-unknown",
        "algorithm-unsuitable",
        "hash-wrong",
        "zone-wrong",
        "files-contradict",
        "card-expired",
        "copy",
        "other-person",
        "too-young",
    }
)
