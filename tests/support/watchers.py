"""Witnesses and map auditors, each with its own key and memory, over loopback or without a network."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consent.cosigners.published import Published
from consent.cosigners.server import ROLES, server
from consent.cosigners.witness import Witness
from consent.cosigning import Cosigning
from consent.ledger.note import Kind, Signer
from consent.ledger.policy import Policy
from idp import ledger
from idp.database import for_reading
from idp.services import Installation

NAMES = ("w1", "w2", "w3", "a1", "a2", "a3")
"""Three of each; two of each make a quorum."""


@dataclass
class Watchers:
    """All of them, and the installation that knows them."""

    installation: Installation
    ones: dict[str, Witness] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)

    def post(self, url: str, body: bytes) -> tuple[int, bytes]:
        """Bring a checkpoint to one of them, as over HTTP."""
        name = (urlsplit(url).hostname or "").partition(".")[0]
        if name in self.down:
            raise OSError("not reachable")
        answer = self.ones[name].add_checkpoint(body)
        return answer.status, answer.body.encode()

    def cosigning(self) -> Cosigning:
        """Return what brings them checkpoints without a network."""
        installation = self.installation
        return Cosigning(
            installation.engine, for_reading(installation.engine), installation.clock,
            ledger.policy(installation), ledger.log_name(installation), self.post,
        )  # fmt: skip

    def evidence(self) -> dict[str, list[str]]:
        """Return why each refused, where that speaks against the log."""
        found = {name: [why for _, why in one.evidence()] for name, one in self.ones.items()}
        return {name: whys for name, whys in found.items() if whys}


def watch(
    installation: Installation,
    fetch: Callable[[str, Any], bytes],
    addresses: dict[str, str] | None = None,
) -> Watchers:
    """Make all of them and let the installation know; ``addresses`` are theirs, by name."""
    clock = lambda: int(installation.clock().timestamp())  # noqa: E731
    log_key = ledger.signers(installation)[0].verifier
    made = Watchers(installation)
    lines = []
    for name in NAMES:
        signer = Signer(f"{name}.example", Kind.COSIGNATURE, Ed25519PrivateKey.generate())
        role = "auditor" if name.startswith("a") else "witness"
        made.ones[name] = ROLES[role](signer, log_key, ":memory:", Published(fetch), clock)
        address = (addresses or {}).get(name, f"https://{name}.example")
        lines.append(f"witness {name} {signer.verifier} {address}\n")
    text = "".join(lines) + (
        "group auditors 2 a1 a2 a3\ngroup witnesses 2 w1 w2 w3\n"
        "group both all auditors witnesses\nquorum both\n"
    )
    installation.settings = replace(installation.settings, ledger_policy=Policy.parse(text))
    ledger.forget_policy(installation)
    return made


@contextmanager
def over_loopback(
    installation: Installation, fetch: Callable[[str, Any], bytes], ports: dict[str, int]
) -> Iterator[Watchers]:
    """Let each of them serve on its port."""
    addresses = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    made = watch(installation, fetch, addresses)
    serving = [server(one, "127.0.0.1", ports[name]) for name, one in made.ones.items()]
    for one in serving:
        threading.Thread(target=one.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield made
    finally:
        for one in serving:
            one.shutdown()
            one.server_close()
        for watching in made.ones.values():
            watching.close()
