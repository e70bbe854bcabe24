"""The archive of this installation's old uses: moved there once a day, held against the logs on demand."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from consent.archive.moving import Archived, Archiver, NotYetError
from consent.archive.verifying import Told, verify
from consent.errors import ArchiveError
from consent.ledger.note import Signer
from idp import audit, ledger
from idp.database import for_reading
from idp.services import Installation

INTERVAL = timedelta(hours=1)
"""Months end seldom; but a server that is restarted every night has to come to it too."""


def archiver(installation: Installation) -> Archiver:
    """Return what moves this installation's uses."""
    return Archiver(
        installation.engine,
        for_reading(installation.engine),
        installation.clock,
        installation.chance,
        installation.vault,
        installation.settings.archive_folder,
        lambda: [manifest_signer(installation)],
    )


def manifest_signer(installation: Installation) -> Signer:
    """Return the log's Ed25519 key, under the name that manifests are signed by."""
    key = ledger.signers(installation)[0]
    return key.named(f"{key.name}/archive")


def run(installation: Installation) -> Iterator[Archived]:
    """Move every month that is old enough, and yield each when it is moved.

    Raises:
        ArchiveError: something is not as it was signed, or the folder is another.
        NotYetError: uses of a month that is old enough are not in the published logs.
        OSError: the folder cannot be used.
    """
    for one in archiver(installation).run(installation.settings.retention.hot_months):
        audit.security_event(
            "archive.moved", month=one.month, entries=one.entries, files=one.files, bytes=one.size
        )
        yield one


def run_due(installation: Installation) -> None:
    """Move what is old enough; what stands in the way is told to the operator."""
    try:
        list(run(installation))
    except (ArchiveError, NotYetError, OSError) as error:
        postponed(error)


def postponed(error: Exception) -> None:
    """Tell the operator what stands in the way."""
    audit.security_event("archive.postponed", cause=type(error).__name__, detail=told(error))


def told(error: Exception) -> str:
    """Return what is said of an error: of a folder's, without where on the machine it is."""
    if isinstance(error, OSError):
        return f"the archive's folder cannot be used ({error.strerror})"
    return str(error)


def let_go(installation: Installation, before: datetime) -> int:
    """Remove the archived months that ended before a moment; return how many entries went.

    Raises:
        ArchiveError: a file is missing or damaged.
    """
    return archiver(installation).let_go(before)


def check(installation: Installation) -> list[Told]:
    """Say of every file whether it is as it was signed and as the published logs say."""
    key = manifest_signer(installation).verifier
    with for_reading(installation.engine).begin() as db:
        folder = installation.settings.archive_folder
        return list(verify(db, installation.vault, folder, key))
