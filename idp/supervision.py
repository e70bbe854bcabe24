"""What the data-protection authority's inspectors do: find a case by its number, and take the day's figures.

Nobody is looked for by name or number here, and whoever's case is opened reads of it in her own record.
"""

import gzip
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import Column, Connection, Date, LargeBinary, Table, Text, insert, select

from accounts.account import AccountKind, Accounts
from accounts.errors import AccountsError
from accounts.legal_clock import midnight, today
from accounts.officers import Officer
from accounts.schema import UTCDateTime, metadata
from consent import following, tallies
from consent.cases import Case, Cases
from consent.data_use import PROVIDER, Channel, SubjectRole, Use
from consent.log_state import LogState
from consent.sequencer import oldest_waiting
from consent.use_log import UseLog
from idp import audit, limits, statistics
from idp.database import for_reading
from idp.limits import Limits
from idp.services import Installation, Services
from idp.statistics import How

TYPE = "sen-export-manifest+jwt"
"""The ``typ`` of the JWS around a manifest."""
FORMAT = "sen-id/regulator-export/1"
DAYS_KEPT = timedelta(days=400)
_CATCH_UP = 30
"""So many days back an export that was not made is made later."""
_SETTLED = timedelta(hours=1)
"""So long after midnight the last uses of the day are in the logs for sure."""

regulator_export = Table(
    "regulator_export",
    metadata,
    Column("day", Date, primary_key=True),
    Column("made_at", UTCDateTime, nullable=False),
    # Lines of JSON, compressed; it names no person.
    Column("file", LargeBinary, nullable=False),
    Column("manifest", Text, nullable=False),
)


class SearchesUsedUpError(AccountsError):
    """An inspector tried too many numbers that no case has."""

    code = "too-many-failures"


@dataclass(frozen=True)
class Export:
    """The figures of one day, with the signed manifest over them."""

    day: date
    file: bytes
    manifest: str

    @property
    def name(self) -> str:
        """What the file is called; the manifest has the same name and another ending."""
        return file_name(self.day)

    @property
    def manifest_name(self) -> str:
        """What the manifest is called."""
        return self.name.replace(".jsonl.gz", ".manifest.jws")


@dataclass(frozen=True)
class Inspection:
    """One inspector's work within one transaction."""

    inspector: Officer
    cases: Cases
    accounts: Accounts
    use_log: UseLog
    limits: Limits
    correlation: str

    def find(self, reference: str) -> Case | None:
        """Return the case with exactly this number.

        Raises:
            SearchesUsedUpError: too many numbers of this inspector were nobody's.
        """
        counted = (limits.INSPECTION, self.inspector.id)
        if self.limits.is_exhausted(counted):
            raise SearchesUsedUpError
        found = self.cases.find(reference)
        if found is None:
            self.limits.count_failure(counted)
        audit.security_event(
            "inspection.find", inspector=self.inspector.id, case=found.id if found else None
        )
        return found

    def look(self, case: Case) -> None:
        """Record that the inspector is being shown the case."""
        account = self.accounts.find_of_subject(case.subject_id)
        is_organisation = account is not None and account.kind is AccountKind.ORGANISATION
        self.use_log.record(
            Use(
                subject_id=case.subject_id,
                client_id=PROVIDER,
                channel=Channel.REGULATOR_VIEW,
                # It names nobody; that there is a request, and what it says, is hers all the same.
                attributes=("sub",),
                purpose="supervision",
                purpose_version=1,
                legal_basis="statutory-function",
                correlation=self.correlation,
                subject_role=SubjectRole.ORGANISATION if is_organisation else SubjectRole.PRIMARY,
                other_party=self.inspector.id,
            )
        )


def inspection(services: Services, inspector: Officer) -> Inspection:
    """Return the inspector's work within the services' transaction."""
    return Inspection(
        inspector,
        services.cases,
        services.accounts,
        services.use_log,
        services.limits,
        services.correlation,
    )


def file_name(day: date) -> str:
    """Return the name of the day's file."""
    return f"sen-id-{day.isoformat()}.jsonl.gz"


def days(db: Connection) -> list[tuple[date, int]]:
    """Return the days there are exports of, newest first, with the sizes of their files in bytes."""
    rows = db.execute(
        select(regulator_export.c.day, regulator_export.c.file).order_by(
            regulator_export.c.day.desc()
        )
    )
    return [(row.day, len(row.file)) for row in rows]


