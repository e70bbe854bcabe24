"""A witness over its protocol (C2SP tlog-witness): what it answers to what."""

import http.client
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consent.cosigners.published import Published
from consent.cosigners.server import kept_evidence, server
from consent.cosigners.witness import Witness
from consent.cosigning import request
from consent.ledger import tiles
from consent.ledger.checkpoint import Checkpoint
from consent.ledger.note import Kind, Note, Signer, signatures, signed
from consent.ledger.tree import consistency_proof, leaf_hash

NAME = "sen.example/ledger"
LOG = Signer(NAME, Kind.ED25519, Ed25519PrivateKey.generate())
OWN = Signer("w.example", Kind.COSIGNATURE, Ed25519PrivateKey.generate())


def nothing(_path: str, _authorize: Any) -> bytes:
    raise OSError("nothing is there")


@dataclass
class OneLog:
    """A log of its own, which can sign whatever it likes."""

    origin: str = f"{NAME}/entries/2026-11/0"
    size: int = 0
    held: dict[tuple[int, int], bytes] = field(default_factory=dict)

    def read(self, level: int, number: int) -> bytes:
        return self.held.get((level, number), b"")

    def grow(self, *leaves: bytes) -> str:
        changed, tree = tiles.append(self.size, [leaf_hash(leaf) for leaf in leaves], self.read)
        self.held.update(changed)
        self.size = tree.size
        text = Checkpoint(self.origin, tree.size, tree.root()).text
        return signed(text, [LOG.named(self.origin)], 0)

    def proof(self, old: int) -> list[bytes]:
        return consistency_proof(old, self.size, lambda a, b: tiles.hash_in(self.read, a, b))


@pytest.fixture
def witness(tmp_path: Path) -> Iterator[Witness]:
    made = Witness(OWN, LOG.verifier, tmp_path / "memory.db", Published(nothing), lambda: 7)
    yield made
    made.close()


def test_what_continues_is_cosigned_and_remembered(witness: Witness, tmp_path: Path) -> None:
    log = OneLog()
    note = log.grow(b"a", b"b", b"c")
    answer = witness.add_checkpoint(request(0, [], note))
    (line,) = signatures(answer.body)
    assert (answer.status, OWN.verifier.verify(Note.parse(note).text, line.signature)) == (200, 7)
    note = log.grow(b"d", b"e")
    assert witness.add_checkpoint(request(3, log.proof(3), note)).status == 200
    # The same again is confirmed again, with a newer time.
    assert witness.add_checkpoint(request(5, [], note)).status == 200
    late = witness.add_checkpoint(request(3, log.proof(3), note))
    assert (late.status, late.body, late.kind) == (409, "5\n", "text/x.tlog.size")
    # Another process with the same memory goes on from there.
    again = Witness(OWN, LOG.verifier, tmp_path / "memory.db", Published(nothing), lambda: 8)
    assert again.add_checkpoint(request(0, [], note)).body == "5\n"
    again.close()
    assert witness.evidence() == []


def test_what_takes_something_back_is_refused_and_kept(witness: Witness, tmp_path: Path) -> None:
    honest, forged = OneLog(), OneLog()
    assert witness.add_checkpoint(request(0, [], honest.grow(b"a", b"b"))).status == 200
    for note, old, status in (
        (forged.grow(b"x"), 0, 409),
        (forged.grow(b"y"), 2, 409),
        (forged.grow(b"z"), 2, 422),
    ):
        proof = forged.proof(old) if old < forged.size else []
        assert witness.add_checkpoint(request(old, proof, note)).status == status
    assert [why for _, why in witness.evidence()] == [
        "another size was seen", "two roots of one size", "not consistent with what was seen",
    ]  # fmt: skip
    _at, _origin, _why, shown, seen = kept_evidence(tmp_path)[1]
    assert Checkpoint.parse(shown)[0].root != Checkpoint.parse(seen)[0].root
    assert witness.add_checkpoint(request(2, honest.proof(2), honest.grow())).status == 200


def test_what_is_nobodys_or_badly_spelled_is_refused(witness: Witness) -> None:
    log = OneLog()
    note = log.grow(b"a")
    other = Signer(log.origin, Kind.ED25519, Ed25519PrivateKey.generate())
    foreign = OneLog(origin="other.example/log").grow(b"a")
    cases = {
        404: [request(0, [], foreign)],
        403: [
            request(0, [], signed(Note.parse(note).text, [other], 0)),
            request(0, [], note.replace("\n1\n", "\n2\n")),
        ],
        400: [
            b"", b"\xff", b"old 0\n" + note.encode(), request(2, [], note), b"x" * 70_000,
            request(0, [bytes(32)] * 64, note), request(0, [b"short"], note),
            request(0, [], note).replace(b"old 0", b"old 00"),
        ],
    }  # fmt: skip
    for status, bodies in cases.items():
        assert [witness.add_checkpoint(body).status for body in bodies] == [status] * len(bodies)
    assert witness.evidence() == []
    # Of the root log it wants to read what it signs.
    root = OneLog(origin=f"{NAME}/root")
    assert witness.add_checkpoint(request(0, [], root.grow(b"epoch"))).status == 503


def test_it_serves_one_path_and_one_submission_at_a_time(witness: Witness) -> None:
    log = OneLog()
    first, second = log.grow(b"a"), log.grow(b"b")
    serving = server(witness, "127.0.0.1", 0)
    thread = threading.Thread(target=serving.serve_forever, args=(0.05,))
    thread.start()
    answers: list[int] = []

    def send(path: str, body: bytes) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", serving.server_port, timeout=5)
        try:
            connection.request("POST", path, body=body)
            return connection.getresponse().status
        finally:
            connection.close()

    try:
        many = [
            threading.Thread(
                target=lambda n=n: answers.append(send("/add-checkpoint", request(0, [], n)))
            )
            for n in (first, second) * 4
        ]
        for one in many:
            one.start()
        for one in many:
            one.join()
        assert sorted(answers) == [200] + [409] * 7
        assert send("/other", b"") == 404
        assert send("/add-checkpoint", b"x" * 70_000) == 400
    finally:
        serving.shutdown()
        thread.join()
        serving.server_close()
