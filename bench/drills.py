"""Tamper drills: somebody with every right on the database, and where it says so with the log's own key,
changes the record; then it is told who notices.

    .venv/bin/python -m bench.drills [--clean RUNS] [NAME…]

Parties: ``fresh``, a citizen who verifies a proof for the first time, ``back``, one who kept an older
proof, the ``witness`` and the ``auditor`` of the logs, ``check``, the provider's own jobs (the
sequencer's alarm and ``sen ledger check``), which help against faults and outsiders only, ``daily``, the
reconciliation with what registers and relying parties hold, and ``opening``, an audit that draws entries.
"""

import argparse
import json
import secrets
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, delete, insert, select, update

from accounts.base64url import base64url
from accounts.subject import IdentifierType, SubjectKind
from bench.forging import forge
from consent import sequencer as sequencing
from consent.cosigners.opening import Audit, AuditError
from consent.cosigners.published import Published
from consent.cosigners.server import ROLES
from consent.cosigners.witness import Witness
from consent.cosigning import Cosigning
from consent.data_use import Channel, Recorded, Use, data_use, subject_chain
from consent.ledger import chain, commitment, head_map, tiles, verify
from consent.ledger.checkpoint import Checkpoint
from consent.ledger.epoch import ROOT_LOG, Epoch, hash_of_all
from consent.ledger.note import Kind, NoteError, Signer, signed
from consent.ledger.opening import MOST_ENTRIES, Terms
from consent.ledger.policy import Policy
from consent.ledger.request import authorization
from consent.ledger.tree import HASH_BYTES, leaf_hash
from consent.log_state import STREAM, STREAM_BYTES, Head, Log, LogState, ledger_head, ledger_tile
from consent.opening_audits import OpeningAudits
from consent.rebuild import rebuild
from consent.reconciliation import Reconciliations
from consent.sequencer import Sequencer
from consent.use_receipts import KeptReceipts
from consent.use_terms import use_terms
from idp import ledger, proof
from idp.database import for_reading, upgrade
from idp.opening import open_drawn
from idp.services import Installation, prepare_keys
from idp.settings import Settings

NAMES = ("w1", "w2", "w3", "a1", "a2", "a3")
PARTIES = ("fresh", "back", "witness", "auditor", "check", "daily", "opening")
BEYOND_LOGS = frozenset({"daily", "opening"})
"""Who notices what no log can show."""
PEOPLE = 4
USES = 5
_USE = Use(
    subject_id="", client_id="portal", channel=Channel.USERINFO, attributes=("sub", "name"),
    purpose="public-service", purpose_version=1, legal_basis="consent", correlation="c" * 32,
)  # fmt: skip
Bundle = dict[str, Any]