def find_export(db: Connection, day: date) -> Export | None:
    """Return the export of a day."""
    row = db.execute(select(regulator_export).where(regulator_export.c.day == day)).first()
    return None if row is None else Export(row.day, row.file, row.manifest)


def export_due(installation: Installation) -> int:
    """Make the exports of the days that are over and have none; return how many.

    A day waits until all of it is published and counted.
    """
    now = installation.clock()
    last = today(now - _SETTLED) - timedelta(days=1)
    with for_reading(installation.engine).begin() as db:
        known = {day for day, _ in days(db)}
        if last in known or following.is_behind(db):
            return 0
        unpublished = oldest_waiting(db)
    if unpublished is not None and unpublished < midnight(last + timedelta(days=1)):
        return 0
    # An installation's first export is yesterday's.
    first = max(known, default=last - timedelta(days=1)) + timedelta(days=1)
    first = max(first, last - timedelta(days=_CATCH_UP))
    count = 0
    for n in range((last - first).days + 1):
        count += _export(installation, first + timedelta(days=n))
    return count


def purge(db: Connection, now: datetime) -> int:
    """Remove exports, and figures of days, that are old; return how many rows went."""
    before = today(now - DAYS_KEPT)
    gone = db.execute(regulator_export.delete().where(regulator_export.c.day < before)).rowcount
    return gone + tallies.purge_days(db, before)


def _export(installation: Installation, day: date) -> bool:
    with installation.engine.begin() as db:
        if find_export(db, day) is not None:
            return False
        # The same lines make the same bytes: no name and no time in the compressed file.
        lines = [
            orjson.dumps(line, option=orjson.OPT_SORT_KEYS)
            for line in _lines(installation, db, day)
        ]
        file = gzip.compress(b"".join(line + b"\n" for line in lines), mtime=0)
        before = db.execute(
            select(regulator_export.c.manifest).order_by(regulator_export.c.day.desc()).limit(1)
        ).scalar()
        made_at = installation.clock()
        manifest = {
            "iss": installation.settings.issuer,
            "iat": int(made_at.timestamp()),
            "format": FORMAT,
            "day": day.isoformat(),
            "file": file_name(day),
            "sha256": hashlib.sha256(file).hexdigest(),
            "bytes": len(file),
            "lines": len(lines),
            # A day that is left out, or made anew, shows in the next one.
            "previous": hashlib.sha256(before.encode()).hexdigest() if before else None,
        }
        signed = installation.keys.sign_bytes(orjson.dumps(manifest), "ES256", typ=TYPE)
        db.execute(
            insert(regulator_export).values(day=day, made_at=made_at, file=file, manifest=signed)
        )
    audit.note("supervision.exported", day=day.isoformat())
    return True


def _lines(installation: Installation, db: Connection, day: date) -> Iterator[dict[str, Any]]:
    """Yield what the day's file tells: figures, cases without their words and people, and the logs."""
    services = installation.services(db)
    for cell, figure in sorted(statistics.of_day(db, day.isoformat()).items()):
        _, client_id, purpose, channel, outcome = cell
        yield {
            "is": "uses",
            "agency": client_id,
            "purpose": purpose,
            "channel": channel,
            "outcome": outcome,
            "how": figure.how.value,
            **({"uses": figure.value} if figure.how is How.EXACT else {}),
        }
    begin = midnight(day)
    for case in services.cases.stirring(begin, midnight(day + timedelta(days=1))):
        yield {
            "is": "case",
            "reference": case.reference,
            "right": case.right.value,
            "agency": case.client_id,
            "state": case.state.value,
            "opened_at": case.opened_at,
            "acknowledge_by": case.acknowledge_by,
            "acknowledged_at": case.acknowledged_at,
            "answer_by": case.answer_by,
            "extended_at": case.extended_at,
            "answered_at": case.answered_at,
            "finding": case.finding.value if case.finding else None,
            "escalated_at": case.escalated_at,
            "closed_at": case.closed_at,
        }
    cases, withdrawals = services.cases.late_by_agency(), services.withdrawals.late_by_agency()
    for client_id in sorted({*cases, *withdrawals}):
        yield {
            "is": "late",
            "agency": client_id,
            "cases": cases.get(client_id, 0),
            "withdrawals": withdrawals.get(client_id, 0),
        }
    for name, log in sorted(LogState(db).logs().items()):
        yield {"is": "log", "name": name, "size": log.size, "checkpoint": log.note}
