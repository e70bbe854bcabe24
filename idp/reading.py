"""Reads registers for those whose values are too old, in steps that hold no lock meanwhile.

First the use entry is written and committed: whatever becomes of the asking, the person sees that
it happened. Then the register is asked, with no transaction open. Then what it says is held.
"""

from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy import select

from accounts.attributes import Source, held_attributes
from connectors.protocol import Answer, Record, Unavailable
from idp import audit, mandate_checks
from idp.mandate_checks import Verdict
from idp.oidc import endpoints, wire
from idp.oidc.machines import ConfirmationDueError
from idp.oidc.provider import Provider
from idp.oidc.readings import ReadingDueError, claims_of
from idp.services import Installation

_MOST_READINGS = 3
Endpoint = Callable[[Provider, wire.Request], wire.Response]


def answer(
    installation: Installation,
    endpoint: Endpoint,
    request: wire.Request,
    *,
    provider: Callable[[], Provider],
    undo: Callable[[], None],
    correlation: str,
) -> wire.Response:
    """Answer a request; where register values are too old, undo it, read, and run it again.

    ``provider`` begins a transaction each time it is called, ``undo`` rolls it back. A person and
    the organisation that she acts for may each need a reading.
    """
    for _ in range(_MOST_READINGS):
        try:
            return endpoint(provider(), request)
        except ReadingDueError as due:
            undo()
            read(installation, due, correlation)
        except ConfirmationDueError as due:
            undo()
            verdict = mandate_checks.confirm(installation, due.root).verdict
            if verdict is not Verdict.CONFIRMED:
                return endpoints.not_confirmed(is_known=verdict is Verdict.NOT_CONFIRMED)
    return endpoint(provider(), request)


def read(installation: Installation, due: ReadingDueError, correlation: str) -> None:
    """Ask each register that is due, and hold what it says."""
    for source in due.sources:
        # Noted first: a reading that fails must not be due again at once.
        installation.readings.note(due.subject_id, source)
        _read(installation, due, source, correlation)


def ask(
    installation: Installation,
    subject_id: str,
    source: Source,
    *,
    wanted: Iterable[str] = (),
    acting: str | None = None,
    stated: dict[str, Any] | None = None,
    purpose: str = "account-issuing",
    correlation: str,
) -> Answer | None:
    """Ask one register about a subject and return its answer, which is held nowhere yet.

    ``stated`` is what an applicant says of herself, while nothing of hers is held. None means that
    this register cannot know the subject. Call it with no transaction of one's own open.
    """
    with installation.engine.begin() as db:
        asking = installation.services(db, correlation=correlation).disclosure.asking(
            subject_id, source, wanted=wanted, acting=acting, stated=stated, purpose=purpose
        )
    if asking is None:
        return None
    query, entry = asking
    evidence = installation.evidence(entry)
    return installation.registers[source].look_up(query, evidence, installation.clock())


def _read(
    installation: Installation, due: ReadingDueError, source: Source, correlation: str
) -> None:
    found = ask(
        installation,
        due.subject_id,
        source,
        wanted=due.wanted,
        acting=due.acting,
        correlation=correlation,
    )
    if found is None:
        return
    if isinstance(found, Unavailable):
        audit.note("register.unavailable", register=source.value, reason=found.reason)
        return
    with installation.engine.begin() as db:
        held = installation.services(db).held
        # Locked, so that what she changes herself at this moment is not overwritten.
        row = select(held_attributes.c.sealed).where(held_attributes.c.subject_id == due.subject_id)
        held.adopt(due.subject_id, db.execute(row.with_for_update()).scalar())
        if isinstance(found, Record):
            asked = frozenset(claims_of(source, due.wanted))
            held.hold(due.subject_id, source, found.values, asked=asked)
        elif source not in held.of_subject(due.subject_id):
            # That the register knows nothing of her is an answer too, and as good for a day.
            held.hold(due.subject_id, source, {})
