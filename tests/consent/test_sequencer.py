"""The sequencer: what was committed is in the logs once, in order, and killing it loses nothing."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from accounts.subject import SubjectKind
from consent import sequencer as sequencing
from consent.data_use import Channel, Use, data_use, subject_chain
from consent.ledger import chain, head_map, tiles
from consent.ledger.checkpoint import Checkpoint
from consent.ledger.epoch import ROOT_LOG, Epoch
from consent.ledger.tree import leaf_hash, root_of
from consent.log_state import STREAM, STREAM_BYTES, LogState, ledger_tile
from consent.rebuild import Findings, rebuild
from consent.sequencer import Round, Sequencer
from idp import ledger
from idp.ledger import Keeper
from idp.services import Installation
from tests.support.clock import Clock

USE = Use(
    subject_id="", client_id="portal", channel=Channel.USERINFO, attributes=("sub", "name"),
    purpose="public-service", purpose_version=1, legal_basis="consent", correlation="c" * 32,
)  # fmt: skip
Record = Callable[..., None]


@pytest.fixture
def subjects(installation: Installation) -> list[str]:
    with installation.engine.begin() as db:
        services = installation.services(db)
        return [services.subjects.add(SubjectKind.PERSON) for _ in range(3)]


@pytest.fixture
def record(installation: Installation) -> Record:
    def write(*subject_ids: str) -> None:
        with installation.engine.begin() as db:
            log = installation.services(db).use_log
            for subject_id in subject_ids:
                log.record(replace(USE, subject_id=subject_id))

    return write


@pytest.fixture
def sequencer(installation: Installation) -> Sequencer:
    made = ledger.sequencer(installation)
    made.run_once()  # takes what the cast brought along
    return made


def check(installation: Installation) -> dict[str, int]:
    """Rebuild the logs from their entries as an auditor would; return each chain's length in them."""
    lengths: dict[str, int] = {}
    with installation.engine.begin() as db:
        state, heads = LogState(db), dict[bytes, tuple[int, bytes]]()
        logs = state.logs()
        for name, log in sorted(logs.items()):
            read, entries, whose = state.reading(name), list[bytes](), b""
            for number in range(-(-log.size // tiles.WIDTH)):
                entries += tiles.unbundle(read(tiles.ENTRIES, number))
                whose += read(STREAM, number)
            assert len(entries) == log.size
            assert root_of(map(leaf_hash, entries)) == log.root
            checkpoint, note = Checkpoint.parse(log.checkpoint)
            assert (checkpoint.size, checkpoint.root) == (log.size, log.root)
            assert ledger.policy(installation).is_signed(
                note, f"{ledger.log_name(installation)}/{name}"
            )
            for place, entry in enumerate(entries if whose else []):
                one = whose[place * STREAM_BYTES : (place + 1) * STREAM_BYTES]
                length, head = heads.get(one[:32], (0, chain.EMPTY))
                assert int.from_bytes(one[32:], "big") == length + 1
                heads[one[:32]] = length + 1, chain.advance(head, entry)
            if name == ROOT_LOG:
                epoch = Epoch.parse(entries[-1])
                assert [Epoch.parse(entry).number for entry in entries] == list(range(log.size))
        items: dict[int, list[head_map.Item]] = {}
        for index, (length, head) in sorted(heads.items()):
            items.setdefault(head_map.bucket_of(index), []).append(
                head_map.item(index, length, head)
            )
        hashes = {number: head_map.bucket_hash(found) for number, found in items.items()}
        assert head_map.update(lambda _: {}, hashes)[0] == epoch.map_root
        for subject_id, length, head in db.execute(
            select(subject_chain.c.subject_id, subject_chain.c.length, subject_chain.c.head)
        ):
            found = heads.get(ledger.index_of(installation, subject_id))
            if found is not None:
                lengths[subject_id] = found[0]
                assert found[0] != length or found[1] == head
    return lengths


def test_what_was_committed_is_taken_once_and_in_order(
    installation: Installation,
    subjects: list[str],
    record: Record,
    sequencer: Sequencer,
    clock: Clock,
) -> None:
    a, b, c = subjects
    record(a, b, a)
    assert sequencer.run_once().entries == 3
    assert sequencer.run_once() == Round()
    clock.advance(days=32)
    record(b, a)
    clock.advance(seconds=1)
    record(a)
    done = sequencer.run_once()
    assert (done.entries, done.broken) == (3, frozenset())
    lengths = check(installation)
    assert (lengths[a], lengths[b], lengths.get(c)) == (4, 2, None)
    with installation.engine.begin() as db:
        names = [name for name in LogState(db).logs() if name.startswith("entries/")]
    assert len(names) == 2
    # Another sequencer, as after a restart, finds nothing to do.
    assert ledger.sequencer(installation).run_once().entries == 0


def test_what_commits_late_is_not_overlooked(
    installation: Installation,
    subjects: list[str],
    record: Record,
    sequencer: Sequencer,
    clock: Clock,
) -> None:
    """An entry whose transaction stays open while later ones commit (PostgreSQL; SQLite has one
    writer at a time, so there the second waits for the first).
    """
    a, b, _ = subjects
    if installation.engine.dialect.name == "sqlite":
        record(a)
        record(b)
        assert sequencer.run_once().entries == 2
        return
    with installation.engine.begin() as db:
        installation.services(db).use_log.record(replace(USE, subject_id=a))
        for _ in range(3):
            record(b)
            assert sequencer.run_once().entries == 1
    clock.advance(seconds=1)
    assert sequencer.run_once().entries == 1
    assert check(installation)[a] == 1


def test_the_sweep_finds_what_no_look_at_what_is_new_does(
    installation: Installation,
    subjects: list[str],
    record: Record,
    sequencer: Sequencer,
    clock: Clock,
) -> None:
    """A row that comes at an old place (SQLite), or with an old time (PostgreSQL)."""
    record(subjects[0])
    with installation.engine.begin() as db:
        state = LogState(db)
        before = state.state()
        assert state.advance(
            before, replace(before, row=10**9, moment=clock() + timedelta(hours=1))
        )
    assert sequencer.run_once().entries == 0
    clock.advance(seconds=61)
    assert sequencer.run_once().entries == 1
    assert check(installation)[subjects[0]] == 1


def test_two_sequencers_take_nothing_twice(
    installation: Installation, subjects: list[str], record: Record
) -> None:
    record(*subjects * 5)
    both = [ledger.sequencer(installation) for _ in range(2)]
    done: list[Round] = []
    threads = [threading.Thread(target=lambda one=one: done.append(one.run_once())) for one in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(bool(one.entries) for one in done) == [False, True]
    assert check(installation)[subjects[0]] == 5


@pytest.mark.parametrize("kind", ["sqlite"])
@pytest.mark.parametrize(
    "step", ["advance", "save_tiles", "save_pieces", "save_heads", "save_logs"]
)
def test_a_sequencer_that_is_killed_leaves_no_half_epoch(
    installation: Installation, subjects: list[str], record: Record, sequencer: Sequencer,
    step: str, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """consent.md measure 14: sequencer killed mid-batch."""
    record(*subjects)

    def die(self: LogState, *given: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(LogState, step, die)
        with pytest.raises(KeyboardInterrupt):
            sequencer.run_once()
    assert subjects[0] not in check(installation)
    assert sequencer.run_once().entries == 3
    assert check(installation)[subjects[0]] == 1


def test_many_entries_come_in_batches(
    installation: Installation, subjects: list[str], record: Record, sequencer: Sequencer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(sequencing, "BATCH", 7)
    record(*subjects * 9)
    done = [sequencer.run_once() for _ in range(4)]
    assert [one.entries for one in done] == [7, 7, 7, 6]
    assert [one.is_full for one in done] == [True, True, True, False]
    assert check(installation)[subjects[2]] == 9


def test_a_sweep_goes_on_where_a_full_or_failed_round_left_it(
    installation: Installation, subjects: list[str], record: Record, sequencer: Sequencer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(sequencing, "BATCH", 7)
    monkeypatch.setattr(sequencing, "_CHAINS", 2)
    record(*subjects * 9)
    assert sequencer.run_once().entries == 7

    def die(self: LogState, *given: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(LogState, "save_tiles", die)
        with pytest.raises(KeyboardInterrupt):
            sequencer.run_once()
    record(*subjects)
    taken = 7
    while done := sequencer.run_once().entries:
        taken += done
    lengths = check(installation)
    assert taken == 30
    assert [lengths[one] for one in subjects] == [10, 10, 10]


def test_a_sweep_that_finds_too_many_chains_is_followed_by_another_at_once(
    installation: Installation, subjects: list[str], record: Record, clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(sequencing, "_SWEEP", 1)
    record(*subjects * 3)
    # Made before the first epoch and long ago, on PostgreSQL they are found by a sweep alone.
    clock.advance(hours=1)
    sequencer = ledger.sequencer(installation)
    while sequencer.run_once().entries:
        pass
    lengths = check(installation)
    assert [lengths[one] for one in subjects] == [3, 3, 3]


def test_what_vanished_before_it_was_taken_is_told(
    installation: Installation, subjects: list[str], record: Record, sequencer: Sequencer
) -> None:
    """consent.md measure 14: delete between commit and integration; and a head that was changed."""
    a, b, c = subjects
    record(a, a, b, b, c)
    with installation.engine.begin() as db:
        db.execute(delete(data_use).where(data_use.c.subject_id == a, data_use.c.position == 1))
        changed = update(data_use).values(commitment=bytes(32))
        db.execute(changed.where(data_use.c.subject_id == b, data_use.c.position == 1))
    done = sequencer.run_once()
    assert (done.entries, done.broken) == (2, {a, b})
    assert check(installation)[c] == 1


def test_what_vanished_where_no_room_was_left_for_it_is_told_in_its_turn(
    installation: Installation, subjects: list[str], record: Record, sequencer: Sequencer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(sequencing, "BATCH", 7)
    a, b, _ = subjects
    record(*[a] * 11, *[b] * 2)
    with installation.engine.begin() as db:
        db.execute(delete(data_use).where(data_use.c.subject_id == a, data_use.c.position == 9))
    done = [sequencer.run_once() for _ in range(4)]
    assert [one.broken for one in done].count({a}) >= 1
    assert sum(one.entries for one in done) == 8 + 2
    lengths = check(installation)
    assert (lengths[a], lengths[b]) == (8, 2)


def test_who_has_little_does_not_wait_for_who_has_much(
    installation: Installation, subjects: list[str], record: Record, clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """On PostgreSQL; on SQLite the turn is by place in the table. Either way each is taken once."""
    monkeypatch.setattr(sequencing, "BATCH", 7)
    a, b, _ = subjects
    record(*[a] * 20)
    # Made before the first epoch and long ago, on PostgreSQL they are found by a sweep alone.
    clock.advance(hours=1)
    sequencer = ledger.sequencer(installation)
    sequencer.run_once()
    record(a, b)
    sequencer.run_once()
    if installation.engine.dialect.name == "postgresql":
        assert check(installation)[b] == 1
    while sequencer.run_once().entries:
        pass
    lengths = check(installation)
    assert (lengths[a], lengths[b]) == (21, 1)


def test_what_was_taken_back_is_told(
    installation: Installation,
    subjects: list[str],
    record: Record,
    sequencer: Sequencer,
    clock: Clock,
) -> None:
    record(subjects[0])
    sequencer.run_once()
    with installation.engine.begin() as db:
        db.execute(delete(data_use).where(data_use.c.subject_id == subjects[0]))
        db.execute(
            update(subject_chain)
            .where(subject_chain.c.subject_id == subjects[0])
            .values(length=0, head=chain.EMPTY)
        )
    clock.advance(seconds=61)
    assert sequencer.run_once().broken == {subjects[0]}


@pytest.mark.parametrize("kind", ["sqlite"])
def test_shards_keep_each_chain_in_one_log(
    installation: Installation, subjects: list[str], record: Record
) -> None:
    many = Sequencer(
        installation.engine, installation.engine, installation.clock, ledger.log_name(installation),
        ledger.signers(installation), lambda s: ledger.index_of(installation, s),
        installation.use_receipts, shards=4,
    )  # fmt: skip
    record(*subjects * 3)
    many.run_once()
    with installation.engine.begin() as db:
        assert len([name for name in LogState(db).logs() if name.startswith("entries/")]) > 1
    assert check(installation)[subjects[1]] == 3


@pytest.mark.parametrize("kind", ["sqlite"])
def test_the_logs_can_be_made_anew(
    installation: Installation, subjects: list[str], record: Record, sequencer: Sequencer
) -> None:
    """Invariant 16: rebuilt from rows and tiles; what differs from the signed root is told."""
    record(*subjects * 3)
    sequencer.run_once()

    def run(*, write: bool = False) -> Findings:
        with installation.engine.begin() as db:
            return rebuild(db, lambda s: ledger.index_of(installation, s), write=write)

    assert run() == Findings()
    with installation.engine.begin() as db:
        for statement in (
            "DELETE FROM ledger_piece", "DELETE FROM ledger_head",
            "DELETE FROM ledger_tile WHERE level = 0 AND log = 'root'",
            "DELETE FROM ledger_tile WHERE level = -1 AND log LIKE 'entries/%'",
        ):  # fmt: skip
            db.exec_driver_sql(statement)
    assert run().mended
    assert run(write=True).lost == []
    assert run() == Findings()
    assert check(installation)[subjects[0]] == 3
    with installation.engine.begin() as db:
        flip = update(ledger_tile).values(data=bytes(STREAM_BYTES * 9))
        db.execute(flip.where(ledger_tile.c.level == STREAM))
    assert run(write=True).lost


def test_one_server_keeps_the_logs(
    installation: Installation, subjects: list[str], record: Record
) -> None:
    first, second = Keeper(), Keeper()
    record(*subjects)
    assert first(installation).is_holder
    assert not second(installation).is_holder
    first.close()
    record(*subjects)
    kept = second(installation)
    second.close()
    assert (kept.is_holder, kept.entries) == (True, 3)
    assert check(installation)[subjects[0]] == 2
    with installation.engine.begin() as db:
        said = tiles.unbundle(LogState(db).tile("policy", tiles.ENTRIES, 0))
    assert any(b'"about":"relying-party/portal"' in one for one in said)
    assert any(b'"about":"purpose/banking"' in one for one in said)
