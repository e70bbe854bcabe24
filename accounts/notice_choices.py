"""What a person wants to be told about uses of her data, and where; and whether discreetly.

Notices about her account itself (sign-ins, contacts, recovery) are not hers to switch off: whoever had
her account would.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import JSON, Boolean, Column, Connection, ForeignKey, String, Table, select
from sqlalchemy.dialects import postgresql, sqlite

from accounts.schema import Clock, UTCDateTime, metadata


class Topic(StrEnum):
    """What can be told."""

    FIRST_USE = "first-use"
    NEW_DATA = "new-data"
    UNUSUAL = "unusual"
    WITHDRAWAL = "withdrawal"
    CONSENT = "consent"
    DIGEST = "digest"


class Where(StrEnum):
    """Where it is told; by a message means: on her pages as well."""

    NOWHERE = "nowhere"
    PAGES = "pages"
    EMAIL = "email"
    TEXT_MESSAGE = "text-message"


notice_choice = Table(
    "notice_choice",
    metadata,
    Column("subject_id", String(32), ForeignKey("subject.id"), primary_key=True),
    Column("topics", JSON, nullable=False),
    Column("discreet", Boolean, nullable=False),
    Column("changed_at", UTCDateTime, nullable=False),
)

QUIET = {
    Topic.FIRST_USE: Where.PAGES,
    Topic.NEW_DATA: Where.PAGES,
    Topic.UNUSUAL: Where.EMAIL,
    Topic.WITHDRAWAL: Where.PAGES,
    Topic.CONSENT: Where.PAGES,
    Topic.DIGEST: Where.PAGES,
}
"""What holds for whoever chose nothing: a message only for what should not wait."""


@dataclass(frozen=True)
class Choices:
    """One person's choices. ``is_discreet`` keeps what happened out of messages and page titles."""

    topics: Mapping[Topic, Where]
    is_discreet: bool = False


class NoticeChoices:
    """Everybody's choices."""

    def __init__(self, db: Connection, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    def of(self, subject_id: str) -> Choices:
        """Return the person's choices; what she did not choose is quiet."""
        row = self._db.execute(
            select(notice_choice.c.topics, notice_choice.c.discreet).where(
                notice_choice.c.subject_id == subject_id
            )
        ).first()
        if row is None:
            return Choices(QUIET)
        chosen = {Topic(topic): Where(where) for topic, where in row.topics.items()}
        return Choices({**QUIET, **chosen}, row.discreet)

    def choose(self, subject_id: str, choices: Choices) -> None:
        """Keep the person's choices."""
        values = {
            "topics": {topic.value: where.value for topic, where in choices.topics.items()},
            "discreet": choices.is_discreet,
            "changed_at": self._clock(),
        }
        dialect = postgresql if self._db.dialect.name == "postgresql" else sqlite
        self._db.execute(
            dialect.insert(notice_choice)
            .values(subject_id=subject_id, **values)
            .on_conflict_do_update(index_elements=["subject_id"], set_=values)
        )
