"""Keeps the published logs: one server of an installation makes epochs and gathers cosignatures.

``Keeper`` is what a server's background thread, and ``sen ledger run``, call every second.
"""

import fcntl
import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import orjson
from prometheus_client import Counter, Gauge
from sqlalchemy import Connection, select, text
from sqlalchemy.exc import SQLAlchemyError

from connectors.errors import OutboundRefusedError
from connectors.outbound import Outbound
from consent.cosigning import Cosigning, Gathered, with_own_logs
from consent.data_use import subject_chain
from consent.decisions import notice
from consent.ledger.epoch import ROOT_LOG
from consent.ledger.note import Note, Signer
from consent.ledger.policy import Policy, Standing
from consent.log_state import LogState
from consent.opening_audits import OpeningAudits
from consent.purposes import LEGAL_BASES, PURPOSES
from consent.reconciliation import Reconciliations
from consent.sequencer import Round, Sequencer
from idp import audit
from idp.database import for_reading
from idp.oidc.relying_parties import HOME
from idp.services import Installation

INTERVAL = timedelta(seconds=1)
ALARM_AFTER = timedelta(seconds=10)
HARD_LIMIT = timedelta(seconds=60)
"""An entry that is not in the logs by then is a breach of what the provider promises."""
_POLICIES_EVERY = timedelta(seconds=10)
VERIFYING_PAGE = Path(__file__).parent / "web" / "offline" / "verify.html"
_RESULTS_SAID = timedelta(days=5)
"""A day's reconciliation may change for so long (``idp.reconciling``)."""
_NOTICES_AGAIN = timedelta(hours=1)
_MOST_ROUNDS = 20
_COSIGN_SECONDS = 20.0
# Any number will do, as long as nothing else in the database uses it as an advisory lock.
_HOLDER = 7_305_162_115

_POLICIES: WeakKeyDictionary[Installation, Policy] = WeakKeyDictionary()
"""Keys of logs are never replaced, and settings only at a start."""

_DELAY = Gauge(
    "sen_ledger_delay_seconds", "Age of the oldest entry when last taken", multiprocess_mode="max"
)
_ENTRIES = Counter("sen_ledger_entries_total", "Entries taken into the logs")
_BROKEN = Gauge(
    "sen_ledger_broken_chains", "Chains whose entries are not as they were", multiprocess_mode="max"
)


def log_name(installation: Installation) -> str:
    """Return what the origins of all logs begin with."""
    return f"{urlsplit(installation.settings.issuer).netloc}/ledger"


def signers(installation: Installation) -> list[Signer]:
    """Return the keys of the logs."""
    with for_reading(installation.engine).begin() as db:
        return installation.services(db).log_keys.signers(log_name(installation))


def policy(installation: Installation) -> Policy:
    """Return the policy by which this installation's logs are verified."""
    known = _POLICIES.get(installation)
    if known is None:
        keys = [str(signer.verifier) for signer in signers(installation)]
        known = _POLICIES[installation] = with_own_logs(installation.settings.ledger_policy, keys)
    return known


def forget_policy(installation: Installation) -> None:
    """Make the policy anew at its next use."""
    _POLICIES.pop(installation, None)


def index_of(installation: Installation, subject_id: str) -> bytes:
    """Return where in the head map the subject's chain is; the index names nobody."""
    return installation.ledger_index(subject_id)


def standing(db: Connection, trusted: Policy) -> Standing | None:
    """Return who cosigned the newest state of the root log; None before the first epoch."""
    root = LogState(db).find_log(ROOT_LOG)
    return None if root is None else trusted.standing(Note.parse(root.cosigned or root.checkpoint))


def sequencer(installation: Installation) -> Sequencer:
    """Return a sequencer of this installation's logs."""
    return Sequencer(
        installation.engine,
        for_reading(installation.engine),
        installation.clock,
        log_name(installation),
        signers(installation),
        lambda subject_id: index_of(installation, subject_id),
        installation.use_receipts,
    )


def cosigning(installation: Installation) -> Cosigning:
    """Return what gathers cosignatures for this installation's logs."""
    trusted = policy(installation)
    hosts = frozenset(urlsplit(one.url).netloc for one in trusted.cosigners.values())
    names = frozenset(urlsplit(one.url).hostname or "" for one in trusted.cosigners.values())
    outbound = Outbound(hosts | names, installation.settings.extra_ca_file, plain_on_loopback=True)

    def post(url: str, body: bytes) -> tuple[int, bytes]:
        headers = {"Content-Type": "text/plain", "Content-Length": str(len(body))}
        try:
            reply = outbound.exchange(
                "POST", url, headers=headers, body=body, seconds=_COSIGN_SECONDS
            )
        except OutboundRefusedError as error:
            raise OSError(str(error)) from error
        return reply.status, reply.body

    return Cosigning(
        installation.engine,
        for_reading(installation.engine),
        installation.clock,
        trusted,
        log_name(installation),
        post,
    )


def broken_chains(installation: Installation, db: Connection) -> int:
    """Return how many chains have entries that are not what their commitments bind."""
    use_log = installation.services(db).use_log
    subjects = db.execute(select(subject_chain.c.subject_id)).scalars().all()
    # In the order of the archive, so that each group of a file is read once.
    subjects = sorted(subjects, key=installation.ledger_index)
    return sum(not use_log.is_intact(subject_id) for subject_id in subjects)


