"""The sequencer: takes committed uses into the published logs, and is the only one to write those.

An epoch is one transaction: the entries' leaves, the heads, the map, a leaf of the root log and the
signed checkpoints, or nothing of it. It succeeds only on top of the epoch it was computed on, so two
sequencers at once, or one killed at any moment, can neither lose an entry nor take one twice.

Releases write nothing for it. New rows are found by their place (SQLite, whose one writer makes
places come in the order of commits) or by their time (PostgreSQL, looking back further than the oldest
transaction that is still open); a sweep compares every chain's length with what was taken.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

from sqlalchemy import (
    Connection,
    Engine,
    Integer,
    Select,
    Text,
    bindparam,
    cast,
    func,
    insert,
    literal_column,
    select,
    text,
)
from sqlalchemy.exc import OperationalError
from sqlalchemy.types import TypeEngine

from accounts.schema import Clock, Identifier
from accounts.statements import Statement, listed, rows_of_lists
from consent.data_use import PROVIDER, Channel, Outcome, data_use, subject_chain
from consent.ledger import chain, head_map, tiles
from consent.ledger.checkpoint import Checkpoint
from consent.ledger.epoch import POLICY_LOG, ROOT_LOG, Epoch, Heads, hash_of_all
from consent.ledger.note import Signer, signed
from consent.ledger.tree import leaf_hash
from consent.log_state import STREAM, Head, Log, LogState, State, entry_log, ledger_head
from consent.partitions import summarise
from consent.use_receipts import Integrated, UseReceipts, use_receipt
from consent.use_terms import ReadTerms, SharedTerms

BATCH = 10_000
"""Entries an epoch."""
_CHAINS = 100
"""Chains whose entries are read at once."""
_SWEEP = 100_000
"""Chains that a sweep finds at most: their names are kept in memory until all were taken."""
SKEW = timedelta(seconds=10)
"""So far apart the clocks of an installation's servers may be."""
NEAR_SKEW = timedelta(seconds=1)
"""So far apart they usually are. What is further behind is found when all is looked through again."""
FAR_EVERY = timedelta(seconds=5)
SWEEP_EVERY = timedelta(seconds=60)
# Whatever is SKEW late is there when all of this is looked through for the next time.
_BACK = SKEW + FAR_EVERY

_Tiles = dict[tuple[int, int], bytes]
_use = data_use.c
_columns = (
    _use.subject_id,
    _use.position,
    _use.at,
    _use.commitment,
    _use.id,
    _use.terms,
)


class _Row(NamedTuple):
    """An entry that is not in the logs."""

    subject_id: str
    position: int
    at: datetime
    commitment: bytes
    id: str
    terms: Any


class _Wanted(NamedTuple):
    """The part of a chain that is to be read: after one position, and up to another."""

    subject_id: str
    after: int
    until: int


_WANTED: dict[str, TypeEngine[Any]] = {
    "subject_id": Identifier(), "after": Integer(), "until": Integer(),
}  # fmt: skip


# As other tables have it.
_subject_spelled = func.replace(cast(_use.subject_id, Text), "-", "")


@dataclass(frozen=True)
class Round:
    """What one round came to. ``broken`` are subjects whose committed uses are not there any more, or
    were changed before they were taken; ``is_full`` says that more is waiting.
    """

    entries: int = 0
    epoch: int | None = None
    broken: frozenset[str] = frozenset()
    is_full: bool = False
    oldest: datetime | None = None


@dataclass
class _Batch:
    """What an epoch takes."""

    leaves: dict[str, list[bytes]] = field(default_factory=dict)
    stream: dict[str, list[bytes]] = field(default_factory=dict)
    heads: dict[str, Head] = field(default_factory=dict)
    given: list[tuple[str, int, _Row, SharedTerms]] = field(default_factory=list)
    """What relying parties got: the log, the place among its new leaves, the entry's row and terms."""
    broken: set[str] = field(default_factory=set)
    to_come: list[str] = field(default_factory=list)
    """Whose chains a sweep found, and no room was left for."""
    is_swept: bool = True
    """Whether a sweep saw all chains that grew."""
    entries: int = 0
    oldest: datetime | None = None

    def add(self, log: str, leaf: bytes, whose: bytes = b"") -> None:
        self.leaves.setdefault(log, []).append(leaf)
        if whose:
            self.stream.setdefault(log, []).append(whose)


