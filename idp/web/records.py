"""Whose record of uses somebody reads: her own, or that of one for whom she may look."""

from dataclasses import dataclass

import flask

from accounts.attributes import SENSITIVE
from accounts.mandates import FOR_PEOPLE
from accounts.sessions import BrowserSession
from consent.data_use import SubjectRole
from consent.history import History
from idp.telling import may_look
from idp.web import context, person
from idp.web.language import N_, translate

_ME = N_("My data")


@dataclass(frozen=True)
class Record:
    """One subject's record. ``of`` is the mandate by which another looks, empty for one's own."""

    subject_id: str
    of: str
    label: str
    is_person: bool
    is_whole: bool = True
    """False where uses of sensitive data are the person's alone (Law 91/2025/QH15 Art. 24)."""

    @property
    def history(self) -> History:
        """The record's uses."""
        without = frozenset[str]() if self.is_whole else SENSITIVE
        return context.services().history(self.subject_id, without=without)

    @property
    def query(self) -> str:
        """What names the record in an address."""
        return f"?of={self.of}" if self.of else ""

    @property
    def name(self) -> str | None:
        """The name of whose record it is, if it is not one's own."""
        return person.name_of(self.subject_id) if self.of else None

    @property
    def role(self) -> SubjectRole:
        """In what role its owner appears where whoever looks does something with it."""
        if not self.of:
            return SubjectRole.PRIMARY
        return SubjectRole.REPRESENTED if self.is_person else SubjectRole.ORGANISATION

    @property
    def is_of_another(self) -> bool:
        """True when it is another person's, not an organisation's."""
        return bool(self.of) and self.is_person


def readable(session: BrowserSession) -> list[Record]:
    """Return the records that she may read, her own first."""
    services = context.services()
    own = Record(session.subject_id, "", translate(_ME), is_person=True)
    represented = [
        Record(
            mandate.principal_id,
            mandate.id,
            person.name_of(mandate.principal_id),
            mandate.type in FOR_PEOPLE,
            mandate.type not in FOR_PEOPLE or services.disclosure.may_tell_secrets(mandate),
        )
        for mandate in services.mandates.held_by(session.subject_id)
        if may_look(mandate, services.held, services.installation.clock)
    ]
    return [own, *represented]


def chosen(records: list[Record]) -> Record:
    """Return the record that the address names by ``of``; without it, or with another's, her own."""
    wanted = flask.request.args.get("of", "")
    return next((one for one in records if one.of == wanted), records[0])
