"""The log of uses: appending to chains, and reading one.

An entry is written in the transaction that releases the data, and appended to the subject's hash
chain under a lock of the chain's row, so positions have no gaps and heads never fork.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import BytesIO
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import (
    CTE,
    Connection,
    Insert,
    Integer,
    LargeBinary,
    String,
    Text,
    any_,
    bindparam,
    case,
    cast,
    delete,
    insert,
    select,
    true,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import IntegrityError
from sqlalchemy.types import TypeEngine

from accounts.schema import ID_CHANCE, Chance, Clock, UTCDateTime, new_id
from accounts.statements import (
    NeedsTransactionError,
    Statement,
    copy_many,
    given,
    insert_many,
    listed,
    rows_of_lists,
    stands_alone,
)
from accounts.vault import Vault
from consent.data_use import (
    ENTRIES,
    Outcome,
    Recorded,
    Use,
    UseEntry,
    bound,
    content_of,
    data_use,
    entry_of,
    select_entries,
    subject_chain,
    subject_key,
)
from consent.errors import ArchiveError
from consent.ledger import chain, commitment
from consent.ledger.canonical import canonical
from consent.old_uses import Old, OldUses, find_old, old_positions, older_entries
from consent.use_terms import KnownTerms, Terms, use_terms

_SUMMARY_PAGE = 500
_MANY = 500


@dataclass(frozen=True)
class Summary:
    """The one sentence: how many agencies used personal data how many times since ``since``."""

    since: datetime
    agencies: int
    uses: int


class Chain(NamedTuple):
    """The end of a subject's chain, read under a lock of its row."""

    length: int
    head: bytes
    latest_at: datetime
    sealed_key: bytes | None


CHAIN_COLUMNS = (
    subject_chain.c.length.label("chain_length"),
    subject_chain.c.head.label("chain_head"),
    subject_chain.c.latest_at.label("chain_latest_at"),
    subject_key.c.sealed.label("chain_key"),
)
"""What to select, joined by ``KEY_OF_YEAR``, to read a chain together with other rows."""

KEY_OF_YEAR = (subject_key.c.subject_id == subject_chain.c.subject_id) & (
    subject_key.c.year == bindparam("year", type_=Integer)
)


def chain_of(row: Any) -> Chain:
    """Return the chain from a row that holds ``CHAIN_COLUMNS``."""
    return Chain(row.chain_length, row.chain_head, row.chain_latest_at, row.chain_key)


_chain_and_key = Statement(
    select(*CHAIN_COLUMNS)
    .select_from(subject_chain.outerjoin(subject_key, KEY_OF_YEAR))
    .where(subject_chain.c.subject_id == bindparam("subject"))
    .with_for_update(of=subject_chain, key_share=True)
)
_chains_and_keys = Statement(
    select(subject_chain.c.subject_id, *CHAIN_COLUMNS)
    .select_from(subject_chain.outerjoin(subject_key, KEY_OF_YEAR))
    .where(
        subject_chain.c.subject_id == any_(cast(bindparam("these", type_=Text()), ARRAY(String())))
    )
    .order_by(subject_chain.c.subject_id)
    .with_for_update(of=subject_chain, key_share=True),
    plan_kept=True,
)
"""The same of many, on PostgreSQL alone; each is locked in its turn."""
# Named apart from the columns, because the chain's UPDATE shares some of the values.
_append = insert(data_use).values(
    {column.name: bindparam(f"entry_{column.name}", type_=column.type) for column in data_use.c}
)
_advance = (
    update(subject_chain)
    .where(subject_chain.c.subject_id == bindparam("chain"))
    .values(
        length=bindparam("entry_position"),
        head=bindparam("new_head"),
        latest_at=bindparam("entry_at", type_=UTCDateTime),
    )
)
_append_first = Statement(_append)
# PostgreSQL takes both in one round trip.
_append_and_advance = Statement(
    lambda dialect: _advance.add_cte(_append.cte("entry")) if dialect == "postgresql" else _advance
)
# The same for many chains, by a plan that knows nothing of how many: one that does reads all chains there are.
_ENDS: dict[str, TypeEngine[Any]] = {
    "chain": String(), "entry_position": Integer(), "new_head": LargeBinary(),
    "entry_at": UTCDateTime(),
}  # fmt: skip
_advanced = rows_of_lists(_ENDS)
_advance_many = Statement(
    update(subject_chain)
    .where(subject_chain.c.subject_id == _advanced.c.chain)
    .values(
        length=_advanced.c.entry_position,
        head=_advanced.c.new_head,
        latest_at=_advanced.c.entry_at,
    ),
    plan_kept=True,
)