class Sequencer:
    """Makes epochs. ``name`` is what the origins of all logs begin with, ``index_of`` gives a subject's
    index in the head map; the signers' names are replaced by each log's origin.
    """

    def __init__(
        self,
        engine: Engine,
        reader: Engine,
        clock: Clock,
        name: str,
        signers: Sequence[Signer],
        index_of: Callable[[str], bytes],
        receipts: UseReceipts,
        *,
        shards: int = 1,
    ) -> None:
        self._engine = engine
        self._reader = reader
        self._clock = clock
        self._name = name
        self._signers = signers
        self._index_of = index_of
        self._receipts = receipts
        self._shards = shards
        self._terms = ReadTerms()
        self._swept_at: datetime | None = None
        self._to_come: list[str] = []
        self._looked_far_at: datetime | None = None

    def run_once(self, policies: Mapping[str, bytes] | None = None) -> Round:
        """Take what is committed and not yet taken, and what ``policies`` (texts by their subjects)
        say anew, into one epoch. Nothing new makes no epoch.
        """
        now = self._clock()
        # What a sweep found and could not take comes first: to look through all chains for every few
        # thousand entries would take longer than to take these.
        sweep = not self._to_come and (
            self._swept_at is None or now - self._swept_at >= SWEEP_EVERY
        )
        if sweep:
            self._summarise()
        with self._reader.begin() as db:
            state = LogState(db)
            before = state.state()
            rows, after = self._new_rows(db, before, now)
            batch = self._weigh(db, rows, sweep=sweep)
            is_full = batch.entries >= BATCH
            said = self._say(state, policies or {}, batch)
            if not batch.leaves:
                self._note_sweep(batch, now, sweep=sweep)
                return Round(0, None, frozenset(batch.broken), is_full=False)
            epoch = self._compute(state, before, batch, now)
        after = replace(after, epochs=before.epochs + 1)
        with self._engine.begin() as db:
            if not self._write(db, before, after, batch, epoch, said):
                db.rollback()
                return Round(is_full=True)
        self._note_sweep(batch, now, sweep=sweep)
        return Round(batch.entries, before.epochs, frozenset(batch.broken), is_full, batch.oldest)

    def _note_sweep(self, batch: _Batch, now: datetime, *, sweep: bool) -> None:
        """Note, once it is written, what is left of a sweep; of a round that failed nothing is noted."""
        self._to_come = batch.to_come
        if sweep:
            self._swept_at = now if batch.is_swept else None

    def _summarise(self) -> None:
        """Let PostgreSQL note the times of the blocks that were filled since: without, all that came
        after the last vacuum is read through at each look.
        """
        if self._engine.dialect.name != "postgresql":
            return
        with suppress(OperationalError), self._engine.begin() as db:
            # A vacuum under way does the same.
            db.execute(text("SET LOCAL lock_timeout = '1s'"))
            summarise(db, self._clock())

    def _new_rows(self, db: Connection, state: State, now: datetime) -> tuple[list[_Row], State]:
        query = _waiting().limit(BATCH)
        if db.dialect.name != "postgresql":
            place: Any = literal_column("data_use.rowid")
            found = query.add_columns(place.label("row")).where(place > state.row).order_by(place)
            all_ = db.execute(found).all()
            rows = [_Row(*row[:-1]) for row in all_]
            return rows, replace(state, row=all_[-1].row if all_ else state.row)
        # What a transaction that is still open has written shows up later, with its own time.
        open_for = db.execute(text(_OPEN_FOR)).scalar() or 0.0
        horizon = now - timedelta(seconds=float(open_for)) - _BACK
        if state.moment is None:
            # All that was there before the first epoch is the sweep's, chain by chain.
            return [], replace(state, moment=horizon)
        db.execute(text("SET LOCAL enable_seqscan = on"))
        # Most rounds would read the same seconds again; how far back is the whole of it matters only
        # where clocks differ.
        is_far = self._looked_far_at is None or now - self._looked_far_at >= FAR_EVERY
        if is_far:
            self._looked_far_at = now
        since = state.moment if is_far else state.moment + _BACK - NEAR_SKEW
        query = query.where(_use.at >= since)
        rows = _rows(db, query.order_by(_use.at, _use.subject_id, _use.position))
        # A full batch may end before the horizon.
        end = rows[-1].at - _BACK if len(rows) >= BATCH else horizon
        return rows, replace(state, moment=min(end, horizon))

    def _swept(self, db: Connection) -> tuple[set[str], set[str]]:
        """Return whose chains are longer than what was taken of them, and whose are not the ones that
        were taken any more.
        """
        joined = subject_chain.outerjoin(
            ledger_head, ledger_head.c.subject_id == subject_chain.c.subject_id
        )
        taken = func.coalesce(ledger_head.c.length, 0)
        is_shorter = subject_chain.c.length < taken
        differs = (subject_chain.c.length == taken) & (subject_chain.c.head != ledger_head.c.head)
        found = select(subject_chain.c.subject_id).select_from(joined)
        longer = db.execute(found.where(subject_chain.c.length > taken).limit(_SWEEP)).scalars()
        broken = db.execute(found.where(is_shorter | differs)).scalars()
        return set(longer), set(broken)

    def _weigh(self, db: Connection, rows: list[_Row], *, sweep: bool) -> _Batch:
        """Take each subject's entries in the order of the chain; leave alone what has gaps."""
        batch = _Batch()
        longer, broken = self._swept(db) if sweep else (set[str](), set[str]())
        batch.is_swept = not sweep or len(longer) < _SWEEP
        batch.broken |= broken
        heads: dict[str, Head] = {}
        chains: dict[str, Any] = {}
        # Of whom a sweep found earlier entries, these are not the next.
        to_come = set(self._to_come)
        rows = [row for row in rows if row.subject_id not in to_come]
        self._read_ends(db, {row.subject_id for row in rows}, heads, chains)
        longer |= self._take(db, batch, heads, chains, rows)
        # What the rows seen do not begin with is looked for at its place in the chains.
        rest = [*sorted(longer - batch.broken), *self._to_come]
        while rest and batch.entries < BATCH:
            some, rest = rest[:_CHAINS], rest[_CHAINS:]
            self._read_ends(db, set(some).difference(heads), heads, chains)
            wanted, room = list[_Wanted](), BATCH - batch.entries
            for one in some:
                taken = heads[one].length
                until = min(chains[one].length, taken + room)
                if until > taken:
                    wanted.append(_Wanted(one, taken, until))
                    room -= until - taken
            self._take(db, batch, heads, chains, _parts_of(db, wanted))
            # The ends were read before the rows, so all of these have been there.
            batch.broken |= {one for one, _, until in wanted if heads[one].length < until}
            left = [one for one in some if heads[one].length < chains[one].length]
            rest = [*(one for one in left if one not in batch.broken), *rest]
        batch.to_come = rest
        return batch

    def _read_ends(
        self,
        db: Connection,
        subjects: set[str],
        heads: dict[str, Head],
        chains: dict[str, Any],
    ) -> None:
        known = LogState(db).heads_of(subjects)
        heads |= {one: known.get(one) or self._new_head(one) for one in subjects}
        chains |= _chains_of(db, subjects)

    def _take(
        self,
        db: Connection,
        batch: _Batch,
        heads: dict[str, Head],
        chains: dict[str, Any],
        rows: list[_Row],
    ) -> set[str]:
        """Take those of the rows that are their chains' next, in their order; return of whose chains
        something is missing before a row.
        """
        stuck: set[str] = set()
        for subject_id, run in groupby(rows, attrgetter("subject_id")):
            head, end = heads[subject_id], chains.get(subject_id)
            shard = int.from_bytes(head.index[-4:], "big") % self._shards
            length, hash_ = head.length, head.head
            for row in run:
                _, position, at, commitment, _, terms_id = row
                if position <= length:
                    continue
                if subject_id in batch.broken:
                    break
                if position != length + 1 or end is None or position > end.length:
                    stuck.add(subject_id)
                    break
                after = chain.advance(hash_, commitment)
                terms = self._terms.of(db, terms_id)
                if terms is None or (position == end.length and after != end.head):
                    batch.broken.add(subject_id)
                    break
                length, hash_ = position, after
                log = entry_log(at, shard)
                if terms.client_id != PROVIDER and terms.outcome == Outcome.RELEASED.value:
                    batch.given.append((log, len(batch.leaves.get(log, ())), row, terms))
                batch.add(log, commitment, head.index + position.to_bytes(4, "big"))
                batch.oldest = min(batch.oldest or at, at)
            if length > head.length:
                batch.entries += length - head.length
                heads[subject_id] = batch.heads[subject_id] = Head(
                    subject_id, head.bucket, head.index, length, hash_
                )
        return stuck

    def _new_head(self, subject_id: str) -> Head:
        index = self._index_of(subject_id)
        return Head(subject_id, head_map.bucket_of(index), index, 0, chain.EMPTY)

    def _say(
        self, state: LogState, policies: Mapping[str, bytes], batch: _Batch
    ) -> dict[str, bytes]:
        if not policies:
            return {}
        known = state.published()
        digests = {name: sha256(said).digest() for name, said in sorted(policies.items())}
        new = {name: digest for name, digest in digests.items() if known.get(name) != digest}
        for name in new:
            batch.add(POLICY_LOG, policies[name])
        return new

    def _compute(self, state: LogState, before: State, batch: _Batch, now: datetime) -> "_Epoch":
        logs, seconds = state.logs(), int(now.timestamp())
        made = _Epoch()
        made.receipts = self._receipts.rows(_receipted(batch, logs), before.epochs, now)
        grows = (logs[name] for name in (*batch.leaves, ROOT_LOG) if name in logs)
        edges = defaultdict[str, _Tiles](dict, state.edges(grows))
        for name, leaves in sorted(batch.leaves.items()):
            self._grow(made, logs.get(name), name, leaves, edges[name], seconds)
            made.append_bytes(name, STREAM, logs.get(name), batch.stream.get(name, []), edges[name])
        changed = {head.index: head for head in batch.heads.values()}
        buckets: dict[int, list[Head]] = {head.bucket: [] for head in changed.values()}
        for head in state.heads_in(buckets):
            if head.index not in changed:
                buckets[head.bucket].append(head)
        for head in changed.values():
            buckets[head.bucket].append(head)
        hashes = {
            bucket: head_map.bucket_hash([h.item for h in sorted(heads, key=lambda h: h.index)])
            for bucket, heads in buckets.items()
        }
        map_root, made.pieces = head_map.update(state.pieces, hashes)
        everything: Heads = {n: (log.size, log.root) for n, log in logs.items() if n != ROOT_LOG}
        grown: Heads = {name: (log.size, log.root) for name, log in made.logs.items()}
        leaf = Epoch(
            before.epochs, seconds, map_root, grown, hash_of_all({**everything, **grown})
        ).leaf
        self._grow(made, logs.get(ROOT_LOG), ROOT_LOG, [leaf], edges[ROOT_LOG], seconds)
        return made

    def _grow(
        self,
        made: "_Epoch",
        log: Log | None,
        name: str,
        leaves: list[bytes],
        edge: _Tiles,
        seconds: int,
    ) -> None:
        size = log.size if log else 0
        changed, tree = tiles.append(
            size,
            [leaf_hash(leaf) for leaf in leaves],
            lambda level, number: edge.get((level, number), b""),
        )
        made.tiles[name] = changed
        made.append_bytes(name, tiles.ENTRIES, log, [tiles.bundle([e]) for e in leaves], edge)
        made.logs[name] = Log(
            name,
            tree.size,
            tree.root(),
            self.sign(Checkpoint(f"{self._name}/{name}", tree.size, tree.root()), seconds),
            log.cosigned if log else None,
        )

    def sign(self, checkpoint: Checkpoint, seconds: int) -> str:
        """Return the checkpoint signed with every key of the log."""
        signers = [signer.named(checkpoint.origin) for signer in self._signers]
        return signed(checkpoint.text, signers, seconds)

    def _write(
        self,
        db: Connection,
        before: State,
        after: State,
        batch: _Batch,
        epoch: "_Epoch",
        said: dict[str, bytes],
    ) -> bool:
        state = LogState(db)
        if not state.advance(before, after):
            return False
        state.save_tiles(epoch.tiles)
        state.save_pieces(epoch.pieces)
        state.save_heads(batch.heads.values())
        state.save_logs(list(epoch.logs.values()))
        state.save_published(said)
        if epoch.receipts:
            db.execute(insert(use_receipt), epoch.receipts)
        return True


