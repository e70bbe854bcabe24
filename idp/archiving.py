"""The archive of this installation's old uses: moved there once a day, held against the logs on demand."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine

from consent.archive.manifest import Aside, manifest_of
from consent.archive.moving import Archived, Archiver, NotYetError, listed
from consent.archive.parts import PartFile
from consent.archive.rows import Person, people
from consent.archive.tampered import Fault, Finding, examine
from consent.archive.verifying import Told, verify
from consent.data_use import PROVIDER, Channel, Use, content_of
from consent.errors import ArchiveError
from consent.ledger.note import Signer
from consent.mending import Mended, Mending
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


def set_aside(installation: Installation, month: str, reference: str) -> Archived:
    """Move the month that is due next with entries that were tampered with, as they were found; the
    manifest names them, with the reference of the operator's inquiry.

    Raises:
        ArchiveError, NotYetError, OSError: as ``Archiver.set_aside``.
    """
    keep = installation.settings.retention.hot_months
    moved = archiver(installation).set_aside(month, reference, keep)
    audit.security_event(
        "archive.set_aside", month=month, entries=moved.entries, aside=moved.aside,
        reference=reference,
    )  # fmt: skip
    return moved


def tampered(installation: Installation, *, due: bool = True) -> Iterator[Finding]:
    """Yield what is not as it was published in the months that ought to be in the archive, or (``due`` is
    False) in all that the database has.

    Raises:
        ArchiveError: the logs are not as they were signed.
    """
    keep = installation.settings.retention.hot_months if due else None
    for month in archiver(installation).waiting(keep):
        with for_reading(installation.engine).begin() as db:
            yield from examine(db, installation.vault, month)


def mend(installation: Installation, backup: Engine | None) -> Iterator[Mended]:
    """Put right the rows that are not as they were published, from the logs and a backup's database.

    Raises:
        ArchiveError: the logs are not as they were signed.
    """
    with ExitStack() as stack:
        older = stack.enter_context(for_reading(backup).begin()) if backup is not None else None
        with installation.engine.begin() as db:
            Mending(db, installation.vault, installation.known_terms, older).terms()
        found = list(tampered(installation, due=False))
        with installation.engine.begin() as db:
            mending = Mending(db, installation.vault, installation.known_terms, older)
            mended = list(mending.run(found))
    for one in mended:
        if one.is_mended:
            audit.security_event(
                "ledger.mended", month=one.finding.month, person=one.finding.who.hex(),
                position=one.finding.position, fault=one.finding.fault.value,
                was=one.was.hex() if one.was else None,
            )  # fmt: skip
    yield from mended


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


_FAULTS = {
    Fault.CHANGED: "says something else than what was recorded",
    Fault.COMMITMENT: "says what was recorded, beside another commitment",
    Fault.MISSING: "is gone",
    Fault.ADDED: "is in no published log",
    Fault.NO_KEY: "cannot be read: the person's key of the year is gone",
}


def told_entry(month: str, who: bytes, position: int, fault: Fault) -> str:
    """Return what is wrong with an entry, for an operator; people are named as in the archive's files."""
    return f"{month}: entry {position} of {who.hex()} {_FAULTS[fault]}"


def told_aside(installation: Installation, file: str) -> list[str]:
    """Return what was set aside in a listed file, as its manifest says; nothing where it cannot be read."""
    path = installation.settings.archive_folder / file
    try:
        manifest = manifest_of(path, manifest_signer(installation).verifier)
    except ArchiveError:
        return ["its manifest is missing or damaged; see 'sen archive verify'"]
    return [
        f"set aside ({manifest.reference}): "
        + told_entry(manifest.month, one.who, one.position, one.fault)
        for one in manifest.aside
    ]


def evidence(installation: Installation, file: str) -> list[dict[str, Any]]:
    """Return what was set aside in a file as it was found: the commitment published, the one that stood
    beside the row, and the row; None where there is none, or its key is gone. Each person finds the look
    in her record, committed before anything is told.

    Raises:
        ArchiveError: the file or its manifest is missing or damaged, or not listed.
    """
    folder = installation.settings.archive_folder
    with for_reading(installation.engine).begin() as db:
        if file not in {one.file for one in listed(db)}:
            raise ArchiveError(f"{file} is not listed")
        manifest = manifest_of(folder / file, manifest_signer(installation).verifier)
        own = people(
            db, installation.vault, (one.who for one in manifest.aside), int(manifest.month[:4])
        )
        opened = PartFile(folder / file)
        told = [_evidence(opened, one, own.get(one.who)) for one in manifest.aside]
    look = Use(
        subject_id="", client_id=PROVIDER, channel=Channel.OPERATOR_VIEW, attributes=(),
        purpose="account-care", purpose_version=1, legal_basis="statutory-function",
        correlation="operator",
    )  # fmt: skip
    with installation.engine.begin() as db:
        uses = [replace(look, subject_id=one.subject_id) for one in own.values()]
        installation.services(db, correlation="operator").use_log.record_many(uses)
    return told


def _evidence(opened: PartFile, one: Aside, person: Person | None) -> dict[str, Any]:
    row: Any = None
    if person is not None and person.key is not None:
        if one.sealed is not None:
            row = opened.part.opened_row(one.who, one.sealed, person.key)["row"]
        elif (block := opened.find(one.who)) is not None:
            entries = opened.part.entries(block, person.subject_id, person.key)
            found = entries[one.position - block.first]
            if not found.is_lost:
                row = content_of(found.id, found.position, found.at, found.use)
    return {**one.facts, "row_found": row}


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
