"""``sen``: the command line by which operators set up, run and look after an installation."""

import base64
import json
import os
import secrets
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import click
from cryptography import x509
from granian import Granian
from granian.constants import Interfaces
from granian.errors import ConfigurationError
from rich.console import Console
from rich.progress import Progress
from sqlalchemy.exc import OperationalError

from accounts.account import OPERATOR, Account, AccountKind, CloseReason, LockReason
from accounts.authenticator_models import AuthenticatorModels, OlderMetadataError
from accounts.errors import AccountsError, SealBrokenError
from accounts.fido_metadata import MetadataRefusedError, read_metadata
from accounts.legal_clock import midnight
from accounts.levels import AccountLevel
from accounts.officers import Role
from connectors.cursor import Cursors
from consent import partitions
from consent.cosigners.commands import audit, auditor, witness
from consent.data_use import PROVIDER, Channel, SubjectRole, Use
from idp import data_rotation, supervision
from idp.account_import import AccountImport, CodesFile, ImportRefusedError, Refused, template
from idp.audit import configure_logging
from idp.database import connect, upgrade
from idp.demo.run import DemoError, run
from idp.following import follow
from idp.keys import ALGORITHMS
from idp.ledger_commands import archive, ledger, oversight, verify
from idp.oidc.relying_parties import SECRET_METHODS, RegistrationError
from idp.register_commands import registers
from idp.seed import SeedError, read_seed
from idp.services import Installation, Services, prepare_keys
from idp.settings import (
    Settings,
    SettingsError,
    data_dir,
    raw_settings,
    read_secret,
    read_settings,
    secret_path,
)
from idp.upkeep import purge as purge_expired

_PROGRESS_FROM = 1000
_REFUSALS_SHOWN = 20


class _Failure(click.ClickException):
    """One clear sentence on standard error and exit code 1."""

    def show(self, file: Any = None) -> None:
        click.echo(f"sen: {self.message}", err=True)


@click.group()
def main() -> None:
    """Sen ID, an electronic-identity provider."""
    # What a command says on standard output is its answer; what it logs is not.
    configure_logging("WARNING")


main.add_command(registers)
main.add_command(ledger)
main.add_command(archive)
main.add_command(verify)
main.add_command(witness)
main.add_command(auditor)
main.add_command(audit)
main.add_command(oversight)


@main.command()
def init() -> None:
    """Make the data folder, the secret, the database and the signing keys, where missing."""
    with _told():
        values = raw_settings()
        data_dir(values).mkdir(parents=True, exist_ok=True)
        path = secret_path(values)
        if not path.exists():
            _write_secret(path)
            click.echo(f"made the secret {path}; keep a copy in a safe place")
        with _installation() as installation:
            _prepare(installation)
        click.echo(f"ready: {installation.settings.issuer}")


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
def seed(file: Path) -> None:
    """Load relying parties, people and organisations from a JSON FILE, all or nothing."""
    with _told(), _installation() as installation:
        try:
            text = file.read_text(encoding="utf-8")
        except OSError as error:
            raise _Failure(f"{file} cannot be read ({error.strerror})") from error
        except UnicodeDecodeError as error:
            raise _Failure(f"{file} must be UTF-8 text") from error
        known = _KnownHashes(installation, text)
        prepared = read_seed(text, installation.hashing.hash_unchecked, known.find)
        rows = text.count('"client_id"') + text.count('"kind"') + text.count('"tax_code"')
        with (
            _progress(wanted=rows > _PROGRESS_FROM) as bar,
            installation.engine.begin() as db,
        ):
            task = bar.add_task("seeding", total=None)
            done = prepared.apply(
                installation.services(db, correlation="seed"),
                lambda position, total: bar.update(task, completed=position, total=total),
            )
    click.echo(
        f"seeded {done.relying_parties} relying parties, {done.people} people, "
        f"{done.organisations} organisations"
    )


@main.command()
@click.option("--bind", default="127.0.0.1:8000", show_default=True, metavar="HOST:PORT")
@click.option("--workers", type=click.IntRange(1, 64), default=None)
def serve(bind: str, workers: int | None) -> None:
    """Serve until stopped, with granian."""
    host, _, port = bind.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise _Failure(f"--bind {bind!r} must be HOST:PORT")
    with _told(), _installation() as installation:
        _prepare(installation)
        settings = installation.settings
    _start_server(settings, _address(host.strip("[]")), int(port), workers or settings.workers)


