"""A witness: cosigns a log's checkpoint if nothing of what it saw before was taken back.

Speaks C2SP tlog-witness, for every log of one provider. Of the root log it demands more: each new
epoch must tell those very sizes and roots of the other logs that the witness cosigned. Without that, an
epoch over rewritten logs would be as good as any.
"""

import base64
import binascii
import re
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from consent.cosigners.published import Published
from consent.ledger.checkpoint import Checkpoint
from consent.ledger.epoch import ROOT_LOG, Epoch, Heads, hash_of_all
from consent.ledger.note import NoteError, Signer, VerifierKey
from consent.ledger.tree import (
    EMPTY_ROOT,
    HASH_BYTES,
    Frontier,
    ProofError,
    leaf_hash,
    verify_consistency,
)

GREATEST = 64 * 1024
_MOST_PROOF = 63
_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})", re.ASCII)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS seen (origin TEXT PRIMARY KEY, size INTEGER, root BLOB, note TEXT);
CREATE TABLE IF NOT EXISTS evidence (at INTEGER, origin TEXT, why TEXT, note TEXT, seen TEXT);
CREATE TABLE IF NOT EXISTS log (name TEXT PRIMARY KEY, size INTEGER, root BLOB, peaks BLOB);
"""


@dataclass(frozen=True)
class Answer:
    """What is answered to a submitted checkpoint."""

    status: int
    body: str
    kind: str = "text/plain; charset=utf-8"


class Refused(Exception):  # noqa: N818 - an answer, not a fault
    """The checkpoint is not cosigned; ``is_evidence`` where that says something of the log."""

    def __init__(
        self, status: int, why: str, *, is_evidence: bool = False, body: str | None = None
    ) -> None:
        super().__init__(why)
        self.status = status
        self.why = why
        self.is_evidence = is_evidence
        self.body = body


class Witness:
    """One witness. ``log_key`` has as its name what all the logs' origins begin with."""

    def __init__(
        self,
        signer: Signer,
        log_key: VerifierKey,
        memory: Path | str,
        published: Published,
        clock: Callable[[], int],
    ) -> None:
        self._signer = signer
        self._log_key = log_key
        self._published = published
        self._clock = clock
        self._turn = threading.Lock()
        self._db = sqlite3.connect(memory, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the memory."""
        self._db.close()

    def evidence(self) -> list[tuple[str, str]]:
        """Return what was refused for a reason that speaks against the log: origin and reason."""
        return list(self._db.execute("SELECT origin, why FROM evidence ORDER BY rowid"))

    def add_checkpoint(self, body: bytes) -> Answer:
        """Judge a submitted checkpoint; what is cosigned is remembered before it is answered."""
        try:
            old, proof, checkpoint, note = self._read(body)
        except (ValueError, NoteError):
            return Answer(400, "not understood\n")
        except Refused as refused:
            return Answer(refused.status, f"{refused.why}\n")
        # One at a time: what was seen is compared and replaced in one step.
        with self._turn:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._judge(old, proof, checkpoint)
                self._db.execute(
                    "INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?)",
                    (checkpoint.origin, checkpoint.size, checkpoint.root, note),
                )
                self._db.execute("COMMIT")
            except Refused as refused:
                self._db.execute("ROLLBACK")
                if refused.is_evidence:
                    self._keep(checkpoint, refused.why, note)
                kind = "text/x.tlog.size" if refused.body else Answer.kind
                return Answer(refused.status, refused.body or f"{refused.why}\n", kind)
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
        return Answer(200, self._signer.sign(checkpoint.text, self._clock()))

    def _read(self, body: bytes) -> tuple[int, list[bytes], Checkpoint, str]:
        if len(body) > GREATEST:
            raise ValueError("too long")
        head, _, note = body.decode().partition("\n\n")
        first, *lines = head.split("\n")
        found = _OLD.fullmatch(first)
        if found is None or len(lines) > _MOST_PROOF:
            raise ValueError("not understood")
        try:
            proof = [base64.b64decode(line, validate=True) for line in lines]
        except binascii.Error as error:
            raise ValueError("not understood") from error
        if any(len(one) != HASH_BYTES for one in proof):
            raise ValueError("not understood")
        checkpoint, parsed = Checkpoint.parse(note)
        if not checkpoint.origin.startswith(f"{self._log_key.name}/"):
            raise Refused(404, "no log that is watched here")
        try:
            is_signed, _ = parsed.verify(self._log_key.named(checkpoint.origin))
        except NoteError as error:
            raise Refused(403, "not signed by the log") from error
        if not is_signed:
            raise Refused(403, "not signed by the log")
        if int(found[1]) > checkpoint.size:
            raise ValueError("sizes reversed")
        return int(found[1]), proof, checkpoint, note

    def _judge(self, old: int, proof: list[bytes], checkpoint: Checkpoint) -> None:
        size, root = self._seen(checkpoint.origin)
        if old != size:
            # Where the log has become shorter there is nothing that it could prove.
            raise Refused(
                409, "another size was seen", is_evidence=checkpoint.size < size, body=f"{size}\n"
            )
        if old == checkpoint.size and root != checkpoint.root:
            raise Refused(409, "two roots of one size", is_evidence=True, body=f"{size}\n")
        try:
            verify_consistency(old, checkpoint.size, root, checkpoint.root, proof)
        except ProofError as error:
            raise Refused(422, "not consistent with what was seen", is_evidence=True) from error
        if checkpoint.size > old:
            self._approve(checkpoint.origin.removeprefix(f"{self._log_key.name}/"), old, checkpoint)

    def _approve(self, name: str, old: int, checkpoint: Checkpoint) -> None:
        """Of the root log, check what its new epochs tell of the others."""
        if name != ROOT_LOG:
            return
        heads = self._heads()
        for epoch in self._new_epochs(old, checkpoint):
            for log, (size, _root) in epoch.grown.items():
                if size <= heads.get(log, (0, b""))[0]:
                    raise Refused(422, f"{log} did not grow", is_evidence=True)
            heads.update(epoch.grown)
            if hash_of_all(heads) != epoch.all_logs:
                raise Refused(422, "the list of logs differs", is_evidence=True)
        for log, told in heads.items():
            if self._seen(f"{self._log_key.name}/{log}") != told:
                raise Refused(422, f"{log} is not as it was cosigned", is_evidence=True)
        self._save_heads(heads)

    def _new_epochs(self, old: int, checkpoint: Checkpoint) -> list[Epoch]:
        """Return the epochs since, which must be the ones that the checkpoint signs."""
        try:
            leaves = self._published.epochs(old, checkpoint.size, checkpoint.size)
        except OSError as error:
            raise Refused(503, "the log cannot be read") from error
        except ValueError as error:
            raise Refused(422, "the root log's entries are none", is_evidence=True) from error
        tree = self._tree(ROOT_LOG)
        tree.extend(leaf_hash(leaf) for leaf, _ in leaves)
        if (tree.size, tree.root()) != (checkpoint.size, checkpoint.root):
            raise Refused(422, "the root log's entries are others", is_evidence=True)
        if [epoch.number for _, epoch in leaves] != list(range(old, checkpoint.size)):
            raise Refused(422, "epochs are missing", is_evidence=True)
        self._save_tree(ROOT_LOG, tree)
        return [epoch for _, epoch in leaves]

    def _seen(self, origin: str) -> tuple[int, bytes]:
        query = "SELECT size, root FROM seen WHERE origin = ?"
        row = self._db.execute(query, (origin,)).fetchone()
        return (0, EMPTY_ROOT) if row is None else (row[0], row[1])

    def _tree(self, name: str) -> Frontier:
        query = "SELECT size, peaks FROM log WHERE name = ?"
        size, peaks = self._db.execute(query, (name,)).fetchone() or (0, b"")
        return Frontier(size, [peaks[i : i + HASH_BYTES] for i in range(0, len(peaks), HASH_BYTES)])

    def _save_tree(self, name: str, tree: Frontier) -> None:
        row = (name, tree.size, tree.root(), b"".join(tree.peaks))
        self._db.execute("INSERT OR REPLACE INTO log VALUES (?, ?, ?, ?)", row)

    def _heads(self) -> Heads:
        query = "SELECT name, size, root FROM log WHERE name <> ?"
        return {name: (size, root) for name, size, root in self._db.execute(query, (ROOT_LOG,))}

    def _save_heads(self, heads: Heads) -> None:
        rows = [(name, size, root, b"") for name, (size, root) in heads.items()]
        self._db.executemany("INSERT OR REPLACE INTO log VALUES (?, ?, ?, ?)", rows)

    def _keep(self, checkpoint: Checkpoint, why: str, note: str) -> None:
        query = "SELECT note FROM seen WHERE origin = ?"
        (seen,) = self._db.execute(query, (checkpoint.origin,)).fetchone() or ("",)
        row = (self._clock(), checkpoint.origin, why, note, seen)
        self._db.execute("INSERT INTO evidence VALUES (?, ?, ?, ?, ?)", row)