class Condition:
    """What must hold for an entry that is written by a statement of its own.

    ``holds`` gives one row if it does, and may itself write what the entry stands for; all of the
    statement is done, or nothing.
    """

    def __init__(self, holds: CTE, *, writes: bool) -> None:
        self.writes = writes
        self.append = Statement(_append_if(holds, writes=writes), whole=True, apart="chain")


def _append_if(holds: CTE, *, writes: bool) -> Insert:
    """Return the statement that appends an entry where ``holds`` has a row and the chain's length
    is still what was read.

    When another writer was faster nothing is written; where ``holds`` has written already, the
    entry gets no position and the statement fails as a whole. The chain's row is locked before
    the entry is written, as in a transaction with locks.
    """
    advanced = (
        _advance.where(
            subject_chain.c.length == bindparam("entry_position", type_=Integer) - 1,
            select(holds).exists(),
        )
        .returning(subject_chain.c.subject_id)
        .cte("advanced")
    )
    values = [
        case((advanced.c.subject_id.is_not(None), given(column, "entry_")))
        if writes and column is data_use.c.position
        else given(column, "entry_")
        for column in data_use.c
    ]
    origin = holds.outerjoin(advanced, true()) if writes else advanced
    source = select(*values).select_from(origin)
    return insert(data_use).from_select([column.name for column in data_use.c], source)