@main.command()
def demo() -> None:
    """Run the demonstration: the provider and two relying parties, on this machine."""
    try:
        sys.exit(run(partial(main, prog_name="sen"), data_dir=data_dir(raw_settings())))
    except (DemoError, SettingsError) as error:
        raise _Failure(str(error)) from error


@main.command()
def purge() -> None:
    """Remove what has expired; a server does this by itself as well."""
    with _told(), _installation() as installation:
        for kind, count in purge_expired(installation).items():
            click.echo(f"{count} {kind}")


@main.group("relying-party")
def relying_party() -> None:
    """Register relying parties."""


@relying_party.command("add")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def relying_party_add(file: Path) -> None:
    """Register from a JSON FILE with RFC 7591 metadata; a missing secret is made and shown once."""
    with _told(), _transaction() as services:
        try:
            document = json.loads(file.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise _Failure(f"{file} is not valid JSON") from error
        if not isinstance(document, dict):
            raise _Failure(f"{file} must hold one JSON object")
        method = document.get("token_endpoint_auth_method", "client_secret_basic")
        made = method in SECRET_METHODS and not document.get("client_secret")
        if made:
            document["client_secret"] = secrets.token_urlsafe(32)
        client_id = services.registrations.register(document)
    click.echo(f"registered {client_id}")
    if made:
        click.echo(f"client_secret: {document['client_secret']}")


@relying_party.command("list")
def relying_party_list() -> None:
    """List the relying parties."""
    with _told(), _transaction() as services:
        for party in services.registrations.all():
            state = "active" if party.is_active else "disabled"
            click.echo(f"{party.client_id}\t{state}\t{party.purpose}\t{party.names['']}")


@relying_party.command("disable")
@click.argument("client_id")
def relying_party_disable(client_id: str) -> None:
    """Stop a relying party at once: its sign-ins, and every token it holds."""
    with _told(), _transaction() as services:
        if not services.registrations.disable(client_id):
            raise _Failure(f"there is no relying party {client_id}")
        ended = services.grants.revoke_of_relying_party(client_id)
    click.echo(f"disabled {client_id}; {ended} grants ended")


@main.group()
def authenticators() -> None:
    """Say which models of hardware keys are believed."""


@authenticators.command("import-metadata")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def authenticators_import(file: Path) -> None:
    """Take over a FIDO metadata FILE (MDS3) that SEN_FIDO_ROOT_FILE's certificates vouch for."""
    with _told(), _transaction() as services:
        root_file = services.installation.settings.fido_root_file
        if root_file is None:
            raise _Failure("SEN_FIDO_ROOT_FILE is not set: nobody may sign such a file")
        try:
            roots = x509.load_pem_x509_certificates(root_file.read_bytes())
            told = read_metadata(file.read_text("ascii"), roots, services.installation.clock())
            count = AuthenticatorModels(services.db).replace(told)
        except MetadataRefusedError as error:
            raise _Failure(f"{file} is refused: {error}") from error
        except OlderMetadataError as error:
            raise _Failure(f"{file} is older than what was imported before") from error
        except (OSError, ValueError) as error:
            raise _Failure("certificates or metadata cannot be read") from error
    click.echo(f"{count} models; the next file is due on {told.next_update}")


@main.group()
def outbox() -> None:
    """Look after the messages that wait for relying parties."""


@outbox.command("show")
def outbox_show() -> None:
    """Tell who has not taken what, since when, and why not."""
    with _told(), _transaction() as services:
        for backlog in services.outbox.backlogs():
            standing = "given up" if backlog.is_given_up else "waiting"
            since = f"{backlog.since:%Y-%m-%d %H:%M:%S} UTC"
            fault = backlog.fault or "not tried yet"
            click.echo(f"{backlog.client_id}\t{backlog.count} {standing}\tsince {since}\t{fault}")


@outbox.command("retry")
@click.argument("client_id")
def outbox_retry(client_id: str) -> None:
    """Try everything again that was given up for a relying party."""
    with _told(), _transaction() as services:
        party = services.installation.relying_parties.find_any(client_id, services.db)
        is_fetched = party is not None and party.fetches_events
        count = services.outbox.retry(client_id, is_fetched=is_fetched)
    click.echo(f"{count} messages wait for {client_id} again")


@main.group()
def keys() -> None:
    """Look after signing keys, data keys and the secret."""


@keys.command("list")
def keys_list() -> None:
    """List the published keys."""
    with _told(), _transaction() as services:
        for key in services.signing_keys.all():
            click.echo(f"{key.kid}\t{key.algorithm}\t{key.state.value}\t{key.created_at:%Y-%m-%d}")


@keys.command("rotate")
@click.option("--algorithm", type=click.Choice(ALGORITHMS), multiple=True, default=ALGORITHMS)
def keys_rotate(algorithm: tuple[str, ...]) -> None:
    """Make new keys; the old ones stay published until nothing they signed is alive."""
    with _told(), _transaction() as services:
        for name in algorithm:
            click.echo(f"{services.signing_keys.rotate(name)}\t{name}\tactive")


@keys.command("data")
def keys_data() -> None:
    """List the keys that personal data is sealed with; 0 is the root."""
    with _told(), _transaction() as services:
        for key in services.installation.data_keys(services.db).all():
            state = "in use" if key.retired_at is None else f"retired {key.retired_at:%Y-%m-%d}"
            click.echo(f"{key.id}\t{state}\tmade {key.made_at:%Y-%m-%d}")


@keys.command("rotate-data")
def keys_rotate_data() -> None:
    """Seal all personal data with a new key, while servers run; interrupted, run it again."""
    with _told(), _installation() as installation, _progress() as bar:
        task = bar.add_task("sealing anew", total=None)
        try:
            rotated = data_rotation.rotate(
                installation,
                expect=lambda values: bar.update(task, total=values),
                done=lambda values: bar.advance(task, values),
                wait=lambda span: time.sleep(span.total_seconds()),
            )
        except SealBrokenError as error:
            raise _Failure(f"a value cannot be opened ({error}); no key was retired") from error
        except data_rotation.StillWrittenError as error:
            raise _Failure(
                "something still writes with the old key; run this again when no old server runs"
            ) from error
    click.echo(f"{rotated.values} values sealed with key {rotated.key_id}")
    if rotated.retired:
        told = ", ".join(map(str, rotated.retired))
        click.echo(f"retired {told}; after an hour the next purge destroys what retired")


@keys.command("change-secret")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def keys_change_secret(file: Path) -> None:
    """Seal the data keys under the secret in FILE, which SEN_SECRET_FILE has to name from then on."""
    with _told(), _installation() as installation:
        try:
            changed = data_rotation.change_secret(installation, read_secret(file))
        except SealBrokenError as error:
            raise _Failure("neither secret fits this database; nothing was changed") from error
    click.echo("the data keys are sealed under the new secret" if changed else "done before")
    click.echo(f"now let SEN_SECRET_FILE name {file} and restart every server")


@registers.command("status")
def registers_status() -> None:
    """Tell how far each register's feed was read, and since when it has not answered."""
    with _told(), _transaction() as services:
        if not services.installation.registers:
            raise _Failure("no register is asked: SEN_REGISTERS_URL is not set")
        cursors = Cursors(services.db).all()
        if not cursors:
            click.echo("no feed was read yet; a server begins within a minute of its start")
        for cursor in cursors:
            polled = f"{cursor.polled_at:%Y-%m-%d %H:%M:%S} UTC" if cursor.polled_at else "never"
            since = cursor.not_available_since
            standing = (
                f"not available since {since:%Y-%m-%d %H:%M:%S} UTC" if since else "available"
            )
            click.echo(f"{cursor.register}\t{standing}\tread to {cursor.sequence}\tpolled {polled}")


@main.group()
def account() -> None:
    """Look up, lock and unlock accounts."""


@account.command("show")
@click.argument("identifier")
def account_show(identifier: str) -> None:
    """Show an account by login, personal number, passport, residence card or account id."""
    with _told(), _transaction() as services:
        shown = _show(services, _found(services, identifier))
    click.echo(shown)


@account.command("lock")
@click.argument("identifier")
@click.option(
    "--reason",
    type=click.Choice([r.value for r in LockReason]),
    default=LockReason.AUTHORITY_ORDER.value,
    show_default=True,
)
@click.option("--ground", default="", help="The document it rests on; kept with the event.")
def account_lock(identifier: str, reason: str, ground: str) -> None:
    """Lock an account: sessions end and every token dies in the same transaction."""
    with _told(), _transaction() as services:
        found = _found(services, identifier)
        shown = _show(
            services,
            services.standing.lock(found.id, LockReason(reason), OPERATOR, ground=ground),
        )
    click.echo(shown)


@account.command("unlock")
@click.argument("identifier")
@click.option("--reason", type=click.Choice([r.value for r in LockReason]), default=None)
@click.option("--ground", default="", help="The document it rests on; kept with the event.")
def account_unlock(identifier: str, reason: str | None, ground: str) -> None:
    """Remove one lock reason, or all; the account opens when none is left."""
    with _told(), _transaction() as services:
        found = _found(services, identifier)
        for one in [LockReason(reason)] if reason else sorted(found.locks):
            services.standing.unlock(found.id, one, OPERATOR, ground=ground)
        shown = _show(services, services.accounts.account(found.id))
    click.echo(shown)


@account.command("close")
@click.argument("identifier")
@click.option("--reason", type=click.Choice([r.value for r in CloseReason]), required=True)
@click.option("--ground", default="", help="The document it rests on; kept with the event.")
def account_close(identifier: str, reason: str, ground: str) -> None:
    """Close an account for good: nothing opens it again, and its record is kept."""
    with _told(), _transaction() as services:
        found = _found(services, identifier)
        shown = _show(
            services,
            services.standing.close(found.id, CloseReason(reason), OPERATOR, ground=ground),
        )
    click.echo(shown)


@account.command("renumber")
@click.argument("identifier")
@click.argument("personal_number")
def account_renumber(identifier: str, personal_number: str) -> None:
    """Follow a changed personal number: the account, its sub and its consents stay."""
    with _told(), _transaction() as services:
        found = _found(services, identifier)
        services.standing.renumber(found.id, personal_number)
        shown = _show(services, found)
    click.echo(shown)


@account.command("naturalise")
@click.argument("identifier")
@click.argument("personal_number")
@click.option("--ground", default="", help="The document it rests on; kept with the event.")
def account_naturalise(identifier: str, personal_number: str, ground: str) -> None:
    """Let a citizen's account succeed a foreigner's; the activation code is shown once."""
    with _told(), _transaction() as services:
        found = _found(services, identifier)
        made = services.standing.succeed(found.id, personal_number, OPERATOR, ground=ground)
        code = services.accounts.new_activation_code(made.id)
        shown = _show(services, made)
    click.echo(shown)
    click.echo(f"activation code: {code}")


@account.command("history")
@click.argument("identifier")
def account_history(identifier: str) -> None:
    """Show what happened to an account: when, what, why and by whom; never the written ground."""
    with _told(), _transaction() as services:
        found = _found(services, identifier)
        _note_look(services, found)
        happened = services.accounts.history(found.id)
    for event in happened:
        click.echo(
            f"{event.at:%Y-%m-%d %H:%M:%S}\t{event.kind.value}\t{event.reason or '-'}\t"
            f"{event.actor.kind.value}"
        )


@main.group()
def accounts() -> None:
    """Take over many accounts at once."""


@accounts.command("template")
def accounts_template() -> None:
    """Print the head line of a file to import (docs/import.md)."""
    click.echo(template(), nl=False)


@accounts.command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--as-of",
    type=click.DateTime(["%Y-%m-%d"]),
    required=True,
    help="The day on which the old system had what the file says.",
)
@click.option("--name", default=None, help="Tells this import from others; default: FILE's name.")
@click.option(
    "--codes", type=click.Path(path_type=Path), help="Write activation codes to this file."
)
@click.option("--report", type=click.Path(path_type=Path), help="Write refused rows to this file.")
def accounts_import(
    file: Path, as_of: datetime, name: str | None, codes: Path | None, report: Path | None
) -> None:
    """Take accounts of an older system from a CSV FILE; run again, it goes on where it stopped."""
    with ExitStack() as open_, _told(), _installation() as installation, _progress() as bar:
        task = bar.add_task("importing", total=file.stat().st_size)
        told = open_.enter_context(report.open("w", encoding="utf-8")) if report else None
        shown = 0

        def refuse(row: Refused) -> None:
            nonlocal shown
            shown += 1
            if told is not None:
                click.echo(f"{row.line}\t{row.reason}", file=told)
            elif shown <= _REFUSALS_SHOWN:
                click.echo(f"line {row.line}: {row.reason}", err=True)

        written = CodesFile(codes) if codes else None
        if written is not None:
            open_.callback(written.close)
        done = AccountImport(
            installation,
            name or file.stem,
            as_of.date(),
            refuse,
            written,
            lambda position: bar.update(task, completed=position),
        ).run(file)
    if report is None and done.refused > _REFUSALS_SHOWN:
        click.echo(f"… and {done.refused - _REFUSALS_SHOWN} more; --report keeps all", err=True)
    click.echo(f"{done.taken} taken, {done.before} taken before, {done.refused} refused")
    if done.refused:
        sys.exit(1)


