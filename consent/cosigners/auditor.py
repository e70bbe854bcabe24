"""A map auditor: cosigns an epoch only if replaying the logs leads to the very head map it tells.

A witness sees that no log was rewritten, but not whether the map counts each entry for whom it is. The
auditor folds every entry onto its pseudonym's chain (48 bytes each), keeps one head a pseudonym, and
compares the map's root. An entry dropped from one person's head alone is found here and nowhere else.
"""

from collections.abc import Callable, Iterable
from pathlib import Path

from consent.cosigners.published import Published
from consent.cosigners.witness import Refused, Witness
from consent.ledger import chain, head_map
from consent.ledger.checkpoint import Checkpoint
from consent.ledger.epoch import POLICY_LOG, ROOT_LOG, Epoch, hash_of_all
from consent.ledger.note import Signer, VerifierKey
from consent.ledger.request import authorization
from consent.ledger.tree import leaf_hash

_SCHEMA = """
CREATE TABLE IF NOT EXISTS head (
  bucket INTEGER, idx BLOB, length INTEGER, head BLOB, PRIMARY KEY (bucket, idx)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS piece (
  level INTEGER, number INTEGER, data BLOB, PRIMARY KEY (level, number));
"""
_Head = tuple[int, bytes]


class Auditor(Witness):
    """One auditor. It is brought the root log's checkpoints alone, and reads the rest."""

    def __init__(
        self,
        signer: Signer,
        log_key: VerifierKey,
        memory: Path | str,
        published: Published,
        clock: Callable[[], int],
    ) -> None:
        super().__init__(signer, log_key, memory, published, clock)
        self._db.executescript(_SCHEMA)

    def _approve(self, name: str, old: int, checkpoint: Checkpoint) -> None:
        if name != ROOT_LOG:
            raise Refused(404, "auditors are brought the root log alone")
        epochs = self._new_epochs(old, checkpoint)
        last = {log: size for epoch in epochs for log, (size, _) in epoch.grown.items()}
        try:
            for epoch in epochs:
                self._replay(epoch, last)
        except OSError as error:
            raise Refused(503, "the log cannot be read") from error
        except ValueError as error:
            raise Refused(422, "the logs hold less than was signed", is_evidence=True) from error

    def _replay(self, epoch: Epoch, last: dict[str, int]) -> None:
        heads: dict[bytes, _Head] = {}
        for log, (size, root) in sorted(epoch.grown.items()):
            tree = self._tree(log)
            begin = tree.size
            entries = self._published.entries(log, begin, size, last[log])
            tree.extend(map(leaf_hash, entries))
            if tree.root() != root:
                raise Refused(422, f"{log}: the entries are others", is_evidence=True)
            self._save_tree(log, tree)
            if log != POLICY_LOG:
                whose = self._published.whose(log, begin, size, last[log], self._authorize)
                self._fold(heads, zip(whose, entries, strict=True))
        if hash_of_all(self._heads()) != epoch.all_logs:
            raise Refused(422, "the list of logs differs", is_evidence=True)
        if self._map_root(heads) != epoch.map_root:
            raise Refused(422, "the map is not what the logs lead to", is_evidence=True)

    def _fold(
        self, heads: dict[bytes, _Head], uses: Iterable[tuple[tuple[bytes, int], bytes]]
    ) -> None:
        for (index, position), commitment in uses:
            length, head = heads.get(index) or self._head(index)
            if position != length + 1:
                raise Refused(422, "a chain has a gap", is_evidence=True)
            heads[index] = position, chain.advance(head, commitment)

    def _head(self, index: bytes) -> _Head:
        query = "SELECT length, head FROM head WHERE bucket = ? AND idx = ?"
        found = self._db.execute(query, (head_map.bucket_of(index), index)).fetchone()
        return found or (0, chain.EMPTY)

    def _map_root(self, heads: dict[bytes, _Head]) -> bytes:
        rows = [(head_map.bucket_of(i), i, length, head) for i, (length, head) in heads.items()]
        self._db.executemany("INSERT OR REPLACE INTO head VALUES (?, ?, ?, ?)", rows)
        buckets = {}
        for bucket in {row[0] for row in rows}:
            query = "SELECT idx, length, head FROM head WHERE bucket = ? ORDER BY idx"
            items = [head_map.item(*found) for found in self._db.execute(query, (bucket,))]
            buckets[bucket] = head_map.bucket_hash(items)
        root, pieces = head_map.update(self._pieces, buckets)
        self._db.executemany(
            "INSERT OR REPLACE INTO piece VALUES (?, ?, ?)",
            [(level, number, data) for (level, number), data in pieces.items()],
        )
        return root

    def _pieces(self, places: Iterable[head_map.Place]) -> dict[head_map.Place, bytes]:
        found = {}
        for place in places:
            query = "SELECT data FROM piece WHERE level = ? AND number = ?"
            row = self._db.execute(query, place).fetchone()
            if row is not None:
                found[place] = row[0]
        return found

    def _authorize(self, path: str) -> str:
        return authorization(self._signer, path, self._clock())
