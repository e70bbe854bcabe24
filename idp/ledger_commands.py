"""``sen ledger``, ``sen verify``, and the programs of those who watch: ``sen witness``, ``sen auditor``."""

import base64
import json
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from sqlalchemy.exc import OperationalError, ProgrammingError

from consent.archive.moving import Archived, NotYetError, listed
from consent.archive.tampered import Finding
from consent.errors import ArchiveError
from consent.ledger import verify as verifier
from consent.ledger.note import Note
from consent.log_state import LogState
from consent.opening_audits import AuditRefusedError
from consent.rebuild import Findings, rebuild
from consent.reconciliation import Reconciliations
from consent.sealing import open_for_oversight
from consent.sequencer import waiting
from idp import archiving, opening, reconciling
from idp import ledger as keeping
from idp.database import connect, for_reading
from idp.services import Installation
from idp.settings import SettingsError, read_settings

_REFERENCE = re.compile(r"[\w ./-]{3,64}")
_WAY_ON = (
    "put them right with 'sen ledger mend --backup URL'; what no backup proves is moved as it was "
    "found by 'sen archive set-aside MONTH --reference R'"
)


class _Failure(click.ClickException):
    """One clear sentence on standard error and exit code 1."""

    def show(self, file: Any = None) -> None:
        click.echo(f"sen: {self.message}", err=True)


@click.group()
def ledger() -> None:
    """Look after the published logs of uses."""


@ledger.command("run")
@click.option("--once", is_flag=True, help="Take what there is, and end.")
def ledger_run(*, once: bool) -> None:
    """Keep the logs until stopped; a server does this by itself as well, one at a time."""
    with _installation() as installation:
        with closing(keeping.Keeper()) as keeper:
            kept = keeper(installation)
            while not once:
                time.sleep(keeping.INTERVAL.total_seconds())
                kept = keeper(installation)
        if not kept.is_holder:
            raise _Failure("another process keeps the logs")
        click.echo(f"{kept.entries} entries taken")
        for name, reason in (kept.gathered.refused if kept.gathered else {}).items():
            click.echo(f"{name} did not cosign: {reason}")


@ledger.command("status")
def ledger_status() -> None:
    """Tell how long the logs are, what waits, and who confirmed them when."""
    with _installation() as installation:
        trusted = keeping.policy(installation)
        with for_reading(installation.engine).begin() as db:
            state = LogState(db)
            epochs = state.state().epochs
            for name, log in sorted(state.logs().items()):
                standing = trusted.standing(Note.parse(log.note))
                click.echo(
                    f"{name}\t{log.size} entries\t{len(standing.witnesses)} witnesses\t"
                    f"{len(standing.auditors)} auditors"
                )
            standing_now = keeping.standing(db, trusted)
            late = waiting(db)
            week = installation.clock().date() - timedelta(days=7)
            compared = Reconciliations(db, installation.clock).since(week)
        click.echo(f"{epochs} epochs; {late} chains have uses that are not in the logs yet")
        if standing_now is not None and standing_now.seconds is not None:
            age = int(installation.clock().timestamp()) - standing_now.seconds
            quorum = "a quorum" if standing_now.is_quorum else "no quorum"
            click.echo(f"confirmed by {quorum} {age} seconds ago")
        for result in compared:
            silent = f"; nothing told by {', '.join(result.silent)}" if result.silent else ""
            click.echo(f"compared {result.day}: {result.unlogged} unlogged{silent}")
        if not compared:
            click.echo("no day of the last seven was compared with others yet")


@ledger.command("policy")
def ledger_policy() -> None:
    """Print the policy by which bundles are verified, to be published by the witnesses."""
    with _installation() as installation:
        click.echo(keeping.policy(installation).text, nl=False)


@ledger.command("reconcile")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="Of UTC; by default yesterday.")
def ledger_reconcile(day: datetime | None) -> None:
    """Lay a day of the record beside what registers answered and relying parties hold; fails where
    something is not in the record.
    """
    with _installation() as installation:
        yesterday = installation.clock().astimezone(UTC).date() - timedelta(days=1)
        try:
            result = reconciling.reconcile(installation, day.date() if day else yesterday)
        except ArchiveError as error:
            raise _Failure(error.detail) from error
        for line in reconciling.told(result):
            click.echo(line)
        if result.unlogged:
            raise _Failure("somebody holds what is not in the record")


