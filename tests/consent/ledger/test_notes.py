"""Notes, checkpoints, cosignatures and policies, against the specifications' own examples."""

import random

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from consent.ledger.checkpoint import Checkpoint
from consent.ledger.epoch import Epoch
from consent.ledger.note import Kind, Note, NoteError, Signer, VerifierKey, signed
from consent.ledger.policy import Policy, PolicyError

# C2SP tlog-cosignature's example of a checkpoint.
EXAMPLE = """example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==
"""


def make(name: str, kind: Kind) -> Signer:
    seed = random.Random(name).randbytes(32)
    private = (
        MLDSA44PrivateKey.from_seed_bytes(seed)
        if kind is Kind.ML_DSA_44
        else Ed25519PrivateKey.from_private_bytes(seed)
    )
    return Signer(name, kind, private)


LOG = make("sen.example/ledger/root", Kind.ED25519)
SIGNERS = [LOG] + [make(f"w{n}.example", kind) for n, kind in enumerate((Kind.COSIGNATURE,) * 3)]
POLICY = "\n".join(
    [
        f"log {LOG.verifier.named('sen.example/ledger')}",
        *(f"witness {n} {s.verifier}" for n, s in zip("abc", SIGNERS[1:], strict=True)),
        "group auditors all c",
        "group witnesses 1 a b",
        "group both all auditors witnesses",
        "quorum both",
    ]
)


def test_the_examples_of_the_specification_are_read() -> None:
    checkpoint, note = Checkpoint.parse(EXAMPLE)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert checkpoint.text == note.text
    assert [one.name for one in note.signatures] == [checkpoint.origin, "witness.example.com/w1"]
    assert int.from_bytes(note.signatures[1].signature[:8], "big") == 1679315147


# The public keys of signed-note's known example notes, from Go's golang.org/x/mod/sumdb/note.
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETERS_NOTE = """If you think cryptography is the answer to your problem,
then you don't know what your problem is.

— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=
"""


def test_a_note_of_another_implementation_is_verified() -> None:
    assert str(VerifierKey.parse(PETER)) == PETER
    assert Note.parse(PETERS_NOTE).verify(VerifierKey.parse(PETER)) == (True, None)
    with pytest.raises(NoteError):
        Note.parse(PETERS_NOTE.replace("your", "my")).verify(VerifierKey.parse(PETER))


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_of_signature_binds_text_and_time(kind: Kind) -> None:
    signer = make("w.example", kind)
    text = Checkpoint("sen.example/ledger/root", 7, bytes(32)).text
    note = Note.parse(signed(text, [signer], 1_700_000_000))
    time = None if kind is Kind.ED25519 else 1_700_000_000
    assert note.verify(VerifierKey.parse(str(signer.verifier))) == (True, time)
    assert note.verify(make("other.example", kind).verifier) == (False, None)
    longer = Note(Checkpoint("sen.example/ledger/root", 8, bytes(32)).text, note.signatures)
    with pytest.raises(NoteError):
        longer.verify(signer.verifier)
    if kind is not Kind.ED25519:
        (line,) = note.signatures
        later = type(line)(line.name, line.key_id, b"\x01" + line.signature[1:])
        with pytest.raises(NoteError):
            Note(text, (later,)).verify(signer.verifier)


@pytest.mark.parametrize(
    "text", ["", "a\n", "a\n\n", "a\n\n— x y\n", "a\x01\n\n— x AAAAAAA=\n", "a\n\n— x+y AAAAAAA=\n"]
)
def test_what_is_no_note_is_refused(text: str) -> None:
    with pytest.raises(NoteError):
        Note.parse(text)


@pytest.mark.parametrize(
    "body",
    [
        "o\n-1\nAA==",
        "o\n01\nAA==",
        "o\n1\nAA==",
        "o\n1",
        "\n1\n" + "A" * 43 + "=",
        "o\n1\n" + "A" * 43 + "=\nmore",
    ],
)
def test_what_is_no_checkpoint_is_refused(body: str) -> None:
    with pytest.raises(NoteError):
        Checkpoint.parse(f"{body}\n\n— x AAAAAAA=\n")


@pytest.mark.parametrize(
    ("who", "agrees"), [([1, 3], True), ([2, 3], True), ([1, 2], False), ([3], False), ([], False)]
)
def test_a_quorum_counts_witnesses_and_auditors_apart(who: list[int], agrees: bool) -> None:
    policy = Policy.parse(POLICY)
    assert (policy.witnesses, policy.auditors) == ({"a", "b"}, {"c"})
    text = Checkpoint("sen.example/ledger/root", 1, bytes(32)).text
    note = Note.parse(signed(text, [LOG, *(SIGNERS[n] for n in who)], 5))
    standing = policy.standing(note)
    assert standing.is_quorum is agrees
    assert len(standing.witnesses) + len(standing.auditors) == len(who)
    assert policy.is_signed(note, "sen.example/ledger/root")
    assert not policy.is_signed(note, "sen.example/ledgers/root")


@pytest.mark.parametrize(
    "more",
    ["quorum a", "quorum", "group g 3 a b", "group g 1 zed", "group a 1 b", "witness a x+1+y", "word",
     f"witness d {SIGNERS[1].verifier.named('d')}", "group again 1 a", f"witness l {LOG.verifier}"],
)  # fmt: skip
def test_an_ambiguous_policy_is_refused(more: str) -> None:
    with pytest.raises(PolicyError):
        Policy.parse(f"{POLICY}\n{more}")


def test_an_epoch_has_one_spelling() -> None:
    epoch = Epoch(3, 1_700_000_000, bytes(32), {"entries/2026-11/0": (9, bytes(32))}, bytes(32))
    assert Epoch.parse(epoch.leaf) == epoch
    for wrong in (
        epoch.leaf + b"x\n",
        epoch.leaf.replace(b"epoch 3", b"epoch 03"),
        epoch.leaf[:-1],
    ):
        with pytest.raises(ValueError):  # noqa: PT011 - any will do
            Epoch.parse(wrong)