def policies(
    installation: Installation, db: Connection, since: datetime | None = None
) -> dict[str, bytes]:
    """Return all that the policy log makes public: who may ask for what, for which purposes, on what
    legal bases, which notices were first shown ``since``, who cosigns, and what comparing the record
    with others came to. Texts by what they are about.
    """
    said: dict[str, Any] = {
        f"relying-party/{party.client_id}": {
            "names": party.names,
            "purpose": party.purpose,
            "scopes": sorted(party.scopes),
            "sector": party.sector,
            "active": party.is_active,
            # Left out where nothing is unusual about it, as in what was published before.
            **({"country": party.country} if party.country != HOME else {}),
        }
        for party in installation.services(db).registrations.all()
    }
    for code, one in PURPOSES.items():
        said[f"purpose/{code}"] = {
            "version": one.version, "title": one.title, "details": one.details,
            "days": one.lasts.days, "law_listed": one.law_listed,
        }  # fmt: skip
    for code, basis in LEGAL_BASES.items():
        said[f"legal-basis/{code}"] = {"title": basis.title, "law": basis.law}
    # A notice may have a person's name in it: its hash and language only.
    shown = select(notice.c.hash, notice.c.language)
    if since is not None:
        shown = shown.where(notice.c.first_shown_at >= since)
    for row in db.execute(shown):
        said[f"notice/{row.hash.hex()}"] = {"language": row.language}
    today = installation.clock().date()
    for result in Reconciliations(db, installation.clock).since(today - _RESULTS_SAID):
        said[f"reconciliation/{result.day}"] = result.statement
    for opening in OpeningAudits(db, installation.clock, installation.chance).all():
        said[f"opening-audit/{opening.id}"] = opening.statement
    page = hashlib.sha256(VERIFYING_PAGE.read_bytes()).hexdigest()
    said["verifying-page"] = {"sha256": page}
    said["use-receipt-key"] = installation.use_receipts.jwk
    said["cosigners"] = {"policy": policy(installation).text}
    return {
        name: orjson.dumps({"about": name, **facts}, option=orjson.OPT_SORT_KEYS)
        for name, facts in said.items()
    }


@dataclass
class Kept:
    """What one call came to; ``is_holder`` is False where another server keeps the logs."""

    is_holder: bool
    rounds: list[Round]
    gathered: Gathered | None = None

    @property
    def entries(self) -> int:
        """How many entries were taken."""
        return sum(one.entries for one in self.rounds)


class Keeper:
    """Keeps the logs for as long as no other process does."""

    def __init__(self) -> None:
        self._hold: _Hold | None = None
        self._sequencer: Sequencer | None = None
        self._cosigning: Cosigning | None = None
        self._policies_at: datetime | None = None
        self._told: frozenset[str] = frozenset()

    def __call__(self, installation: Installation) -> Kept:
        """Take what is new, publish it, and have it cosigned."""
        if self._hold is None:
            self._hold = _Hold(installation)
        if not self._hold.is_ours():
            return Kept(is_holder=False, rounds=[])
        if self._sequencer is None or self._cosigning is None:
            self._sequencer, self._cosigning = sequencer(installation), cosigning(installation)
        rounds = []
        for _ in range(_MOST_ROUNDS):
            rounds.append(self._sequencer.run_once(self._policies(installation)))
            self._tell(installation, rounds[-1])
            if not rounds[-1].is_full:
                break
        gathered = self._cosigning.gather()
        for name, reason in gathered.refused.items():
            audit.note("ledger.not_cosigned", cosigner=name, reason=reason)
        return Kept(True, rounds, gathered)

    def close(self) -> None:
        """Let another process keep the logs."""
        if self._hold is not None:
            self._hold.close()
            self._hold = None

    def _policies(self, installation: Installation) -> dict[str, bytes]:
        now = installation.clock()
        if self._policies_at is not None and now - self._policies_at < _POLICIES_EVERY:
            return {}
        since = self._policies_at - _NOTICES_AGAIN if self._policies_at is not None else None
        self._policies_at = now
        with for_reading(installation.engine).begin() as db:
            return policies(installation, db, since)

    def _tell(self, installation: Installation, done: Round) -> None:
        _ENTRIES.inc(done.entries)
        if done.broken != self._told:
            self._told = done.broken
            _BROKEN.set(len(done.broken))
            if done.broken:
                audit.security_event("ledger.broken", chains=len(done.broken))
        if done.oldest is None:
            return
        delay = installation.clock() - done.oldest
        _DELAY.set(delay.total_seconds())
        if delay > ALARM_AFTER:
            event = "ledger.overdue" if delay > HARD_LIMIT else "ledger.late"
            audit.security_event(event, seconds=int(delay.total_seconds()))


class _Hold:
    """The right to keep the logs. It ends with the process, however that ends."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._connection: Connection | None = None
        self._file: IO[bytes] | None = None

    def is_ours(self) -> bool:
        if self._installation.engine.dialect.name == "postgresql":
            return self._has_lock()
        if self._file is None:
            path = f"{self._installation.engine.url.database}.keeper"
            file = Path(path).open("wb")  # noqa: SIM115 - held for as long as the process lives
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.close()
                return False
            self._file = file
        return True

    def _has_lock(self) -> bool:
        try:
            if self._connection is not None:
                self._connection.execute(text("SELECT 1"))
                self._connection.commit()
                return True
            connection = self._installation.engine.connect()
            query = text("SELECT pg_try_advisory_lock(:key)")
            if connection.execute(query, {"key": _HOLDER}).scalar():
                connection.commit()
                self._connection = connection
                return True
            connection.close()
        except SQLAlchemyError:
            # The server that held our lock is gone, and the lock with it.
            self.close()
        return False

    def close(self) -> None:
        if self._connection is not None:
            # Not given back to the pool: the lock is the connection's.
            self._connection.invalidate()
            self._connection.close()
            self._connection = None
        if self._file is not None:
            self._file.close()
            self._file = None
