"""When register values have to be read again, and who was asked about lately.

A release never waits for a register while it holds a lock: it says that a reading is due, is rolled
back, and is run again once the reading is done (``idp.reading``). A register that fails leaves the
held values, with their age, as they are.
"""

import threading
from collections import OrderedDict
from collections.abc import Container, Iterable, Mapping
from datetime import datetime, timedelta

from accounts.account import AccountKind
from accounts.attributes import DICTIONARY, Held, Source
from accounts.mandates import Mandate, MandateType
from accounts.schema import Clock
from accounts.subject import IdentifierType
from connectors.remote import RemoteRegister

STALE_AFTER = timedelta(hours=24)
"""Register values older than this are read again before they are released."""
ASKED_AGAIN_AFTER = timedelta(minutes=10)
"""A register that had no answer for somebody is not asked about her again for so long."""
CONFIRMED_WITHIN = timedelta(hours=24)
"""A register's word on a mandate by right that is older is asked for again before anybody acts."""
_REMEMBERED = 20_000

SOURCES_OF: Mapping[AccountKind, tuple[Source, ...]] = {
    AccountKind.CITIZEN: (
        Source.POPULATION,
        Source.IDENTITY_CARDS,
        Source.SOCIAL_INSURANCE,
        Source.OFFICIALS,
    ),
    AccountKind.FOREIGNER: (Source.IMMIGRATION,),
    AccountKind.ORGANISATION: (Source.ENTERPRISES,),
}
"""The registers that know somebody with an account of the kind."""
IDENTIFIED_BY: Mapping[Source, IdentifierType] = {
    Source.POPULATION: IdentifierType.PERSONAL_NUMBER,
    Source.IDENTITY_CARDS: IdentifierType.PERSONAL_NUMBER,
    Source.SOCIAL_INSURANCE: IdentifierType.PERSONAL_NUMBER,
    Source.OFFICIALS: IdentifierType.PERSONAL_NUMBER,
    Source.IMMIGRATION: IdentifierType.PASSPORT,
    Source.ENTERPRISES: IdentifierType.TAX_CODE,
}

CONFIRMED_BY: Mapping[MandateType, Source] = {
    MandateType.LEGAL_REP: Source.ENTERPRISES,
    MandateType.PARENT: Source.POPULATION,
    MandateType.GUARDIAN: Source.POPULATION,
}
"""The register whose word a mandate by right is."""


class ReadingDueError(Exception):
    """Values that are about to be released are too old: read these sources, then start again.

    ``acting`` is the person who acts for the organisation asked about, if it is one.
    """

    def __init__(
        self,
        subject_id: str,
        sources: tuple[Source, ...],
        wanted: frozenset[str],
        acting: str | None,
    ) -> None:
        super().__init__("a register has to be read")
        self.subject_id = subject_id
        self.sources = sources
        self.wanted = wanted
        self.acting = acting


class Readings:
    """What one process knows about its readings. Safe to share between threads."""

    def __init__(self, registers: Mapping[Source, RemoteRegister], clock: Clock) -> None:
        self._registers = registers
        self._clock = clock
        self._lock = threading.Lock()
        self._asked: OrderedDict[tuple[str, Source], datetime] = OrderedDict()

    def due(
        self, subject_id: str, kind: str, held: Mapping[Source, Held], wanted: Iterable[str]
    ) -> tuple[Source, ...]:
        """Return the sources to read before these claims are released: those that state one of
        them, know the subject, were last read too long ago or never asked for one of these, and are
        not known to be down.
        """
        if not self._registers:
            return ()
        rows = [DICTIONARY[claim] for claim in wanted]
        now = self._clock()
        due = []
        for source in SOURCES_OF[AccountKind(kind)]:
            stated = {row.stated_as for row in rows if source in row.sources}
            if (
                stated
                and source in self._registers
                and not self._registers[source].rests
                and _is_due(held.get(source), stated, now)
                and not self._asked_lately(subject_id, source, now)
            ):
                due.append(source)
        return tuple(due)

    def note(self, subject_id: str, source: Source) -> None:
        """Remember that a register was asked about somebody."""
        with self._lock:
            self._asked[subject_id, source] = self._clock()
            self._asked.move_to_end((subject_id, source))
            while len(self._asked) > _REMEMBERED:
                self._asked.popitem(last=False)

    def _asked_lately(self, subject_id: str, source: Source, now: datetime) -> bool:
        with self._lock:
            asked = self._asked.get((subject_id, source))
        return asked is not None and now - asked < ASKED_AGAIN_AFTER


def claims_of(source: Source, wanted: Iterable[str] = ()) -> tuple[str, ...]:
    """Return what is asked of a source: its plain claims; sensitive ones, those about other people
    and those that need authentication level 3 only when wanted.
    """
    chosen = frozenset(wanted)
    return tuple(
        claim
        for claim, row in DICTIONARY.items()
        if source in row.sources
        and row.derived_from is None
        and (not row.on_demand or claim in chosen)
    )


def confirmation_due(root: Mandate, registers: Container[Source], now: datetime) -> bool:
    """True when a mandate by right is the word of one of these registers, and too old to act upon."""
    source = CONFIRMED_BY.get(root.type)
    if source is None or root.source != source.value or source not in registers:
        return False
    return root.confirmed_at is None or now - root.confirmed_at > CONFIRMED_WITHIN


def _is_due(held: Held | None, stated: set[str], now: datetime) -> bool:
    if held is None or now - held.as_of > STALE_AFTER:
        return True
    return any(claim not in held.asked and held.values.get(claim) is None for claim in stated)