@account.command("activation-code")
@click.argument("identifier")
def account_activation_code(identifier: str) -> None:
    """Give an account a new activation code, shown once; for handing out at a desk.

    Used on an account in use, it voids every way to sign in that there was before.
    """
    with _told(), _transaction() as services:
        found = _found(services, identifier)
        if found.is_open:
            code = services.recovering.begin_by_office(found.id, OPERATOR, "")
        else:
            code = services.accounts.new_activation_code(found.id)
    click.echo(f"activation code: {code}")


@main.group()
def mandate() -> None:
    """Record who heads an agency, and see what mandates there are."""


@mandate.command("appoint-head")
@click.argument("tax_code")
@click.argument("identifier")
@click.option("--decision", required=True, help="Number and date of the appointing decision.")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="Last day of the appointment.")
def mandate_appoint_head(
    tax_code: str, identifier: str, decision: str, until: datetime | None
) -> None:
    """Let a person head an organisation that no register of representatives knows."""
    last = midnight(until.date() + timedelta(days=1)) if until else None
    with _told(), _transaction() as services:
        found = _found(services, identifier)
        organisation_id = _find_organisation(services, tax_code)
        if not services.mandating.may_act(found.subject_id):
            raise _Failure("a head needs an open account of level 02")
        services.mandating.appoint_head(organisation_id, found.subject_id, last, decision)
    click.echo(f"appointed {found.id}")