class Base:
    """An installation with people, uses and confirmed epochs, to be copied for every drill."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.secret = secrets.token_bytes(48)
        self.signers = {
            name: Signer(f"{name}.example", Kind.COSIGNATURE, Ed25519PrivateKey.generate())
            for name in NAMES
        }
        self.people: list[str] = []
        self.numbers: set[str] = set()
        """Whom the population register knows."""
        self.held: list[Recorded] = []
        """What relying parties were told of by now."""
        folder.mkdir(parents=True)
        with self.opened(folder) as place:
            upgrade(place.installation.engine)
            prepare_keys(place.installation)
            with place.write() as db:
                subjects = place.installation.services(db).subjects
                self.people += [subjects.add(SubjectKind.PERSON) for _ in range(PEOPLE)]
                for nth, person in enumerate(self.people):
                    number = f"99919000{nth:04}"
                    subjects.identify(person, IdentifierType.PERSONAL_NUMBER, number, "seed")
                    self.numbers.add(number)
            for _ in range(USES):
                place.use(*self.people)
                place.turn()
            self.older = place.bundle(self.people[0])
            place.use(*self.people)
            place.turn()
            self.held = place.held

    @contextmanager
    def opened(self, folder: Path) -> Iterator["Place"]:
        place = Place(self, folder)
        try:
            yield place
        finally:
            place.close()

    @contextmanager
    def copied(self) -> Iterator["Place"]:
        with tempfile.TemporaryDirectory(dir=self.folder.parent) as name:
            folder = Path(name) / "copy"
            shutil.copytree(self.folder, folder)
            with self.opened(folder) as place:
                yield place


class Place:
    """One copy: the provider, everybody who watches it, and one citizen whose record is attacked."""

    def __init__(self, base: Base, folder: Path) -> None:
        self.base = base
        self.folder = folder
        self.now = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
        latest = folder / "now"
        if latest.exists():
            self.now = datetime.fromisoformat(latest.read_text())
        self.watchers: dict[str, Witness] = {}
        self.refused: dict[str, str] = {}
        self.broken: set[str] = set()
        self.installation = Installation(
            Settings(
                issuer="https://id.example",
                database_url=f"sqlite:///{folder / 'sen.db'}",
                data_dir=folder,
                secret=base.secret,
                ledger_policy=_policy(base.signers),
            ),
            clock=lambda: self.now,
        )
        self.sequencer: Sequencer | None = None
        self.held = list(base.held)
        self.answered: list[str] = []
        """Under which commitments the population register answered."""

    @property
    def victim(self) -> str:
        return self.base.people[0]

    @property
    def other(self) -> str:
        return self.base.people[1]

    def close(self) -> None:
        (self.folder / "now").write_text(self.now.isoformat())
        for one in self.watchers.values():
            one.close()
        self.installation.engine.dispose()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        with self.installation.engine.begin() as db:
            yield db

    def use(self, *subjects: str, client_id: str = "portal") -> None:
        """Let data be released, a second later."""
        self.now += timedelta(seconds=1)
        with self.write() as db:
            log = self.installation.services(db).use_log
            for subject_id in subjects:
                use = replace(_USE, subject_id=subject_id, client_id=client_id)
                self.held.append(log.record(use))

    def take(self) -> None:
        """Let the sequencer run, with its sweep."""
        self.now += timedelta(seconds=61)
        self.sequencer = self.sequencer or ledger.sequencer(self.installation)
        self.broken |= self.sequencer.run_once().broken

    def confirm(self) -> None:
        """Bring the newest checkpoints to everybody who watches."""
        installation = self.installation
        self.refused = Cosigning(
            installation.engine, for_reading(installation.engine), installation.clock,
            ledger.policy(installation), ledger.log_name(installation), self._post,
        ).gather().refused  # fmt: skip

    def turn(self) -> None:
        self.take()
        self.confirm()

    def bundle(self, subject_id: str) -> Bundle:
        file = BytesIO()
        proof.write(self.installation, subject_id, file, patience=0)
        found: Bundle = json.loads(file.getvalue())
        return found

    def caught(self, bundle: Bundle | None = None) -> dict[str, str]:
        """Return who notices, and by what."""
        found = bundle or self.bundle(self.victim)
        now, policy = int(self.now.timestamp()), ledger.policy(self.installation)
        verdict = verify.check(found, now=now, policy=policy)
        again = verify.check(found, now=now, policy=policy, previous=self.base.older)
        caught = {"fresh": verdict.failed, "back": again.failed}
        for role in ("witness", "auditor"):
            evidence = [
                why for name, one in self.watchers.items() for _, why in one.evidence()
                if name.startswith(role[0])
            ]  # fmt: skip
            caught[role] = evidence[0] if evidence else ""
        with self.write() as db:
            lost = rebuild(db, self.index, write=False)
            intact = ledger.broken_chains(self.installation, db) == 0
        own = [*lost.lost, *lost.mended, *([] if intact else ["a chain"]), *self.broken]
        caught["check"] = own[0] if own else ""
        caught["daily"] = self._reconciled()
        caught["opening"] = self._opened()
        return {party: why for party, why in caught.items() if why}

    def _reconciled(self) -> str:
        """Lay each day beside what relying parties and the register hold; return what is found."""
        found = []
        for day in sorted({one.at.date() for one in self.held} | {self.now.date()}):
            with self.write() as db:
                kept = Reconciliations(db, self.installation.clock)
                for party in {one.client_id for one in self.held}:
                    mine = [
                        base64url(one.commitment)
                        for one in self.held
                        if one.client_id == party and one.at.date() == day
                    ]
                    kept.take_held(party, day, mine)
                listed = self.answered if day == self.now.date() else []
                result = kept.run(day, {"population": listed})
            found += [f"{one.party}: {one.unlogged}" for one in result.comparisons if one.unlogged]
        return found[0] if found else ""

    def _opened(self) -> str:
        """Let an auditor draw all there is and have it opened; return what it finds. Where too few
        confirm the log any more, there is nothing to be drawn.
        """
        authorize = lambda path: authorization(  # noqa: E731
            self.base.signers["a1"], path, int(self.now.timestamp())
        )
        audit = Audit(
            self.folder / "audit",
            Published(self._fetch),
            ledger.policy(self.installation),
            authorize,
        )
        try:
            kept = audit.announce(self._call, MOST_ENTRIES, f"{self.now:%Y-%m}")
            self.use(self.other)
            self.turn()
            audit.draw(self._call)
        except (AuditError, NoteError, ValueError):
            return ""
        openings = open_drawn(self.installation, kept["audit"], "warrant", "c" * 32)
        with self.write() as db:
            parties = ("portal", "bank")
            batches = [jws for one in parties for _, jws in KeptReceipts(db).after(one, (-1, 0))]
        keys = [self.installation.use_receipts.jwk]
        knows = lambda person: person.get("vn_pid") in self.base.numbers  # noqa: E731
        found = audit.check(openings, batches, keys, knows)
        return found[0].code if found else ""

    def _call(self, path: str, said: Any) -> dict[str, Any]:
        """Do what idp.web.protocol.audits does, without pages."""
        with self.write() as db:
            installation = self.installation
            audits = OpeningAudits(db, installation.clock, installation.chance)
            if path == "audits":
                return audits.announce("a1.example", said["announcement"]).statement
            terms = Terms(bytes.fromhex(said["nonce"]), said["count"], said["since"])
            drawn = audits.draw(path.split("/")[1], "a1.example", terms)
            return {**drawn.statement, "leaves": drawn.leaves}

    def index(self, subject_id: str) -> bytes:
        return ledger.index_of(self.installation, subject_id)

    def _post(self, url: str, body: bytes) -> tuple[int, bytes]:
        name = (urlsplit(url).hostname or "").partition(".")[0]
        if name not in self.watchers:
            self.watchers[name] = ROLES["auditor" if name[0] == "a" else "witness"](
                self.base.signers[name],
                ledger.signers(self.installation)[0].verifier,
                self.folder / f"{name}.db",
                Published(self._fetch),
                lambda: int(self.now.timestamp()),
            )
        answer = self.watchers[name].add_checkpoint(body)
        return answer.status, answer.body.encode()

    def _fetch(self, path: str, _authorize: Any) -> bytes:
        """Serve what idp.web.protocol.ledger does, without pages."""
        with self.write() as db:
            state = LogState(db)
            if path.startswith("stream/"):
                place, _, width = path.removeprefix("stream/").partition(".p/")
                name, _, number = place.rpartition("/")
                return state.tile(name, STREAM, int(number))[: int(width) * STREAM_BYTES]
            if path.endswith("/checkpoint"):
                log = state.find_log(path.removesuffix("/checkpoint"))
                assert log is not None
                return log.note.encode()
            name, _, rest = path.partition("/tile/")
            tile = tiles.Tile.parse(f"tile/{rest}")
            assert tile is not None
            data = state.tile(name, tile.level, tile.number)
            if tile.level != tiles.ENTRIES:
                return data[: tile.width * HASH_BYTES]
            return tiles.bundle(tiles.unbundle(data)[: tile.width])


def _policy(signers: dict[str, Signer]) -> Policy:
    lines = [f"witness {n} {s.verifier} https://{n}.example\n" for n, s in signers.items()]
    groups = (
        "group auditors 2 a1 a2 a3\ngroup witnesses 2 w1 w2 w3\n"
        "group both all auditors witnesses\nquorum both\n"
    )
    return Policy.parse("".join(lines) + groups)


# What an attacker does --------------------------------------------------------------------------


def edit(place: Place, number: int, **values: Any) -> None:
    """Change a row of the victim's."""
    with place.write() as db:
        forge(db, place.victim, number, **values)