@ledger.command("open")
@click.argument("audit")
@click.option("--warrant", required=True, help="The reference of the regulator's warrant.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True)
def ledger_open(audit: str, warrant: str, out: Path) -> None:
    """Open the entries that an auditor drew: write to a file what they say and whose they are, for the
    sealed room. Each person finds it in her record.
    """
    with _installation() as installation:
        try:
            opened = opening.open_drawn(installation, audit, warrant, secrets.token_hex(16))
        except AuditRefusedError as error:
            raise _Failure(error.detail) from error
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(opened, file, ensure_ascii=False, indent=1)
        click.echo(f"{len(opened['openings'])} entries opened")


@ledger.command("sealed")
def ledger_sealed() -> None:
    """Print the sealed entries as they are spelled, one a line, for the oversight body to open."""
    with _installation() as installation, for_reading(installation.engine).begin() as db:
        services = installation.services(db)
        chain = services.sealing.chain()
        for _, spelling in services.use_log.spelled(chain, 10**9) if chain else ():
            click.echo(spelling.decode())


@ledger.command("receipt-keys")
def ledger_receipt_keys() -> None:
    """Print the public key of use receipts as a JWK set, for registers and relying parties."""
    with _installation() as installation:
        click.echo(json.dumps({"keys": [installation.use_receipts.jwk]}))


@ledger.command("check")
def ledger_check() -> None:
    """Compare all that is stored with what was signed, and every entry with its commitment."""
    with _installation() as installation:
        _report(_rebuilt(installation, write=False), "differs")
        with for_reading(installation.engine).begin() as db:
            broken = keeping.broken_chains(installation, db)
        if broken:
            raise _Failure(f"{broken} chains have entries that were changed or removed")
        click.echo("every chain is intact")


@ledger.command("mend")
@click.option(
    "--backup",
    metavar="URL",
    envvar="SEN_BACKUP_DATABASE_URL",
    help="The database of a backup, of the same version, restored beside this one.",
)
def ledger_mend(backup: str | None) -> None:
    """Put rows of uses right that were changed or removed: by the published logs, and from a backup as far
    as they prove that it has what was recorded. Fails where anything stays as it is.
    """
    with _installation() as installation, ExitStack() as stack:
        older = connect(backup) if backup else None
        if older is not None:
            stack.callback(older.dispose)
        try:
            mended = list(archiving.mend(installation, older))
        except ArchiveError as error:
            raise _Failure(error.detail) from error
        except ProgrammingError as error:
            raise _Failure("the backup is of another version; migrate it first") from error
        for one in mended:
            done = "put right" if one.is_mended else "as it was: nothing proves what it said"
            click.echo(f"{_told(one.finding)}: {done}", err=not one.is_mended)
        if any(not one.is_mended for one in mended):
            raise _Failure("not all could be put right; see docs/ledger.md")
        click.echo(f"{len(mended)} put right" if mended else "every row is as it was published")


@ledger.command("rebuild")
def ledger_rebuild() -> None:
    """Make hashes, heads and map anew from the logs' entries; no server may run meanwhile."""
    with _installation() as installation:
        _report(_rebuilt(installation, write=True), "made anew")


@click.group()
def archive() -> None:
    """Look after the archive of old uses."""


@archive.command("run")
def archive_run() -> None:
    """Move every month that is old enough out of the database; a server does so by itself."""
    with _installation() as installation:
        count = 0
        try:
            for one in archiving.run(installation):
                count += 1
                _tell_moved(one)
        except (ArchiveError, NotYetError, OSError) as error:
            if isinstance(error, ArchiveError) and _tell_tampered(installation):
                click.echo(_WAY_ON, err=True)
            raise _Failure(archiving.told(error)) from error
        if not count:
            click.echo("nothing is old enough")


@archive.command("set-aside")
@click.argument("month")
@click.option("--reference", required=True, help="Of the inquiry; it is signed with the file.")
def archive_set_aside(month: str, reference: str) -> None:
    """Move MONTH (as 2026-03) with its entries that were tampered with and cannot be put right: they stay
    as they were found, do not fit their commitments for ever, and are named in the signed manifest.
    """
    if not _REFERENCE.fullmatch(reference):
        raise _Failure("a reference has 3 to 64 signs: letters, digits, blanks, . / - _")
    with _installation() as installation:
        _tell_tampered(installation, month)
        try:
            moved = archiving.set_aside(installation, month, reference)
        except (ArchiveError, NotYetError, OSError) as error:
            raise _Failure(archiving.told(error)) from error
        _tell_moved(moved)
        click.echo(f"{moved.aside} set aside under {reference}")


@archive.command("list")
def archive_list() -> None:
    """Print the files there have to be, what is in them and what was set aside, and which entries keep
    months in the database that ought to be in a file.
    """
    with _installation() as installation:
        with for_reading(installation.engine).begin() as db:
            known = listed(db)
        for one in known:
            click.echo(
                f"{one.file}\t{one.entries} uses\t{one.people} people\t"
                f"{one.noted_at.isoformat(timespec='seconds')}\t{one.sha256}"
            )
            for line in archiving.told_aside(installation, one.file):
                click.echo(f"\t{line}")
        try:
            if _tell_tampered(installation):
                click.echo(_WAY_ON, err=True)
        except ArchiveError as error:
            raise _Failure(error.detail) from error


@archive.command("evidence")
@click.argument("file")
def archive_evidence(file: str) -> None:
    """Print what was set aside in FILE as it was found, one entry a line, for who inquires. Each person
    finds the look in her record.
    """
    with _installation() as installation:
        try:
            for one in archiving.evidence(installation, file):
                click.echo(json.dumps(one, ensure_ascii=False))
        except ArchiveError as error:
            raise _Failure(error.detail) from error


@archive.command("verify")
def archive_verify() -> None:
    """Hold every file against its manifest and the published logs; fails where one is not as it was."""
    with _installation() as installation:
        are_good = True
        for one in archiving.check(installation):
            are_good = are_good and one.is_good
            click.echo(f"{one.about}: {one.said}", err=not one.is_good)
        if not are_good:
            raise _Failure("the archive is not as it was signed")
        click.echo("the archive is as it was signed, and no month is missing")


def _tell_moved(one: Archived) -> None:
    click.echo(
        f"{one.month}: {one.entries} uses of {one.people} people in {one.files} files, "
        f"{one.size / one.entries:.0f} bytes a use"
    )


def _tell_tampered(installation: Installation, month: str = "") -> int:
    """Print what stands in the way of months, or of one; return how much it is."""
    count = 0
    for one in archiving.tampered(installation):
        if not month or one.month == month:
            count += 1
            click.echo(_told(one), err=True)
    return count


def _told(one: Finding) -> str:
    """Return a finding in words; the person is named as in the archive, by what names nobody."""
    return archiving.told_entry(one.month, one.who, one.position, one.fault)


@contextmanager
def _installation() -> Iterator[Installation]:
    try:
        settings = read_settings()
        installation = Installation(settings, engine=connect(settings.database_url))
        try:
            yield installation
        finally:
            installation.engine.dispose()
    except SettingsError as error:
        raise _Failure(str(error)) from error
    except OperationalError as error:
        raise _Failure(f"the database cannot be used: {error.orig}") from error


def _rebuilt(installation: Installation, *, write: bool) -> Findings:
    with installation.engine.begin() as db:
        archive = installation.services(db).archive
        return rebuild(db, installation.ledger_index, archive, write=write)


def _report(found: Findings, what: str) -> None:
    for one in found.lost:
        click.echo(f"lost: {one}", err=True)
    for one in found.mended:
        click.echo(f"{what}: {one}")
    if found.lost:
        raise _Failure("the logs are not as they were signed; nothing was written")
    click.echo(f"{len(found.mended)} differences")


@click.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def verify(arguments: tuple[str, ...]) -> None:
    """Verify a proof of the uses of one's data: sen verify BUNDLE [--policy FILE] [--language en]."""
    raise SystemExit(verifier.main(list(arguments)))


@click.group()
def oversight() -> None:
    """Be the oversight body: whose sealed uses are opened by nobody else before their day."""


@oversight.command("key")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def oversight_key(file: Path) -> None:
    """Make a private key in FILE unless there is one, and print the public one, for SEN_OVERSIGHT_KEY."""
    if not file.exists():
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as made:
            made.write(X25519PrivateKey.generate().private_bytes_raw())
    public = _private(file).public_key().public_bytes_raw()
    click.echo(base64.b64encode(public).decode())


@oversight.command("open")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("entries", type=click.File("r", encoding="utf-8"))
def oversight_open(file: Path, entries: Any) -> None:
    """Open ENTRIES, as `sen ledger sealed` prints them, with the key in FILE; one use a line."""
    for line in entries:
        entry = json.loads(line)
        try:
            opened = open_for_oversight(_private(file), entry)
        except ValueError as error:
            raise _Failure(f"entry {entry['position']}: {error}") from error
        click.echo(json.dumps({"sealed_as": entry["id"], **opened}, ensure_ascii=False))


def _private(file: Path) -> X25519PrivateKey:
    try:
        return X25519PrivateKey.from_private_bytes(file.read_bytes())
    except (OSError, ValueError) as error:
        raise _Failure(f"{file} holds no key of 'sen oversight key'") from error