@dataclass
class _Epoch:
    """What an epoch writes."""

    logs: dict[str, Log] = field(default_factory=dict)
    tiles: dict[str, _Tiles] = field(default_factory=dict)
    pieces: dict[tuple[int, int], bytes] = field(default_factory=dict)
    receipts: list[dict[str, Any]] = field(default_factory=list)

    def append_bytes(
        self, name: str, level: int, log: Log | None, items: list[bytes], edge: _Tiles
    ) -> None:
        """Append items, 256 to a tile, that are not hashes; ``edge`` are the log's tiles that are not full."""
        place = log.size if log else 0
        while items:
            number, held = divmod(place, tiles.WIDTH)
            taken, items = items[: tiles.WIDTH - held], items[tiles.WIDTH - held :]
            begin = edge.get((level, number), b"") if held else b""
            self.tiles[name][level, number] = begin + b"".join(taken)
            place += len(taken)


def _receipted(batch: _Batch, logs: Mapping[str, Log]) -> dict[str, list[Integrated]]:
    """Return what relying parties got, by who they are, with each entry's place in its log."""
    found: dict[str, list[Integrated]] = {}
    for log, place, row, terms in batch.given:
        size = logs[log].size if log in logs else 0
        found.setdefault(terms.client_id, []).append(
            Integrated(
                row.id,
                row.at,
                terms.channel,
                row.commitment,
                terms.digest,
                log,
                size + place,
                terms.personal and terms.channel != Channel.RP_REPORTED.value,
            )
        )
    return found


