"""The demo's two witnesses and two map auditors: on this machine, but each a process with its own key."""

from collections.abc import Callable, Iterator
from pathlib import Path

WITNESSES = ("witness-1", "witness-2")
AUDITORS = ("auditor-1", "auditor-2")
PORTS = dict(zip((*WITNESSES, *AUDITORS), range(8121, 8125), strict=True))
POLICY = "ledger-policy"
_LOG_KEY = "ledger-key"

Sen = Callable[..., str]
"""Runs a `sen` command and returns what it told."""


def prepare(folder: Path, sen: Sen) -> None:
    """Make their keys at the first start, and the policy by which the provider knows them."""
    if (folder / POLICY).exists():
        return
    lines = []
    for name, port in PORTS.items():
        key = sen(_program(name), str(folder / name), "--name", f"{name}.demo").strip()
        lines.append(f"witness {name} {key} http://127.0.0.1:{port}\n")
    lines += [
        f"group auditors all {' '.join(AUDITORS)}\n",
        f"group witnesses all {' '.join(WITNESSES)}\n",
        "group both all auditors witnesses\n",
        "quorum both\n",
    ]
    # The provider's own key comes first; what is known of it is given to those who watch.
    first = sen("ledger", "policy").splitlines()[0]
    (folder / _LOG_KEY).write_text(first.split()[1], "ascii")
    new = folder / f"{POLICY}.new"
    new.write_text("".join(lines), "utf-8")
    new.replace(folder / POLICY)


def commands(folder: Path, issuer: str) -> Iterator[tuple[str, int, list[str]]]:
    """Yield each one's name, port and command: nothing of the provider is loaded to watch it."""
    key = (folder / _LOG_KEY).read_text("ascii")
    for name, port in PORTS.items():
        yield name, port, [
            "consent.cosigners.commands", _program(name), str(folder / name),
            "--name", f"{name}.demo",
            "--log-key", key, "--log-url", f"{issuer}/ledger", "--bind", f"127.0.0.1:{port}",
        ]  # fmt: skip


def _program(name: str) -> str:
    return "witness" if name in WITNESSES else "auditor"
