"""``sen witness`` and ``sen auditor``; also ``python -m consent.cosigners.commands``."""

from pathlib import Path

import click

from consent.cosigners.server import ROLES, kept_evidence, make, own_key, server
from consent.ledger.note import Kind, NoteError, VerifierKey

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
assert set(ROLES) == set(main.commands)  # noqa: S101 - both lists name the same programs

if __name__ == "__main__":
    main()
