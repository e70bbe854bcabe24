"""The bundle by which a person, or anybody she gives it to, checks that no use of her data is missing
from her record or was changed. ``consent.ledger.verify`` says what it proves.
"""

import base64
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import IO, Any

import orjson
from sqlalchemy import Connection

from consent.data_use import PROVIDER, Channel, SubjectRole, Use
from consent.ledger import chain, head_map, tiles
from consent.ledger.epoch import ROOT_LOG
from consent.ledger.note import signed
from consent.ledger.tree import inclusion_proof
from consent.ledger.verify import FORMAT, INDEX_STATEMENT
from consent.log_state import Log, LogState
from idp import ledger
from idp.database import for_reading
from idp.services import Installation, Services

PATIENCE = 3.0
"""For so many seconds a quorum for the newest state is waited for."""
_STEP = 0.1


class NotYetError(Exception):
    """There is no published log yet."""


def note_copy(
    services: Services, subject_id: str, *, by: str, role: SubjectRole = SubjectRole.PRIMARY
) -> None:
    """Write the use entry by which it is seen that uses were given out. Whoever took another's, or an
    organisation's, has an entry as well.
    """
    own = Use(
        subject_id=by,
        client_id=PROVIDER,
        channel=Channel.EXPORT,
        attributes=(),
        purpose="own-copy",
        purpose_version=1,
        legal_basis="right-of-access",
        correlation=services.correlation,
    )
    if by == subject_id:
        services.use_log.record(own)
        return
    theirs = replace(own, subject_id=subject_id, subject_role=role, other_party=by)
    services.use_log.record(replace(own, other_party=subject_id))
    services.use_log.record(theirs)


def write(
    installation: Installation, subject_id: str, file: IO[bytes], *, patience: float | None = None
) -> None:
    """Write the bundle of a subject as JSON.

    Raises:
        NotYetError: no epoch was published yet.
    """
    trusted = ledger.policy(installation)
    deadline = time.monotonic() + (PATIENCE if patience is None else patience)
    while True:
        with _snapshot(installation) as db:
            standing = ledger.standing(db, trusted)
            if standing is None:
                raise NotYetError
            # Between an epoch and its quorum lies a moment; a state of before cannot be shown any more.
            if standing.is_quorum or time.monotonic() > deadline:
                _write(installation, db, subject_id, file)
                return
        time.sleep(_STEP)


def _write(installation: Installation, db: Connection, subject_id: str, file: IO[bytes]) -> None:
    state, use_log = LogState(db), installation.services(db).use_log
    root = state.find_log(ROOT_LOG)
    assert root is not None  # noqa: S101 - there is a standing of it
    index = ledger.index_of(installation, subject_id)
    known = state.heads_of([subject_id]).get(subject_id)
    removed, removed_head = use_log.begin_of(subject_id)
    bucket = head_map.bucket_of(index)
    facts: dict[str, Any] = {
        "format": FORMAT,
        "issuer": installation.settings.issuer,
        "made_at": installation.clock().isoformat(timespec="seconds"),
        "subject": subject_id,
        "certificate": certificate(installation, subject_id, index),
        "map": {
            "items": [[_spelled(h.item[0]), _spelled(h.item[1])] for h in state.heads_in([bucket])],
            "siblings": [_spelled(one) for one in head_map.prove(state.pieces, bucket)],
        },
        "epoch": _epoch(state, root),
        "checkpoint": root.note,
        "policy": ledger.policy(installation).text,
    }
    if removed:
        facts["removed"] = {"count": removed, "head": _spelled(removed_head or chain.EMPTY)}
    text = orjson.dumps(facts, option=orjson.OPT_INDENT_2)
    file.write(text.rstrip()[:-1].rstrip() + b',\n  "entries": [')
    for number, (salt, spelling) in enumerate(
        use_log.spelled(subject_id, known.length if known else 0)
    ):
        one = orjson.dumps([_spelled(salt), spelling.decode()])
        file.write((b",\n    " if number else b"\n    ") + one)
    file.write(b"\n  ]\n}\n")


def certificate(installation: Installation, subject_id: str, index: bytes) -> str:
    """Return the log's word on where the subject's chain is. The same each time: two that differ
    prove that a person was counted in two places.
    """
    keys = ledger.signers(installation)[:1]
    statement = (INDEX_STATEMENT, keys[0].name, subject_id, _spelled(index))
    return signed("\n".join(statement) + "\n", keys, 0)


def _epoch(state: LogState, root: Log) -> dict[str, Any]:
    read = state.reading(ROOT_LOG)
    number = root.size - 1
    bundle = read(tiles.ENTRIES, number // tiles.WIDTH)
    proof = inclusion_proof(number, root.size, lambda a, b: tiles.hash_in(read, a, b))
    return {
        "leaf": tiles.unbundle(bundle)[number % tiles.WIDTH].decode(),
        "proof": [_spelled(one) for one in proof],
    }


@contextmanager
def _snapshot(installation: Installation) -> Iterator[Connection]:
    """Read one state, whatever the sequencer does meanwhile."""
    engine = for_reading(installation.engine)
    if engine.dialect.name == "postgresql":
        engine = engine.execution_options(isolation_level="REPEATABLE READ")
    with engine.begin() as db:
        yield db


def _spelled(data: bytes) -> str:
    return base64.b64encode(data).decode()