@mandate.command("dismiss-head")
@click.argument("tax_code")
@click.argument("identifier")
def mandate_dismiss_head(tax_code: str, identifier: str) -> None:
    """End an appointment; what its holder had given waits for a successor's confirmation."""
    with _told(), _transaction() as services:
        found = _found(services, identifier)
        organisation_id = _find_organisation(services, tax_code)
        if not services.mandating.end_heads(organisation_id, found.subject_id):
            raise _Failure("this person does not head the organisation")
    click.echo(f"dismissed {found.id}")


@mandate.command("list")
@click.argument("who")
def mandate_list(who: str) -> None:
    """List the mandates of an organisation (by tax code) or of a relying party (by client id)."""
    with _told(), _transaction() as services:
        organisation_id = services.subjects.find_organisation(who)
        found = (
            services.mandates.of_principal(organisation_id)
            if organisation_id
            else services.mandates.of_relying_party(who)
        )
        for one in found:
            state = services.mandates.standing(one).value
            until = one.valid_to.isoformat(timespec="seconds") if one.valid_to else "-"
            key = one.key_thumbprint or "-"
            click.echo(f"{one.id}\t{one.type.value}\t{state}\t{until}\t{key}")


def _find_organisation(services: Services, tax_code: str) -> str:
    found = services.subjects.find_organisation(tax_code)
    if found is None:
        raise _Failure(f"there is no organisation with the tax code {tax_code}")
    return found