def waiting(db: Connection) -> int:
    """Return how many chains have uses that are not in the logs yet."""
    joined = subject_chain.outerjoin(
        ledger_head, ledger_head.c.subject_id == subject_chain.c.subject_id
    )
    longer = subject_chain.c.length > func.coalesce(ledger_head.c.length, 0)
    return db.execute(select(func.count()).select_from(joined).where(longer)).scalar_one()


def oldest_waiting(db: Connection) -> datetime | None:
    """Return when the oldest use was made that is not in the logs yet."""
    taken = func.coalesce(ledger_head.c.length, 0)
    found: datetime | None = db.execute(
        select(_use.at)
        .select_from(
            subject_chain.outerjoin(
                ledger_head, ledger_head.c.subject_id == subject_chain.c.subject_id
            ).join(
                data_use,
                (_use.subject_id == cast(subject_chain.c.subject_id, Identifier))
                & (_use.position > taken),
            )
        )
        .where(subject_chain.c.length > taken)
        .order_by(_use.at)
        .limit(1)
    ).scalar()
    return found


def _parts(dialect: str) -> Select[Any]:
    """Return the query for parts of chains, in the order of each: of one, and on PostgreSQL of many."""
    wanted: Any = (
        rows_of_lists(_WANTED)
        if dialect == "postgresql"
        else select(*(bindparam(*one).label(one[0]) for one in _WANTED.items())).subquery()
    )
    is_wanted = (
        (_use.subject_id == wanted.c.subject_id)
        & (_use.position > wanted.c.after)
        & (_use.position <= wanted.c.until)
    )
    found = select(*_columns).select_from(wanted.join(data_use, is_wanted))
    return found.order_by(_use.subject_id, _use.position)


