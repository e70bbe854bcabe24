"""``sen witness``, ``sen auditor`` and ``sen audit``; also ``python -m consent.cosigners.commands``."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from consent.cosigners import opening
from consent.cosigners.published import Published, over_http
from consent.cosigners.server import ROLES, kept_evidence, make, own_key, server
from consent.ledger.note import Kind, NoteError, VerifierKey
from consent.ledger.opening import MOST_ENTRIES
from consent.ledger.policy import Policy
from consent.ledger.request import authorization

_KINDS = {"ed25519": Kind.COSIGNATURE, "ml-dsa-44": Kind.ML_DSA_44}


@click.group()
def main() -> None:
    """Watch the published logs of a Sen ID provider."""


def _command(role: str, what: str) -> click.Command:
    @click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
    @click.option("--name", required=True, help="The name to sign under, like an address.")
    @click.option("--algorithm", type=click.Choice(list(_KINDS)), default="ed25519")
    @click.option("--log-key", help="The provider's key: the first line of `sen ledger policy`.")
    @click.option("--log-url", help="Where the logs are: the provider's address with /ledger.")
    @click.option(
        "--evidence", is_flag=True, help="Print what was refused and speaks against the log."
    )
    @click.option("--bind", default="127.0.0.1:8120", show_default=True, metavar="HOST:PORT")
    def run(
        folder: Path,
        name: str,
        algorithm: str,
        log_key: str | None,
        log_url: str | None,
        bind: str,
        *,
        evidence: bool,
    ) -> None:
        if evidence:
            for at, origin, why, note, seen in kept_evidence(folder):
                click.echo(f"{at}\t{origin}\t{why}\n\nshown:\n{note}\nseen before:\n{seen}")
            return
        signer = own_key(folder, name, _KINDS[algorithm])
        # To be told to the provider, for its policy.
        click.echo(str(signer.verifier))
        if log_key is None or log_url is None:
            return
        host, _, port = bind.rpartition(":")
        try:
            watching = make(role, folder, signer, VerifierKey.parse(log_key), log_url)
            serving = server(watching, host, int(port))
        except (NoteError, OSError, ValueError) as error:
            raise click.ClickException(f"cannot begin ({error})") from error
        try:
            serving.serve_forever()
        except KeyboardInterrupt:
            pass
        finally:
            serving.server_close()
            watching.close()

    run.__doc__ = (
        f"{what} Key and memory are in FOLDER. Without --log-key the key is made and printed."
    )
    return click.command(role)(run)


witness = _command("witness", "Cosign checkpoints of a log that takes nothing back.")
auditor = _command("auditor", "Cosign epochs whose head map is what replaying the logs leads to.")
for _role in (witness, auditor):
    main.add_command(_role)
assert set(ROLES) <= set(main.commands)  # noqa: S101 - both lists name the same programs


@main.group()
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), required=True)
@click.option("--name", required=True, help="The auditor's name, as the policy has it.")
@click.option("--algorithm", type=click.Choice(list(_KINDS)), default="ed25519")
@click.option("--policy", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--log-url", required=True, help="The provider's address with /ledger.")
@click.pass_context
def audit(
    context: click.Context, folder: Path, name: str, algorithm: str, policy: Path, log_url: str
) -> None:
    """Draw entries of the logs by lot, and check them once they are opened. The auditor's key is in
    the folder, and so is the audit.
    """
    signer = own_key(folder, name, _KINDS[algorithm])

    def authorize(path: str) -> str:
        return authorization(signer, path, int(time.time()))

    fetch = over_http(log_url)
    trusted = Policy.parse(policy.read_text("utf-8"))
    made = opening.Audit(folder, Published(fetch), trusted, authorize)
    context.obj = made, opening.over_http(log_url, authorize), fetch


@audit.command("announce")
@click.option("--entries", type=click.IntRange(1, MOST_ENTRIES), default=100, show_default=True)
@click.option("--since", required=True, metavar="YYYY-MM", help="Of logs from this month on.")
@click.pass_obj
def audit_announce(obj: Any, entries: int, since: str) -> None:
    """Announce a draw, before the epoch that decides it exists."""
    made, call, _ = obj
    kept = _or_fail(lambda: made.announce(call, entries, since))
    click.echo(f"audit {kept['audit']} is drawn with epoch {kept['epoch']}")


@audit.command("draw")
@click.pass_obj
def audit_draw(obj: Any) -> None:
    """Draw the entries, and tell the provider which have to be opened."""
    made, call, _ = obj
    for log, leaf in _or_fail(lambda: made.draw(call)):
        click.echo(f"{log}\t{leaf}")


@audit.command("check")
@click.argument("openings", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--receipts", multiple=True, type=click.Path(path_type=Path, exists=True),
    help="What a relying party keeps from /agency/receipts, a JWS a line.",
)  # fmt: skip
@click.option("--registers", required=True, help="The auditor's own security server.")
@click.option("--client", required=True, help="The auditor on X-Road.")
@click.option("--publish", is_flag=True, help="Make the result public at the provider.")
@click.pass_obj
def audit_check(
    obj: Any,
    openings: Path,
    receipts: tuple[Path, ...],
    registers: str,
    client: str,
    *,
    publish: bool,
) -> None:
    """Check the opened entries; exit code 1 if anything is wrong."""
    made, call, fetch = obj
    given = json.loads(openings.read_text("utf-8"))
    batches = [line for path in receipts for line in path.read_text("ascii").splitlines()]
    keys = json.loads(_or_fail(lambda: fetch("receipt-keys", None)))["keys"]
    exists = opening.over_x_road(registers, client)
    findings = _or_fail(lambda: made.check(given, batches, keys, exists))
    for one in findings:
        click.echo(f"{one.code}\t{one.leaf[0]}\t{one.leaf[1]}")
    checked = len(given["openings"])
    if publish:
        _or_fail(lambda: made.conclude(call, checked, findings))
    click.echo(f"{checked} entries checked, {len(findings)} findings")
    if findings:
        raise SystemExit(1)


def _or_fail(act: Callable[[], Any]) -> Any:
    try:
        return act()
    except (opening.AuditError, OSError, ValueError) as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
