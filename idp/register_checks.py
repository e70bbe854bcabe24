"""Asking the registers about applications: at once when one comes in, and again until they answer.

Three transactions, so that nobody waits for the database while a register takes its time: the turn
and the use entry are committed, the register is asked, its answer is kept. A process that dies in
between leaves a turn that ends after a minute; the next asks again, and nothing is issued by asking.
"""

from datetime import timedelta

from idp.database import for_reading
from idp.services import Installation

INTERVAL = timedelta(seconds=15)


def check(installation: Installation, application_id: str) -> bool:
    """Ask the register about one application; False when it is not due, another has the turn, or no
    register is connected, so that no entry tells of an asking that never was.
    """
    if not installation.registers:
        return False
    asked = _check_once(installation, application_id)
    if asked:
        # A card that was read has a register of its own, whose turn follows at once.
        _check_once(installation, application_id)
    return asked


def _check_once(installation: Installation, application_id: str) -> bool:
    with installation.engine.begin() as db:
        office = installation.services(db, correlation="application").application_office
        question = office.begin_check(application_id)
    if question is None:
        return False
    register = installation.registers[question.source]
    evidence = installation.evidence(question.entry)
    answer = register.look_up(question.query, evidence, installation.clock())
    with installation.engine.begin() as db:
        office = installation.services(db, correlation="application").application_office
        office.finish_check(question, answer)
    return True


def check_all(installation: Installation) -> int:
    """Ask about every application whose time has come; return how many were asked about."""
    with for_reading(installation.engine).begin() as db:
        due = installation.services(db).applications.to_check(installation.clock())
    return sum(check(installation, application_id) for application_id in due)