_read_parts = Statement(_parts)


def _parts_of(db: Connection, wanted: Sequence[_Wanted]) -> list[_Row]:
    """Return the entries of parts of chains, chain by chain."""
    if db.dialect.name != "postgresql":
        return [row for one in wanted for row in _read_parts.all(db, one._asdict())]
    lists = {name: listed(one[n] for one in wanted) for n, name in enumerate(_Wanted._fields)}
    return _read_parts.all(db, lists)


def _rows(db: Connection, query: Select[Any]) -> list[_Row]:
    return [_Row(*row) for row in db.execute(query).all()]


def _waiting() -> Select[Any]:
    """Return the query for entries that are not in the logs."""
    joined = data_use.outerjoin(ledger_head, ledger_head.c.subject_id == _subject_spelled)
    taken = func.coalesce(ledger_head.c.length, 0)
    return select(*_columns).select_from(joined).where(_use.position > taken)


def _chains_of(db: Connection, subject_ids: set[str]) -> dict[str, Any]:
    """Return the chains' ends, by subject."""
    columns = (subject_chain.c.subject_id, subject_chain.c.length, subject_chain.c.head)
    found: dict[str, Any] = {}
    rest = sorted(subject_ids)
    while rest:
        some, rest = rest[:500], rest[500:]
        query = select(*columns).where(subject_chain.c.subject_id.in_(some))
        found |= {row.subject_id: row for row in db.execute(query).all()}
    return found


_OPEN_FOR = """
SELECT EXTRACT(EPOCH FROM now() - min(xact_start))
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
  AND (backend_xid IS NOT NULL OR wait_event_type = 'Lock')
"""