class UseLog:
    """The log of uses, one chain a subject.

    On a connection without transactions (``accounts.statements.stands_alone``) one entry can be
    written, by one statement that also judges ``only_if``; anything more raises
    ``NeedsTransactionError``, and the caller starts again in a transaction.
    """

    def __init__(
        self,
        db: Connection,
        clock: Clock,
        chance: Chance,
        vault: Vault,
        known: KnownTerms,
        old: Old | None = None,
    ) -> None:
        self._db = db
        self._clock = clock
        self._chance = chance
        self._vault = vault
        self._known = known
        self._old = old
        self._chains: dict[str, Chain] = {}
        self._condition: tuple[Condition, Mapping[str, Any]] | None = None
        self.released: list[Recorded] = []
        """The releases that were written by this object, in order; no refusals."""

    def only_if(self, condition: Condition, values: Mapping[str, Any]) -> None:
        """Let the entry stand alone: written in one statement, if the condition holds then."""
        self._condition = condition, values

    def settle(self) -> None:
        """Raise ``NeedsTransactionError`` if something was to be written along with an entry that
        was never made.
        """
        if self._condition is not None and self._condition[0].writes:
            raise NeedsTransactionError

    def adopt(self, subject_id: str, chain: Chain) -> None:
        """Take a chain that was read under its lock in this transaction with other rows."""
        self._chains[subject_id] = chain

    def record(self, use: Use) -> Recorded:
        """Append a use to its subject's chain and return the entry by its names.

        The chain's row stays locked until the transaction ends, so the release and its entry commit
        together or not at all (consent.md 5.3, invariant 1).
        """
        now, terms = self._clock(), self._known.of(self._db, use.common)
        end = self._chains.get(use.subject_id) or self._locked_chain(use.subject_id, now)
        # Within one chain time never runs backwards, whatever the clocks of two servers say.
        at = max(now, end.latest_at)
        entry_id = new_id(now, self._chance)
        position = end.length + 1
        key, sealed_key = self._key(use.subject_id, at.year, now.year, end.sealed_key)
        row = _values(entry_id, position, at, use, terms, key)
        head = chain.advance(end.head, row["commitment"])
        values = {f"entry_{name}": value for name, value in row.items()}
        values["chain"], values["new_head"] = use.subject_id, head
        if stands_alone(self._db):
            self._append_alone(use, values)
        else:
            if self._db.dialect.name != "postgresql":
                _append_first.change(self._db, values)
            _append_and_advance.change(self._db, values)
        self._chains[use.subject_id] = Chain(position, head, at, sealed_key)
        recorded = _recorded(row, use, terms)
        if use.outcome is Outcome.RELEASED:
            self.released.append(recorded)
        return recorded

    def record_many(self, uses: Sequence[Use]) -> list[Recorded]:
        """Append uses of any subjects in their order, in a few statements; otherwise as ``record``.

        The chains are locked in the order of their subjects' ids, so that two who append many at
        once do not wait for one another.
        """
        if stands_alone(self._db):
            raise NeedsTransactionError
        if not uses:
            return []
        now = self._clock()
        ends = self._lock_many({use.subject_id for use in uses}, now)
        # Whatever asks the database comes before the rows: these are sent while others are made.
        terms = [self._known.of(self._db, use.common) for use in uses]
        keys: dict[str, bytes] = {}
        for subject_id, end in ends.items():
            at = max(now, end.latest_at)
            keys[subject_id], _ = self._key(subject_id, at.year, now.year, end.sealed_key)
            ends[subject_id] = Chain(end.length, end.head, at, end.sealed_key)
        # The kernel is asked once for all that is left to chance.
        chance = BytesIO(self._chance(ID_CHANCE * len(uses))).read
        written: list[Recorded] = []

        def rows() -> Iterator[dict[str, Any]]:
            for use, common in zip(uses, terms, strict=True):
                subject_id = use.subject_id
                length, head, at, sealed_key = ends[subject_id]
                entry_id = new_id(now, chance)
                row = _values(entry_id, length + 1, at, use, common, keys[subject_id])
                head = chain.advance(head, row["commitment"])
                ends[subject_id] = Chain(length + 1, head, at, sealed_key)
                written.append(_recorded(row, use, common))
                yield row

        copy_many(self._db, data_use, rows())
        self._advance_many(ends)
        # Their keys may be new; whoever records one more reads them.
        for subject_id in ends:
            self._chains.pop(subject_id, None)
        pairs = zip(uses, written, strict=True)
        self.released += [one for use, one in pairs if use.outcome is Outcome.RELEASED]
        return written

    def lock(self, subject_id: str) -> None:
        """Lock the subject's chain until the transaction ends."""
        if subject_id not in self._chains:
            self._chains[subject_id] = self._locked_chain(subject_id, self._clock())

    def is_committed(self, recorded: Recorded) -> bool:
        """True when the entry is in the log, for a connection other than the one that wrote it."""
        found = self._db.execute(
            select(data_use.c.commitment).where(
                data_use.c.subject_id == recorded.subject_id,
                data_use.c.position == recorded.position,
                data_use.c.at == recorded.at,
            )
        ).scalar()
        return found == recorded.commitment

    def open_with(self, uses: Sequence[Use]) -> None:
        """Open the chains of new subjects with one entry each, in a few statements.

        A subject that has a chain already makes the whole fail.
        """
        now = self._clock()
        entries, chains, keys = [], [], []
        for use in uses:
            terms = self._known.of(self._db, use.common)
            subject_id, key, entry_id = use.subject_id, self._chance(32), new_id(now, self._chance)
            values = _values(entry_id, 1, now, use, terms, key)
            head = chain.advance(chain.EMPTY, values["commitment"])
            entries.append(values)
            chains.append(
                {
                    "subject_id": subject_id,
                    "length": 1,
                    "head": head,
                    "latest_at": now,
                    "oldest_at": now,
                }
            )
            keys.append(self._sealed(key, subject_id, now.year))
        for table, rows in ((subject_chain, chains), (subject_key, keys), (data_use, entries)):
            insert_many(self._db, table, rows)

    def _append_alone(self, use: Use, values: Mapping[str, Any]) -> None:
        if self._condition is None or use.grant_id is None:
            raise NeedsTransactionError
        condition, more = self._condition
        self._condition = None
        try:
            if condition.append.change(self._db, {**more, **values}) != 1:
                raise NeedsTransactionError
        except IntegrityError as error:
            # Somebody else wrote first; with locks, and in turn, all will be judged anew.
            raise NeedsTransactionError from error

    def of_subject(
        self, subject_id: str, *, before: int | None = None, limit: int = 50
    ) -> list[UseEntry]:
        """Return entries newest first; ``before`` is the position to continue below. A page ends where the
        archive begins: only an empty one is the last.

        Raises:
            ArchiveError: it is of the archive, and a file is missing or damaged.
        """
        query = select_entries().where(data_use.c.subject_id == subject_id)
        if before is not None:
            query = query.where(data_use.c.position < before)
        rows = self._db.execute(query.order_by(data_use.c.position.desc()).limit(limit))
        found = [entry_of(row) for row in rows]
        # The newest never wait for a file.
        return found or list(
            islice(older_entries(self._db, self._old, subject_id, below=before), limit)
        )

    def find(
        self, subject_id: str, position: int, within: tuple[datetime, datetime] | None = None
    ) -> UseEntry | None:
        """Return the entry at a place of a chain, if it is still kept; sooner where it is known that it was
        made from one moment to before another.

        Raises:
            ArchiveError: it is in the archive, and the file is missing or damaged.
        """
        span = (data_use.c.at >= within[0], data_use.c.at < within[1]) if within else ()
        row = self._db.execute(
            select_entries().where(
                data_use.c.subject_id == subject_id, data_use.c.position == position, *span
            )
        ).first()
        if row is not None:
            return entry_of(row)
        return find_old(self._db, self._old, subject_id, position, within)

    def summary(self, subject_id: str, window: timedelta) -> Summary:
        """Count the agencies and uses of personal data within ``window`` before now.

        Within a chain time never runs backwards, so reading it from its end stops in time.
        """
        since = self._clock() - window
        agencies: set[str] = set()
        uses = 0
        before: int | None = None
        while page := self._recent(subject_id, before):
            for row in page:
                if row.at < since:
                    return Summary(since, len(agencies), uses)
                if row.personal and row.outcome == Outcome.RELEASED.value:
                    agencies.add(row.client_id)
                    uses += 1
            before = page[-1].position
        return Summary(since, len(agencies), uses)

    def _recent(self, subject_id: str, before: int | None) -> list[Any]:
        own, shared = data_use.c, use_terms.c
        query = (
            select(own.position, own.at, shared.client_id, shared.personal, shared.outcome)
            .select_from(ENTRIES)
            .where(own.subject_id == subject_id)
        )
        if before is not None:
            query = query.where(own.position < before)
        newest_first = query.order_by(own.position.desc()).limit(_SUMMARY_PAGE)
        return list(self._db.execute(newest_first))

    def is_intact(self, subject_id: str) -> bool:
        """Recompute every commitment and the chain's head from the rows; True when all agree.

        Where entries were removed because their time was over, it begins at the head they left. Of old
        entries whose key is gone the commitments are all there is.
        """
        head_row = self._db.execute(
            select(
                subject_chain.c.length,
                subject_chain.c.head,
                subject_chain.c.removed,
                subject_chain.c.removed_head,
            ).where(subject_chain.c.subject_id == subject_id)
        ).first()
        length, expected, position, begin = (
            (0, chain.EMPTY, 0, None) if head_row is None else head_row
        )
        head = begin or chain.EMPTY
        try:
            for month in self._old_months(subject_id):
                if month.first != position + 1 or not self._is_bound(month):
                    return False
                head, position = chain.fold(month.commitments, head), month.last
        except ArchiveError:
            return False
        rows = self._db.execute(
            select_entries()
            .where(data_use.c.subject_id == subject_id)
            .order_by(data_use.c.position)
        )
        for row in rows:
            position += 1
            entry = entry_of(row)
            key = self._find_key(subject_id, entry.at.year)
            if key is None or row.position != position:
                return False
            if bound(entry, key) != row.commitment:
                return False
            head = chain.advance(head, row.commitment)
        return position == length and head == expected

    def _old_months(self, subject_id: str) -> Iterator[OldUses]:
        """Yield what the archive holds of a chain, oldest first.

        Raises:
            ArchiveError: a file is missing or damaged.
        """
        after, before = old_positions(self._db, subject_id)
        if self._old is not None and before - after > 1:
            yield from self._old.of(subject_id, after=after, before=before, oldest_first=True)

    def _is_bound(self, month: OldUses) -> bool:
        for entry in month.entries or ():
            key = self._find_key(entry.use.subject_id, entry.at.year)
            if key is None or bound(entry, key) != entry.commitment:
                return False
        return True

    def spelled(
        self, subject_id: str, until: int, *, after: int = 0
    ) -> Iterator[tuple[bytes, bytes]]:
        """Yield each entry's salt and canonical spelling, oldest first, after one position and up to
        another: with them anybody can compute its commitment. Nothing is told of what nobody can read.

        Raises:
            ArchiveError: a file of the archive is missing or damaged.
        """
        keys: dict[int, bytes] = {}
        for entry in self._from(subject_id, until, after):
            year = entry.at.year
            if year not in keys:
                # A key that is gone makes the entry say nothing for ever.
                keys[year] = self._find_key(subject_id, year) or bytes(32)
            content = content_of(entry.id, entry.position, entry.at, entry.use)
            yield commitment.salt(keys[year], entry.id), canonical(content)

    def _from(self, subject_id: str, until: int, after: int) -> Iterator[UseEntry]:
        """Yield entries after one position and up to another, oldest first."""
        begun, begin = old_positions(self._db, subject_id)
        if self._old is not None and max(begun, after) + 1 < begin:
            for month in self._old.of(
                subject_id,
                after=max(begun, after),
                before=min(begin, until + 1),
                oldest_first=True,
            ):
                yield from (e for e in month.entries or () if after < e.position <= until)
        of_chain = data_use.c.subject_id == subject_id
        rows = self._db.execute(
            select_entries()
            .where(of_chain, data_use.c.position <= until, data_use.c.position > after)
            .order_by(data_use.c.position)
            .execution_options(yield_per=1000)
        )
        for row in rows:
            yield entry_of(row)

    def begin_of(self, subject_id: str) -> tuple[int, bytes]:
        """Return how many entries at the chain's beginning are gone, and the head after them. Those of
        which the archive holds no more than commitments are gone too.

        Raises:
            ArchiveError: a file of the archive is missing or damaged.
        """
        row = self._db.execute(
            select(subject_chain.c.removed, subject_chain.c.removed_head).where(
                subject_chain.c.subject_id == subject_id
            )
        ).first()
        if row is None:
            return 0, chain.EMPTY
        removed, head = row.removed, row.removed_head or chain.EMPTY
        for month in self._old_months(subject_id):
            if month.entries is not None or month.first != removed + 1:
                break
            removed, head = month.last, chain.fold(month.commitments, head)
        return removed, head

    def purge(self, before: datetime, *, chains: int) -> int:
        """Remove the entries made before the moment, of so many chains at most; return how many.

        Their content and the keys of whole years go; the chain keeps their number and the head after
        the last, so it stays without gaps and verifiable. 0 means that no chain has such entries.

        Raises:
            ArchiveError: older ones are still in the archive, which has to let go of them first.
        """
        removed = 0
        while not removed:
            due = list(
                self._db.execute(
                    select(subject_chain.c.subject_id)
                    .where(subject_chain.c.oldest_at < before)
                    .order_by(subject_chain.c.oldest_at)
                    .limit(chains)
                ).scalars()
            )
            if not due:
                return 0
            removed = sum(self._shorten(subject_id, before) for subject_id in due)
        return removed

    def _shorten(self, subject_id: str, before: datetime) -> int:
        begin = self._db.execute(
            select(subject_chain.c.removed, subject_chain.c.removed_head)
            .where(subject_chain.c.subject_id == subject_id)
            .with_for_update()
        ).one()
        position, head = begin.removed, begin.removed_head or chain.EMPTY
        of_chain = data_use.c.subject_id == subject_id
        if (
            self._old is not None
            and self._has_any(subject_id, before)
            and next(self._old_months(subject_id), None) is not None
        ):
            raise ArchiveError("older uses are still in the archive")
        # Time never runs backwards in a chain, so what is too old is its beginning.
        rows = self._db.execute(
            select(data_use.c.position, data_use.c.commitment)
            .where(of_chain, data_use.c.at < before)
            .order_by(data_use.c.position)
        )
        for row in rows:
            position, head = row.position, chain.advance(head, row.commitment)
        self._db.execute(delete(data_use).where(of_chain, data_use.c.position <= position))
        self._db.execute(
            delete(subject_key).where(
                subject_key.c.subject_id == subject_id, subject_key.c.year < before.year
            )
        )
        oldest = self._db.execute(
            select(data_use.c.at).where(of_chain).order_by(data_use.c.position).limit(1)
        ).scalar()
        self._db.execute(
            update(subject_chain)
            .where(subject_chain.c.subject_id == subject_id)
            # An empty chain's next entry is made now at the earliest.
            .values(removed=position, removed_head=head, oldest_at=oldest or self._clock())
        )
        removed: int = position - begin.removed
        return removed

    def _has_any(self, subject_id: str, before: datetime) -> bool:
        found = select(data_use.c.position).where(
            data_use.c.subject_id == subject_id, data_use.c.at < before
        )
        return self._db.execute(found.limit(1)).first() is not None

    def _lock_many(self, subject_ids: set[str], now: datetime) -> dict[str, Chain]:
        """Lock the subjects' chains, making those that are missing, and return their ends."""
        found: dict[str, Chain] = {}
        rest = sorted(subject_ids)
        while rest:
            some, rest = rest[:_MANY], rest[_MANY:]
            self._read_chains(some, now, found)
            if missing := [one for one in some if one not in found]:
                self._open_chains(missing, now)
                self._read_chains(missing, now, found)
        return found

    def _read_chains(self, subject_ids: list[str], now: datetime, into: dict[str, Chain]) -> None:
        if self._db.dialect.name == "postgresql":
            lists = {"these": listed(subject_ids), "year": now.year}
            into.update((one, Chain(*end)) for one, *end in _chains_and_keys.all(self._db, lists))
            return
        for one in subject_ids:
            row = _chain_and_key.first(self._db, {"subject": one, "year": now.year})
            if row is not None:
                into[one] = chain_of(row)

    def _advance_many(self, ends: Mapping[str, Chain]) -> None:
        if self._db.dialect.name != "postgresql":
            rows = [
                {
                    "chain": subject_id,
                    "entry_position": end.length,
                    "new_head": end.head,
                    "entry_at": end.latest_at,
                }
                for subject_id, end in ends.items()
            ]
            self._db.execute(_advance, rows)
            return
        # One statement with lists: a statement a row, or one with thousands of values, takes
        # several times as long.
        _advance_many.change(
            self._db,
            {
                "chain": listed(ends),
                "entry_position": listed(end.length for end in ends.values()),
                "new_head": listed(rf'"\\x{end.head.hex()}"' for end in ends.values()),
                "entry_at": listed(f'"{end.latest_at.isoformat()}"' for end in ends.values()),
            },
        )

    def _sealed(self, key: bytes, subject_id: str, year: int) -> dict[str, Any]:
        sealed = self._vault.seal("use-key", key, context=f"{subject_id}/{year}")
        return {"subject_id": subject_id, "year": year, "sealed": sealed}

    def _locked_chain(self, subject_id: str, now: datetime) -> Chain:
        arguments = {"subject": subject_id, "year": now.year}
        row = _chain_and_key.first(self._db, arguments)
        if row is None:
            self._open_chains([subject_id], now)
            row = _chain_and_key.first(self._db, arguments)
        return chain_of(row)

    def _key(
        self, subject_id: str, year: int, year_read: int, sealed: bytes | None
    ) -> tuple[bytes, bytes | None]:
        """Return the key of the entry's year, and its sealed form where that is the year read."""
        if sealed is not None and year == year_read:
            return self._opened_key(subject_id, year, sealed), sealed
        found = self._find_key(subject_id, year)
        return (found or self._new_key(subject_id, year)), None

    def _open_chains(self, subject_ids: Iterable[str], now: datetime) -> None:
        dialect = postgresql if self._db.dialect.name == "postgresql" else sqlite
        empty = {"length": 0, "head": chain.EMPTY, "latest_at": now, "oldest_at": now}
        self._db.execute(
            dialect.insert(subject_chain)
            .on_conflict_do_nothing()
            .returning(subject_chain.c.subject_id),
            [{"subject_id": subject_id, **empty} for subject_id in subject_ids],
        ).all()

    def _new_key(self, subject_id: str, year: int) -> bytes:
        key = self._chance(32)
        self._db.execute(insert(subject_key).values(self._sealed(key, subject_id, year)))
        return key

    def _find_key(self, subject_id: str, year: int) -> bytes | None:
        sealed = self._db.execute(
            select(subject_key.c.sealed).where(
                subject_key.c.subject_id == subject_id, subject_key.c.year == year
            )
        ).scalar()
        return None if sealed is None else self._opened_key(subject_id, year, sealed)

    def _opened_key(self, subject_id: str, year: int, sealed: bytes) -> bytes:
        return self._vault.open("use-key", sealed, context=f"{subject_id}/{year}")


def _recorded(row: Mapping[str, Any], use: Use, terms: Terms) -> Recorded:
    return Recorded(
        row["id"], row["subject_id"], row["position"], row["at"], use.client_id, row["commitment"],
        terms.digest,
    )  # fmt: skip


def _values(
    entry_id: str, position: int, at: datetime, use: Use, terms: Terms, key: bytes
) -> dict[str, Any]:
    """Return an entry's row, bound by its commitment."""
    content = content_of(entry_id, position, at, use)
    return {
        "at": at,
        "terms": terms.id,
        "position": position,
        "subject_id": use.subject_id,
        "id": entry_id,
        "consent_id": use.consent_id,
        "grant_id": use.grant_id,
        "correlation": use.correlation,
        "commitment": commitment.commit(canonical(content), commitment.salt(key, entry_id)),
        "other_party": use.other_party,
        "detail": canonical(use.detail).decode() if use.detail else None,
    }
