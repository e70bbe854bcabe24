"""Brings checkpoints to witnesses and map auditors, and gathers their cosignatures (C2SP tlog-witness).

Witnesses get every log, the root log last, because its newest leaf tells of the others. Map auditors
get the root log alone, and read the rest themselves.
"""

import base64
import re
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Engine

from accounts.schema import Clock
from consent.ledger import tiles
from consent.ledger.epoch import ROOT_LOG
from consent.ledger.note import Note, NoteError, signatures
from consent.ledger.policy import Cosigner, Policy, Standing
from consent.ledger.tree import consistency_proof
from consent.log_state import Log, LogState

AGAIN_AFTER = timedelta(seconds=30)
"""A checkpoint that stays the same is confirmed again so often, so that its age says something."""
RETRY_AFTER = timedelta(seconds=5)
"""Somebody who was not there, or refused, is asked again so often."""
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)

Post = Callable[[str, bytes], tuple[int, bytes]]
"""Posts to an address and returns status and body; raises OSError where nobody answers."""


@dataclass
class Gathered:
    """What one round came to: the root log's standing, and who answered what instead of agreeing."""

    standing: Standing | None = None
    refused: dict[str, str] = field(default_factory=dict)


class Cosigning:
    """Gathers cosignatures. Remembers what each cosigner has seen, which it also asks them."""

    def __init__(
        self, engine: Engine, reader: Engine, clock: Clock, policy: Policy, name: str, post: Post
    ) -> None:
        self._engine = engine
        self._reader = reader
        self._clock = clock
        self._policy = policy
        self._name = name
        self._post = post
        self._seen: dict[tuple[str, str], int] = {}
        self._done: dict[str, tuple[int, datetime]] = {}
        self._incomplete: set[str] = set()

    def gather(self) -> Gathered:
        """Bring every checkpoint that is new, or was confirmed long ago, to everybody it is for."""
        with self._reader.begin() as db:
            logs = LogState(db).logs()
        due = sorted(filter(self._is_due, logs.values()), key=lambda log: log.name == ROOT_LOG)
        if not due or not self._policy.cosigners:
            return Gathered()
        gathered = Gathered()
        with ThreadPoolExecutor(len(self._policy.cosigners)) as pool:
            answers = list(
                pool.map(lambda one: self._bring_all(one, due), self._policy.cosigners.values())
            )
        lines: dict[str, list[str]] = {}
        for name, (told, refused) in zip(self._policy.cosigners, answers, strict=True):
            if refused:
                gathered.refused[name] = refused
            for log_name, line in told.items():
                lines.setdefault(log_name, []).append(line)
        notes = {log.name: log.checkpoint + "".join(lines.get(log.name, [])) for log in due}
        with self._engine.begin() as db:
            state = LogState(db)
            for name, note in notes.items():
                if lines.get(name):
                    state.save_cosigned(name, note)
        now = self._clock()
        self._done |= {log.name: (log.size, now) for log in due}
        # Whoever did not agree is asked again soon, but not at each round.
        self._incomplete = set(notes) if gathered.refused else self._incomplete - set(notes)
        if ROOT_LOG in notes:
            gathered.standing = self._policy.standing(Note.parse(notes[ROOT_LOG]))
        return gathered

    def _is_due(self, log: Log) -> bool:
        if log.name not in self._done:
            return True
        size, at = self._done[log.name]
        # Only the root log tells people how fresh all is; the others are confirmed by their growth.
        again = AGAIN_AFTER if log.name == ROOT_LOG else None
        if log.name in self._incomplete:
            again = RETRY_AFTER
        return size != log.size or (again is not None and self._clock() - at >= again)

    def _bring_all(self, to: Cosigner, logs: Iterable[Log]) -> tuple[dict[str, str], str]:
        """Return the signature lines by log, and why there is one too few."""
        told: dict[str, str] = {}
        is_auditor = to.name in self._policy.auditors
        for log in logs:
            if is_auditor and log.name != ROOT_LOG:
                continue
            try:
                told[log.name] = self._bring(to, log)
            except (OSError, _Refused) as error:
                return told, f"{log.name}: {error}"
        return told, ""

    def _bring(self, to: Cosigner, log: Log) -> str:
        old = self._seen.get((to.name, log.name), 0)
        status, body = self._submit(to, log, old)
        if status == 409 and _SIZE.fullmatch(body.decode("ascii", "replace").strip()):
            # It remembers better than we do.
            old = int(body)
            if old > log.size:
                raise _Refused(f"has seen {old} entries, which is more than there are")
            status, body = self._submit(to, log, old)
        if status != 200:
            raise _Refused(f"answered {status}")
        try:
            lines = body.decode()
            (own, *_) = [s for s in signatures(lines) if s.key_id == to.key.key_id]
            to.key.verify(Note.parse(log.checkpoint).text, own.signature)
        except (NoteError, ValueError) as error:
            raise _Refused("its signature does not fit") from error
        self._seen[to.name, log.name] = log.size
        return lines

    def _submit(self, to: Cosigner, log: Log, old: int) -> tuple[int, bytes]:
        with self._reader.begin() as db:
            read = LogState(db).reading(log.name)
            proof = consistency_proof(
                old, log.size, lambda level, number: tiles.hash_in(read, level, number)
            )
        return self._post(f"{to.url}/add-checkpoint", request(old, proof, log.checkpoint))


class _Refused(Exception):  # noqa: N818 - an answer, not a fault
    """A cosigner did not sign."""


def request(old: int, proof: Iterable[bytes], checkpoint: str) -> bytes:
    """Return the body of an add-checkpoint request."""
    lines = [f"old {old}", *(base64.b64encode(one).decode() for one in proof), ""]
    return ("\n".join(lines) + "\n" + checkpoint).encode()


def with_own_logs(policy: Policy | None, keys: Mapping[str, str] | Iterable[str]) -> Policy:
    """Return the whole policy: the log's keys, and who cosigns (by default nobody)."""
    own = "".join(f"log {key}\n" for key in keys)
    return Policy.parse(own + (policy.text if policy else "quorum none\n"))
