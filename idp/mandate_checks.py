"""Asking the register again whether a mandate by right still stands, when somebody chooses to act.

Three steps that hold nothing locked meanwhile: the use entry is written into the principal's chain
and committed, the register is asked, its answer is applied. Who cannot be confirmed does not act for
the other; she can always go on as herself.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from accounts.attributes import Source
from accounts.mandates import Mandate, MandateType
from accounts.subject import IdentifierType
from connectors.protocol import Record, Unavailable
from idp import audit
from idp.applying.rules import numbers_in, representatives_in
from idp.oidc.readings import CONFIRMED_BY, confirmation_due
from idp.services import Installation, Services

_CORRELATION = "mandate-check"
_ASKED = {
    MandateType.LEGAL_REP: (
        "organization_name",
        "organization_status",
        "organization_legal_reps",
        "legal_representatives",
        "organization_joint",
    ),
    MandateType.PARENT: ("parents",),
    MandateType.GUARDIAN: ("legal_representative",),
}
_STATED_BY = {MandateType.PARENT: "parents", MandateType.GUARDIAN: "legal_representative"}


class Verdict(StrEnum):
    """What asking came to."""

    CONFIRMED = "confirmed"
    NOT_CONFIRMED = "not-confirmed"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True)
class Confirmation:
    """The verdict; of an unavailable register, which it is and since when."""

    verdict: Verdict
    source: Source | None = None
    since: datetime | None = None


def due(services: Services, mandate: Mandate) -> Mandate | None:
    """Return the mandate by right that has to be asked about before anybody acts under this one: the
    one it rests on, when its register's word is more than 24 hours old.
    """
    root = services.mandates.root(mandate)
    installation = services.installation
    return root if confirmation_due(root, installation.registers, installation.clock()) else None


def confirm(installation: Installation, root: Mandate) -> Confirmation:
    """Ask the register about a mandate by right; call it with no transaction of one's own open."""
    source, claims = CONFIRMED_BY[root.type], _ASKED[root.type]
    with installation.engine.begin() as db:
        asking = installation.services(db, correlation=_CORRELATION).disclosure.asking(
            root.principal_id, source, acting=root.agent_id, only=claims
        )
    if asking is None:
        return Confirmation(Verdict.NOT_CONFIRMED, source)
    query, entry = asking
    evidence = installation.evidence(entry)
    answer = installation.registers[source].look_up(query, evidence, installation.clock())
    if isinstance(answer, Unavailable):
        audit.note("register.unavailable", register=source.value, reason=answer.reason)
        since = answer.since or installation.clock()
        return Confirmation(Verdict.UNAVAILABLE, source, since)
    confirmed = False
    if isinstance(answer, Record):
        with installation.engine.begin() as db:
            services = installation.services(db, correlation=_CORRELATION)
            if root.type is MandateType.LEGAL_REP:
                confirmed = _follow_enterprises(services, root, answer)
            else:
                confirmed = _follow_population(services, root, answer)
    audit.security_event("mandate.checked", mandate=root.id, confirmed=confirmed)
    return Confirmation(Verdict.CONFIRMED if confirmed else Verdict.NOT_CONFIRMED, source)


def _follow_enterprises(services: Services, root: Mandate, told: Record) -> bool:
    if told.values.get("organization_status") == "dissolved":
        return False
    people = {
        subject_id
        for number, _name in representatives_in(told.values)
        if number and (subject_id := services.subjects.find(IdentifierType.PERSONAL_NUMBER, number))
    }
    joint = told.values.get("organization_joint")
    services.mandating.follow_representatives(
        root.principal_id,
        people,
        Source.ENTERPRISES.value,
        joint=joint if isinstance(joint, bool) else None,
        named=len(representatives_in(told.values)),
        version=told.as_of.isoformat(),
    )
    return root.agent_id in people


def _follow_population(services: Services, root: Mandate, told: Record) -> bool:
    own = services.subjects.bears(root.agent_id or "", IdentifierType.PERSONAL_NUMBER)
    stated = set(numbers_in(told.values.get(_STATED_BY[root.type])))
    if own in stated:
        services.mandates.confirm(root.id, told.as_of.isoformat())
        return True
    if stated:
        # Somebody else is named: a court or the parents' register entry has changed it.
        services.mandating.end_by_register(root, Source.POPULATION.value)
    return False
