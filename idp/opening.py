"""Opens the entries that an auditor drew, in the sealed room: what each says, whose it is, and by what
that person can be asked for in her register. Each opening is an entry in her record.
"""

import base64
import hashlib
from typing import Any

from accounts.attributes import Source, best_value
from accounts.subject import IdentifierType
from consent.data_use import PROVIDER, Channel, Use, UseEntry
from consent.ledger.opening import Leaf
from consent.ledger.tiles import WIDTH
from consent.log_state import STREAM, STREAM_BYTES, LogState, span_of
from consent.opening_audits import OpeningAudits
from consent.purposes import purpose
from idp import proof
from idp.services import Installation, Services

FORMAT = "sen-id/openings/1"
_BY = {
    IdentifierType.PERSONAL_NUMBER: (Source.POPULATION, "vn_pid"),
    IdentifierType.PASSPORT: (Source.IMMIGRATION, "passport"),
    IdentifierType.TAX_CODE: (Source.ENTERPRISES, "tax_code"),
}
"""By which number whom a register can be asked for, and the claim that the number is."""


def open_drawn(
    installation: Installation, audit_id: str, warrant: str, correlation: str
) -> dict[str, Any]:
    """Return what the auditor of the audit is shown, and write who was shown into their records.

    Raises:
        AuditRefusedError: nothing was drawn, or it was opened under another warrant.
    """
    reference = hashlib.sha256(warrant.encode()).hexdigest()
    with installation.engine.begin() as db:
        services = installation.services(db, correlation=correlation)
        audits = OpeningAudits(db, installation.clock, installation.chance)
        found = audits.note_opened(audit_id, reference)
        opened = [_opened(services, leaf) for leaf in found.leaves or ()]
        # In one order, as everybody who locks more than one chain.
        sealed = services.sealing.chain()
        shown = {one["subject"]: one for one in opened if one.get("subject") not in {None, sealed}}
        for subject_id, told in sorted(shown.items()):
            _note(services, subject_id, told, audit_id, reference)
    return {"format": FORMAT, "audit": audit_id, "openings": opened}


def _opened(services: Services, leaf: Leaf) -> dict[str, Any]:
    log, number = leaf
    place = {"log": log, "leaf": number}
    stream = LogState(services.db).tile(log, STREAM, number // WIDTH)
    whose = stream[number % WIDTH * STREAM_BYTES :][:STREAM_BYTES]
    index, position = whose[:32], int.from_bytes(whose[32:], "big")
    subject_id = LogState(services.db).subject_at(index)
    entry = services.use_log.find(subject_id, position, span_of(log)) if subject_id else None
    if subject_id is None or entry is None:
        return {**place, "missing": True}
    ((salt, spelling),) = services.use_log.spelled(subject_id, position, after=position - 1)
    return {
        **place,
        "entry": spelling.decode(),
        "salt": base64.b64encode(salt).decode(),
        "subject": subject_id,
        "certificate": proof.certificate(services.installation, subject_id, index),
        "person": _person(services, entry),
    }


def _person(services: Services, entry: UseEntry) -> dict[str, str]:
    """Return by what the register can be asked for the person; empty where there is nothing."""
    subject_id = entry.use.subject_id
    held = services.held.of_subject(subject_id)
    for known in services.subjects.identifiers_of(subject_id):
        if known.type in _BY and known.valid_to is None:
            source, claim = _BY[known.type]
            is_organisation = source is Source.ENTERPRISES
            name = "organization_name" if is_organisation else "name"
            born = None if is_organisation else best_value(held, "birthdate")
            called = str(best_value(held, name) or "")
            told = {"register": source.value, claim: known.value, name: called}
            return told | ({"birthdate": str(born)} if born else {})
    return {}


def _note(
    services: Services, subject_id: str, told: dict[str, Any], audit_id: str, warrant: str
) -> None:
    why = purpose("opening-audit")
    services.use_log.record(
        Use(
            subject_id=subject_id,
            client_id=PROVIDER,
            channel=Channel.AUDIT_OPENING,
            attributes=tuple(name for name in told["person"] if name != "register"),
            purpose=why.code,
            purpose_version=why.version,
            legal_basis="statutory-function",
            correlation=services.correlation,
            detail={"audit": audit_id, "warrant": warrant},
        )
    )