@main.group()
def officer() -> None:
    """Appoint the officers who decide at the desk, and inspectors."""


@officer.command("add")
@click.argument("identifier")
@click.option("--office", required=True, help="The office, as citizens read it.")
@click.option(
    "--role",
    type=click.Choice([r.value for r in Role]),
    default=Role.DESK.value,
    show_default=True,
    help="What it is for: deciding at the desk, or supervising for the data-protection authority.",
)
def officer_add(identifier: str, office: str, role: str) -> None:
    """Appoint the holder of an open account of level 02; a new office ends the one she had."""
    with _told(), _transaction() as services:
        found = _found(services, identifier)
        if found.level is not AccountLevel.LEVEL_02 or not found.is_open:
            raise _Failure("an officer needs an open account of level 02")
        appointed = services.officers.appoint(found.subject_id, office, Role(role))
    click.echo(f"appointed {appointed.sign} at {appointed.office}")


@officer.command("remove")
@click.argument("identifier")
def officer_remove(identifier: str) -> None:
    """End an officer's office at once."""
    with _told(), _transaction() as services:
        found = _found(services, identifier)
        if not services.officers.dismiss(found.subject_id):
            raise _Failure("this person holds no office")
    click.echo("removed")


@officer.command("list")
def officer_list() -> None:
    """List the officers: sign, account, since when, role, office."""
    with _told(), _transaction() as services:
        for one in services.officers.all():
            known = services.accounts.find_of_subject(one.subject_id)
            click.echo(
                f"{one.sign}\t{known.id if known else '-'}\t{one.since:%Y-%m-%d}\t"
                f"{one.role.value}\t{one.office}"
            )


