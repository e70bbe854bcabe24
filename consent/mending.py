"""Puts rows of uses right that were changed or removed: by the published logs, and by a backup.

Nobody's word is taken for it. A row comes back only if the person's key makes of what it says the very
commitment that the logs published; so what is put right is what was recorded, wherever it came from.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from sqlalchemy import Connection, delete, insert, select

from accounts.vault import Vault
from consent.archive.store import key_of
from consent.archive.tampered import Fault, Finding
from consent.data_use import (
    UseEntry,
    bound,
    data_use,
    entry_of,
    select_entries,
    subject_key,
)
from consent.ledger.canonical import canonical
from consent.use_terms import KnownTerms, id_of, use_terms

MENDABLE = frozenset({Fault.CHANGED, Fault.COMMITMENT, Fault.MISSING, Fault.NO_KEY})


@dataclass(frozen=True)
class Mended:
    """What became of one finding: ``is_mended`` when the row is what was recorded again. ``was`` is the
    commitment that binds what the row said before, None where there was none.
    """

    finding: Finding
    is_mended: bool
    was: bytes | None = None


class Mending:
    """One run, within one transaction; ``backup`` reads an older copy of the database."""

    def __init__(
        self, db: Connection, vault: Vault, known: KnownTerms, backup: Connection | None = None
    ) -> None:
        self._db = db
        self._vault = vault
        self._known = known
        self._backup = backup
        self._keys: dict[tuple[str, int], bytes | None] = {}

    def run(self, findings: Iterable[Finding]) -> Iterator[Mended]:
        """Put right what can be, and say of each finding what became of it. A row that the logs do not
        have goes with whatever else stood at its place, when the right one comes back; else it stays.
        """
        for one in findings:
            key = self._key(one)
            proven = self._proven(one, key) if one.fault in MENDABLE and key else None
            if proven is None or key is None:
                yield Mended(one, is_mended=False)
                continue
            self._put(proven)
            yield Mended(one, True, bound(one.found, key) if one.found else None)

    def terms(self) -> int:
        """Put back what entries have in common where it was changed or removed; return how much. Its id is
        its hash, so what fits is right.
        """
        if self._backup is None:
            return 0
        ours = {row.id: row for row in self._db.execute(select(use_terms))}
        count = 0
        for row in self._backup.execute(select(use_terms)):
            if id_of(row._asdict()) == row.id and ours.get(row.id) != row:
                self._db.execute(delete(use_terms).where(use_terms.c.id == row.id))
                self._db.execute(insert(use_terms).values(row._asdict()))
                count += 1
        return count

    def _proven(self, one: Finding, key: bytes) -> UseEntry | None:
        """Return the entry that the published commitment binds, if it is to be had."""
        if one.published is None:
            return None
        of_backup = self._rows(self._backup, one) if self._backup is not None else iter(())
        for entry in (*([one.found] if one.found else []), *of_backup):
            if bound(entry, key) == one.published:
                return replace(entry, commitment=one.published)
        return None

    @staticmethod
    def _rows(db: Connection, one: Finding) -> Iterator[UseEntry]:
        of_place = (data_use.c.subject_id == one.subject_id, data_use.c.position == one.position)
        yield from (entry_of(row) for row in db.execute(select_entries().where(*of_place)))

    def _key(self, one: Finding) -> bytes | None:
        """Return the person's key of the year; one that is gone comes back if it proves this entry."""
        place = one.subject_id, int(one.month[:4])
        if self._keys.get(place) is None:
            self._keys[place] = key_of(self._db, self._vault, *place)
        if self._keys[place] is None and self._backup is not None:
            found = key_of(self._backup, self._vault, *place)
            if found is not None and self._proven(one, found) is not None:
                sealed = self._vault.seal("use-key", found, context=f"{place[0]}/{place[1]}")
                row = {"subject_id": place[0], "year": place[1], "sealed": sealed}
                self._db.execute(insert(subject_key).values(row))
                self._keys[place] = found
        return self._keys[place]

    def _put(self, entry: UseEntry) -> None:
        use = entry.use
        of_place = (
            data_use.c.subject_id == use.subject_id,
            data_use.c.position == entry.position,
        )
        self._db.execute(delete(data_use).where(*of_place))
        self._db.execute(
            insert(data_use).values(
                at=entry.at,
                terms=self._known.of(self._db, use.common).id,
                position=entry.position,
                subject_id=use.subject_id,
                id=entry.id,
                consent_id=use.consent_id,
                grant_id=use.grant_id,
                correlation=use.correlation,
                commitment=entry.commitment,
                other_party=use.other_party,
                detail=canonical(use.detail).decode() if use.detail else None,
            )
        )
