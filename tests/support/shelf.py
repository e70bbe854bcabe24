"""An installation whose people's uses grow old, for tests of the archive."""

import json
import secrets
from dataclasses import dataclass, field, replace
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from accounts.subject import SubjectKind
from consent import partitions
from consent.archive.moving import Archived
from consent.data_use import Channel, Outcome, SubjectRole, Use, UseEntry, data_use
from consent.ledger import verify
from idp import archiving, ledger, proof
from idp.services import Installation
from tests.support.clock import Clock

USE = Use(
    subject_id="", client_id="portal", channel=Channel.USERINFO, attributes=("name", "sub"),
    purpose="public-service", purpose_version=1, legal_basis="consent", correlation="",
)  # fmt: skip
MOVED = 14 * 31
"""Days after which a month is old enough for sure."""


@dataclass
class Shelf:
    """An installation with people whose uses grow old."""

    installation: Installation
    clock: Clock
    people: list[str] = field(default_factory=list)
    kept_keys: list[dict[str, Any]] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return self.installation.settings.archive_folder

    @property
    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.glob("*.parquet"))

    def use(self, number: int, times: int = 1, **changes: Any) -> None:
        with self.installation.engine.begin() as db:
            log = self.installation.services(db).use_log
            for _ in range(times):
                one = {"correlation": secrets.token_hex(16), **changes}
                log.record(replace(USE, subject_id=self.people[number], **one))
                self.clock.advance(seconds=1)

    def publish(self) -> None:
        made = ledger.sequencer(self.installation)
        while made.run_once().is_full:
            pass

    def told(self, number: int) -> tuple[list[UseEntry], list[tuple[bytes, bytes]], bool, Any]:
        """Return all that the record says of a person."""
        one = self.people[number]
        with self.installation.engine.begin() as db:
            log = self.installation.services(db).use_log
            entries, place = list[UseEntry](), None
            while page := log.of_subject(one, before=place, limit=3):
                entries, place = [*entries, *page], page[-1].position
            return entries, list(log.spelled(one, 10**6)), log.is_intact(one), log.begin_of(one)

    def everything(self) -> list[Any]:
        return [self.told(number) for number in range(len(self.people))]

    def rows(self) -> int:
        with self.installation.engine.begin() as db:
            return db.execute(select(func.count()).select_from(data_use)).scalar_one()

    def proves(self, number: int) -> verify.Verdict:
        """Return what a verifier says of a person's bundle."""
        file = BytesIO()
        proof.write(self.installation, self.people[number], file, patience=0)
        now = int(self.clock().timestamp())
        return verify.check(json.loads(file.getvalue()), now=now)

    def is_all_good(self) -> bool:
        return all(one.is_good for one in archiving.check(self.installation))

    def complaints(self) -> str:
        told = archiving.check(self.installation)
        return "; ".join(f"{one.about}: {one.said}" for one in told if not one.is_good)


def filled(installation: Installation, clock: Clock) -> Shelf:
    """Return a shelf with four people's uses of two months, published."""
    # Months are told by the calendar: far from the end of one, wherever the tests run.
    clock.set(clock().replace(day=10))
    made = Shelf(installation, clock)
    with installation.engine.begin() as db:
        subjects = installation.services(db).subjects
        made.people = [subjects.add(SubjectKind.PERSON) for _ in range(4)]
    for number, times in enumerate((3, 5, 1)):
        made.use(number, times)
    made.use(
        1, 2, outcome=Outcome.REFUSED, detail={"reason": "paused", "cites": "ab" * 16}, client_id="b",
        consent_id="cd" * 16, grant_id="ef" * 16, other_party="01" * 16, correlation="odd",
        subject_role=SubjectRole.REPRESENTED,
    )  # fmt: skip
    clock.advance(days=31)
    with installation.engine.begin() as db:
        # What there is lies in its month's table, what comes for want of one in the rest.
        partitions.prepare(db, clock() - timedelta(days=200))
    for number in (3, 0, 1):
        made.use(number, 2)
    made.publish()
    return made


def run(installation: Installation) -> list[Archived]:
    return list(archiving.run(installation))