@main.group()
def regulator() -> None:
    """What the data-protection authority takes away."""


@regulator.command("export")
@click.option(
    "--day",
    type=click.DateTime(["%Y-%m-%d"]),
    default=None,
    help="A day in Viet Nam that is over; the newest there is, if not given.",
)
@click.option("--to", type=click.Path(path_type=Path, file_okay=False), default=Path())
def regulator_export(day: datetime | None, to: Path) -> None:
    """Write a day's figures and the signed manifest over them into a folder."""
    with _told(), _installation() as installation:
        follow(installation)
        supervision.export_due(installation)
        with installation.engine.begin() as db:
            known = supervision.days(db)
            wanted = day.date() if day else known[0][0] if known else None
            found = supervision.find_export(db, wanted) if wanted else None
    if found is None:
        raise _Failure("there is no export of this day; one is made when a day is over")
    to.mkdir(parents=True, exist_ok=True)
    for name, content in ((found.name, found.file), (found.manifest_name, found.manifest.encode())):
        (to / name).write_bytes(content)
        click.echo(to / name)


class _KnownHashes:
    """Finds the hash a login has already, if the seed's password fits it."""

    def __init__(self, installation: Installation, text: str) -> None:
        self._installation = installation
        try:
            people = json.loads(text).get("people", [])
            self._plain = {p["login"]: p["password"] for p in people if p.get("password")}
        except (ValueError, AttributeError, KeyError, TypeError):
            # The shape is judged, with line and field, by the reader.
            self._plain = {}

    def find(self, login: str) -> str | None:
        if login not in self._plain:
            return None
        with self._installation.engine.connect() as db:
            services = self._installation.services(db)
            subject_id = services.subjects.find_for_sign_in(login)
            known = services.accounts.find_of_subject(subject_id) if subject_id else None
            hashed = services.passwords.find(known.id) if known else None
            db.rollback()
        if hashed and self._installation.hashing.verify(hashed, self._plain[login]):
            return hashed
        return None


def _address(host: str) -> str:
    """Return the IP address of a host name, because the server binds to addresses only."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise _Failure(f"there is no address for {host!r}") from error
    # localhost means both families; IPv4 is what the printed address and most tools mean by it.
    best = next((info for info in found if info[0] is socket.AF_INET), found[0])
    return str(best[4][0])


def _check_free(host: str, port: int) -> None:
    """Refuse a taken port: the server would share it with whoever listens there already."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise _Failure(f"cannot serve on {host}:{port} ({error.strerror})") from error


def _threads(settings: Settings) -> int:
    """Return how many requests a worker has under way: more, where they share their way to the
    database (``accounts.together``); on SQLite they would only queue for its one lock.
    """
    return 4 if settings.database_url.startswith("sqlite") else 16