def drop(place: Place, position: int) -> None:
    """Delete a row of the victim's, and close the gap."""
    mine = data_use.c.subject_id == place.victim
    with place.write() as db:
        db.execute(delete(data_use).where(mine, data_use.c.position == position))
        later = db.execute(
            select(data_use.c.position)
            .where(mine, data_use.c.position > position)
            .order_by(data_use.c.position)
        )
        for old in later.scalars().all():
            moved = update(data_use).where(mine, data_use.c.position == old)
            db.execute(moved.values(position=old - 1))


def recompute(place: Place, subject_id: str) -> None:
    """Bind a chain's rows again and set its head, as if nothing had ever been otherwise."""
    with place.write() as db:
        texts = list(place.installation.services(db).use_log.spelled(subject_id, 10**9))
        head = chain.EMPTY
        for position, (salt, text) in enumerate(texts, 1):
            bound = commitment.commit(text, salt)
            head = chain.advance(head, bound)
            where = (data_use.c.subject_id == subject_id, data_use.c.position == position)
            db.execute(update(data_use).where(*where).values(commitment=bound))
        changed = update(subject_chain).where(subject_chain.c.subject_id == subject_id)
        db.execute(changed.values(length=len(texts), head=head))


def rewrite_logs(place: Place) -> None:
    """Make the entry logs, the heads and the map anew from the rows as they are now: what a holder of
    the database can do. Signing it takes the next epoch.
    """
    with place.write() as db:
        state, subjects = LogState(db), {place.index(one): one for one in place.base.people}
        heads: dict[bytes, Head] = {}
        for log in [one for one in state.logs().values() if "/" in one.name]:
            stream, entries = b"", []
            for number in range(-(-log.size // tiles.WIDTH)):
                whose = state.tile(log.name, STREAM, number)
                for i in range(0, len(whose), STREAM_BYTES):
                    index = whose[i : i + 32]
                    position = int.from_bytes(whose[i + 32 : i + STREAM_BYTES], "big")
                    found = db.execute(
                        select(data_use.c.commitment).where(
                            data_use.c.subject_id == subjects[index],
                            data_use.c.position == position,
                        )
                    ).scalar()
                    if found is None:
                        continue
                    stream += whose[i : i + STREAM_BYTES]
                    entries.append(found)
                    known = heads.get(index)
                    head = chain.advance(known.head if known else chain.EMPTY, found)
                    bucket = head_map.bucket_of(index)
                    heads[index] = Head(subjects[index], bucket, index, position, head)
            changed, tree = tiles.append(0, [leaf_hash(e) for e in entries], lambda _l, _n: b"")
            db.execute(delete(ledger_tile).where(ledger_tile.c.log == log.name))
            own = {(tiles.ENTRIES, 0): tiles.bundle(entries), (STREAM, 0): stream}
            state.save_tiles({log.name: changed | own})
            # Under a checkpoint that nobody has seen yet.
            state.save_logs([replace(log, size=tree.size, root=tree.root(), cosigned=None)])
        db.execute(delete(ledger_head))
        state.save_heads(heads.values())
        save_map(state)


def save_map(state: LogState) -> bytes:
    """Make the map anew from the heads; return its root."""
    buckets: dict[int, list[head_map.Item]] = {}
    for head in state.heads_in(range(1 << 16)):
        buckets.setdefault(head.bucket, []).append(head.item)
    hashes = {number: head_map.bucket_hash(items) for number, items in buckets.items()}
    root, pieces = head_map.update(lambda _places: {}, hashes)
    state.save_pieces(pieces)
    return root


def sign(place: Place, log: Log) -> Log:
    """Sign a log as it is now, with its real key."""
    checkpoint = Checkpoint(f"{ledger.log_name(place.installation)}/{log.name}", log.size, log.root)
    signers = [one.named(checkpoint.origin) for one in ledger.signers(place.installation)]
    note = signed(checkpoint.text, signers, int(place.now.timestamp()))
    return replace(log, checkpoint=note, cosigned=None)


def rewrite_last_epoch(place: Place) -> None:
    """Sign another last epoch, over the logs and the map as they are now."""
    with place.write() as db:
        state = LogState(db)
        logs = state.logs()
        root = logs[ROOT_LOG]
        entries = tiles.unbundle(state.tile(ROOT_LOG, tiles.ENTRIES, 0))
        last = Epoch.parse(entries[-1])
        heads = {name: (log.size, log.root) for name, log in logs.items() if name != ROOT_LOG}
        grown = {name: heads[name] for name in last.grown}
        entries[-1] = replace(
            last, map_root=save_map(state), grown=grown, all_logs=hash_of_all(heads)
        ).leaf
        changed, tree = tiles.append(0, [leaf_hash(e) for e in entries], lambda _l, _n: b"")
        state.save_tiles({ROOT_LOG: changed | {(tiles.ENTRIES, 0): tiles.bundle(entries)}})
        made = [sign(place, log) for name, log in logs.items() if name != ROOT_LOG]
        state.save_logs([*made, sign(place, replace(root, root=tree.root()))])


# The drills -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Drill:
    """One attack. ``must`` notice it; nobody else is asked to. Empty: it is none, and nobody may."""

    name: str
    attack: Callable[[Place], Bundle | None]
    must: frozenset[str]
    note: str = ""


DRILLS: dict[str, Drill] = {}


def drill(*must: str, note: str = "") -> Callable[[Callable[[Place], Any]], Callable[[Place], Any]]:
    def add(attack: Callable[[Place], Any]) -> Callable[[Place], Any]:
        name = attack.__name__
        assert set(must) <= set(PARTIES)
        DRILLS[name] = Drill(name, attack, frozenset(must), note)
        return attack

    return add


@drill("fresh", "back", "check")
def a_row_is_edited(place: Place) -> None:
    edit(place, 2, client_id="bank")


@drill("fresh", "back", "check")
def what_entries_have_in_common_is_edited(place: Place) -> None:
    with place.write() as db:
        db.execute(update(use_terms).values(attributes='["sub"]'))


@drill("fresh", "back", "check")
def what_entries_have_in_common_is_removed(place: Place) -> None:
    with place.write() as db:
        db.execute(delete(use_terms))


@drill("fresh", "back", "check")
def a_row_in_the_middle_is_deleted(place: Place) -> None:
    drop(place, 3)


@drill("fresh", "back", "check")
def the_newest_rows_are_cut_off(place: Place) -> None:
    drop(place, USES + 1)
    recompute(place, place.victim)
    place.take()


@drill("fresh", "back", "check")
def rows_are_reordered(place: Place) -> None:
    for old, new in ((2, 99), (3, 2), (99, 3)):
        edit(place, old, position=new)


@drill("fresh", "back", "check")
def a_row_is_moved_to_another_citizen(place: Place) -> None:
    edit(place, USES + 1, subject_id=place.other, position=99)


@drill("fresh", "back", "check")
def a_back_dated_row_is_inserted(place: Place) -> None:
    mine = data_use.c.subject_id == place.victim
    for position in range(USES + 1, 2, -1):
        edit(place, position, position=position + 1)
    with place.write() as db:
        row = db.execute(select(data_use).where(mine, data_use.c.position == 2)).one()
        db.execute(insert(data_use).values({**row._asdict(), "position": 3, "id": "f" * 32}))
    recompute(place, place.victim)
    place.take()


@drill("fresh", "back")
def the_newest_entry_is_not_served(place: Place) -> Bundle:
    bundle = place.bundle(place.victim)
    bundle["entries"].pop()
    return bundle


@drill("fresh", "back", note="the forked checkpoint is shown to one citizen and to no witness")
def one_citizen_is_given_a_map_of_her_own(place: Place) -> Bundle:
    drop(place, USES + 1)
    recompute(place, place.victim)
    rewrite_logs(place)
    rewrite_last_epoch(place)
    return place.bundle(place.victim)


@drill("fresh", "back", "witness", "auditor", note="with the log's own key")
def a_row_is_edited_and_all_recomputed_into_the_next_epoch(place: Place) -> None:
    edit(place, 2, client_id="bank")
    recompute(place, place.victim)
    rewrite_logs(place)
    place.use(place.other)
    place.turn()


@drill("fresh", "back", "witness", "auditor", note="with the log's own key")
def a_row_is_deleted_and_all_recomputed_into_the_next_epoch(place: Place) -> None:
    drop(place, USES + 1)
    recompute(place, place.victim)
    rewrite_logs(place)
    place.use(place.other)
    place.use(place.other)
    place.turn()


@drill("fresh", "back", "witness", "auditor", note="with the log's own key")
def all_is_recomputed_and_the_last_epoch_rewritten(place: Place) -> None:
    edit(place, 2, client_id="bank")
    recompute(place, place.victim)
    rewrite_logs(place)
    rewrite_last_epoch(place)
    place.confirm()


@drill("fresh", "back", "auditor", note="with the log's own key; the entry log stays as it was")
def an_entry_is_dropped_from_one_head_only(place: Place) -> None:
    drop(place, USES + 1)
    recompute(place, place.victim)
    with place.write() as db:
        state = LogState(db)
        head = db.execute(
            select(subject_chain.c.head).where(subject_chain.c.subject_id == place.victim)
        ).scalar_one()
        known = state.heads_of([place.victim])[place.victim]
        state.save_heads([replace(known, length=USES, head=head)])
        save_map(state)
    place.use(place.other)
    place.turn()


@drill("fresh", "back")
def two_salts_are_swapped(place: Place) -> Bundle:
    bundle = place.bundle(place.victim)
    one, other = bundle["entries"][:2]
    one[0], other[0] = other[0], one[0]
    return bundle


@drill("fresh", "back", "check")
def an_entrys_time_is_shifted(place: Place) -> None:
    with place.write() as db:
        at = db.execute(
            select(data_use.c.at).where(
                data_use.c.subject_id == place.victim, data_use.c.position == 2
            )
        ).scalar_one()
    edit(place, 2, at=at + timedelta(milliseconds=1))


@drill("fresh", "back", "check")
def a_commitment_is_copied_to_two_rows(place: Place) -> None:
    with place.write() as db:
        row = db.execute(
            select(data_use).where(data_use.c.subject_id == place.victim, data_use.c.position == 2)
        ).one()
    values = row._asdict()
    del values["position"], values["subject_id"]
    edit(place, 3, **values)


def _flip(place: Place, level: int) -> None:
    with place.write() as db:
        state = LogState(db)
        name = next(name for name in state.logs() if "/" in name)
        data = bytearray(state.tile(name, level, 0))
        data[40] ^= 1
        state.save_tiles({name: {(level, 0): bytes(data)}})


@drill("check")
def a_bit_of_a_tile_flips(place: Place) -> None:
    _flip(place, 0)


@drill("auditor", "check", note="by an auditor who comes new and replays from the beginning")
def a_bit_of_the_entries_flips(place: Place) -> None:
    _flip(place, tiles.ENTRIES)
    (place.folder / "a3.db").unlink()
    place.use(place.other)
    place.turn()


@drill("witness", note="both citizens' states are signed by the log; one gets no cosignature")
def two_citizens_are_shown_two_states(place: Place) -> None:
    rewritten = place.folder / "second"
    rewritten.mkdir()
    shutil.copyfile(place.folder / "sen.db", rewritten / "sen.db")
    shutil.copyfile(place.folder / "sen.db", rewritten / "first.db")
    place.use(place.victim)
    place.turn()
    _restore(place, rewritten / "first.db")
    place.use(place.other, client_id="bank")
    place.turn()


@drill("fresh", "back")
def an_old_checkpoint_is_replayed(place: Place) -> Bundle:
    old = place.bundle(place.victim)
    place.now += timedelta(days=2)
    return old


@drill("fresh", "back", "witness", "auditor")
def yesterdays_backup_is_restored(place: Place) -> None:
    kept = place.folder / "backup.db"
    with place.write() as db:
        db.exec_driver_sql("SELECT 1")
    place.installation.engine.dispose()
    shutil.copyfile(place.folder / "sen.db", kept)
    place.use(place.victim)
    place.turn()
    _restore(place, kept)
    place.now += timedelta(days=1)
    place.turn()
    place.use(place.other)
    place.turn()


def _restore(place: Place, kept: Path) -> None:
    place.installation.engine.dispose()
    for left in place.folder.glob("sen.db*"):
        left.unlink()
    shutil.copyfile(kept, place.folder / "sen.db")
    place.sequencer = None


@drill("check", note="the chain still counts it")
def a_row_is_deleted_before_it_is_taken(place: Place) -> None:
    place.use(place.victim)
    where = (data_use.c.subject_id == place.victim, data_use.c.position == USES + 2)
    with place.write() as db:
        db.execute(delete(data_use).where(*where))
    place.turn()


@drill("daily", note="by nobody else: the relying party holds its receipt")
def a_row_is_deleted_before_it_is_taken_and_the_chain_set_back(place: Place) -> None:
    place.use(place.victim)
    drop(place, USES + 2)
    recompute(place, place.victim)
    place.turn()


def _unlogged(place: Place) -> Recorded:
    """Return an entry that is told of and was never written."""
    with place.installation.engine.connect() as db:
        recorded = place.installation.services(db).use_log.record(
            replace(_USE, subject_id=place.victim)
        )
        db.rollback()
    return recorded


@drill("daily", note="by nobody else, and only if the relying party is honest")
def a_release_is_never_logged(place: Place) -> None:
    place.held.append(_unlogged(place))


@drill("daily", note="by nobody else: the register's own list")
def a_register_is_made_to_answer_and_nothing_is_logged(place: Place) -> None:
    place.answered += [base64url(_unlogged(place).commitment), ""]


@drill("opening", note="by nobody else")
def an_entry_is_filed_under_an_invented_person(place: Place) -> None:
    with place.write() as db:
        nobody = place.installation.services(db).subjects.add(SubjectKind.PERSON)
    place.use(nobody)
    place.turn()


@drill("opening", note="by nobody else: a number that no register knows")
def an_entry_is_filed_under_an_invented_number(place: Place) -> None:
    with place.write() as db:
        subjects = place.installation.services(db).subjects
        nobody = subjects.add(SubjectKind.PERSON)
        subjects.identify(nobody, IdentifierType.PERSONAL_NUMBER, "999199999999", "seed")
    place.use(nobody)
    place.turn()


@drill(note="a fault and no attack: nothing is lost, and nobody is alarmed")
def the_sequencer_is_killed_mid_batch(place: Place) -> None:
    place.use(*place.base.people)

    class Dead(LogState):
        def save_heads(self, heads: Any) -> None:
            raise KeyboardInterrupt

    kept, sequencing.LogState = sequencing.LogState, Dead  # type: ignore[misc]
    try:
        place.take()
    except KeyboardInterrupt:
        pass
    finally:
        sequencing.LogState = kept  # type: ignore[misc]
    place.turn()
    assert len(place.bundle(place.victim)["entries"]) == USES + 2


@dataclass
class Outcome:
    """What a drill came to."""

    drill: Drill
    caught: dict[str, str]
    missed: set[str] = field(default_factory=set)

    @property
    def is_as_told(self) -> bool:
        """True when all who must noticed, and nobody else did where no log can help."""
        alone = not self.drill.must or self.drill.must <= BEYOND_LOGS
        return not self.missed and (not alone or self.caught.keys() == self.drill.must)


def run(base: Base, one: Drill) -> Outcome:
    with base.copied() as place:
        bundle = one.attack(place)
        caught = place.caught(bundle)
    return Outcome(one, caught, set(one.must) - set(caught))


def run_clean(base: Base) -> dict[str, str]:
    """Let nothing happen but uses; return who is alarmed nevertheless."""
    with base.copied() as place:
        for _ in range(3):
            place.use(*place.base.people)
            place.turn()
        return {**place.caught(), **place.refused}


def main() -> int:
    parser = argparse.ArgumentParser(description="Who notices which tampering.")
    parser.add_argument("names", nargs="*", help="drills to run; default: all")
    parser.add_argument("--clean", type=int, default=20, help="runs in which nothing happens")
    given = parser.parse_args()
    chosen = [DRILLS[name] for name in given.names] or list(DRILLS.values())
    is_good = True
    with tempfile.TemporaryDirectory() as folder:
        base = Base(Path(folder) / "base")
        width = max(len(one.name) for one in chosen)
        print(f"{'attack':<{width}}  " + "  ".join(f"{party:<7}" for party in PARTIES))
        for one in chosen:
            outcome = run(base, one)
            is_good &= outcome.is_as_told
            told = [
                "MISSED"
                if party in outcome.missed
                else "caught"
                if party in outcome.caught
                else "-"
                for party in PARTIES
            ]
            line = f"{one.name:<{width}}  " + "  ".join(f"{word:<7}" for word in told)
            print(f"{line}  {one.note}" if one.note else line)
        alarms = [found for _ in range(given.clean) if (found := run_clean(base))]
        print(f"\n{given.clean} clean runs: {len(alarms)} false alarms {alarms[:1] or ''}")
    return 0 if is_good and not alarms else 1


if __name__ == "__main__":
    sys.exit(main())