def _start_server(settings: Settings, host: str, port: int, workers: int) -> None:
    _check_free(host, port)
    metrics = settings.data_dir / "metrics"
    shutil.rmtree(metrics, ignore_errors=True)
    metrics.mkdir(parents=True)
    # Read by prometheus_client when a worker imports it: counters of all workers are added up.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(metrics)
    try:
        Granian(
            "wsgi:app",
            address=host,
            port=port,
            interface=Interfaces.WSGI,
            websockets=False,
            workers=workers,
            blocking_threads=_threads(settings),
            backpressure=256,
            respawn_failed_workers=True,
            log_access=False,
            workers_kill_timeout=30,
            working_dir=Path(__file__).resolve().parent.parent,
        ).serve()
    except (ConfigurationError, OSError) as error:
        raise _Failure(f"cannot serve on {host}:{port} ({error})") from error


def _write_secret(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(base64.b64encode(secrets.token_bytes(48)).decode() + "\n")


def _prepare(installation: Installation) -> None:
    upgrade(installation.engine)
    # Where other servers leave no moment for it, upkeep tries again.
    with suppress(OperationalError), installation.engine.begin() as db:
        partitions.prepare(db, installation.clock())
    try:
        prepare_keys(installation)
    except SealBrokenError as error:
        raise SettingsError(
            "the secret does not fit this database; "
            "point SEN_SECRET_FILE at the one it was made with"
        ) from error


def _progress(*, wanted: bool = True) -> Progress:
    """Return a progress bar on standard error, which stays silent where nobody would watch it."""
    return Progress(console=Console(stderr=True), disable=not wanted or not sys.stderr.isatty())


@contextmanager
def _told() -> Iterator[None]:
    """Turn what an operator can mend into one sentence."""
    try:
        yield
    except (
        SettingsError,
        SeedError,
        RegistrationError,
        AccountsError,
        ImportRefusedError,
    ) as error:
        raise _Failure(str(error)) from error
    except OperationalError as error:
        raise _Failure(f"the database cannot be used: {error.orig}") from error


@contextmanager
def _installation() -> Iterator[Installation]:
    settings = read_settings()
    installation = Installation(settings, engine=connect(settings.database_url))
    try:
        yield installation
    finally:
        installation.engine.dispose()


@contextmanager
def _transaction() -> Iterator[Services]:
    with _installation() as installation, installation.engine.begin() as db:
        yield installation.services(db, correlation="operator")


def _found(services: Services, identifier: str) -> Account:
    subject_id = services.subjects.find_for_sign_in(identifier)
    if subject_id is not None:
        known = services.accounts.find_of_subject(subject_id)
        if known is not None:
            return known
    try:
        return services.accounts.account(identifier)
    except AccountsError:
        raise _Failure("there is no account with this identifier") from None


def _note_look(services: Services, found: Account) -> None:
    """Let the person see that an operator looked: nobody looks unseen, whoever it is."""
    is_organisation = found.kind is AccountKind.ORGANISATION
    services.use_log.record(
        Use(
            subject_id=found.subject_id,
            client_id=PROVIDER,
            channel=Channel.OPERATOR_VIEW,
            attributes=("vn_account_kind", "vn_account_level"),
            purpose="account-care",
            purpose_version=1,
            legal_basis="statutory-function",
            correlation=services.correlation,
            subject_role=SubjectRole.ORGANISATION if is_organisation else SubjectRole.PRIMARY,
        )
    )


def _show(services: Services, found: Account) -> str:
    """Return what is told of an account, once the look is committed."""
    _note_look(services, found)
    locks = ", ".join(sorted(lock.value for lock in found.locks)) or "none"
    return (
        f"account {found.id}\nkind {found.kind.value}\nlevel {found.level.value}\n"
        f"state {found.state.value}\nlocks {locks}\n"
        f"closed {found.closed_reason.value if found.closed_reason else 'no'}\n"
        f"successor of {found.successor_of or 'none'}\n"
        f"passkeys {services.passkeys.count(found.id)}\n"
        f"password {'yes' if services.passwords.find(found.id) else 'no'}\n"
        f"browser sessions {len(services.sessions.of_account(found.id))}"
    )


if __name__ == "__main__":
    main(prog_name="sen")
