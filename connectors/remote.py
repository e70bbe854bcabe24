"""A register on the other side of X-Road: what is common to all of them.

What differs, who keeps it, whom it knows by which number, and what its fields are called, is a
``Service`` in a module of its own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, TypeVar

from accounts.attributes import Source
from accounts.subject import IdentifierType, canonical
from connectors.breaker import Breaker
from connectors.errors import RegisterFaultError
from connectors.protocol import (
    Answer,
    Answered,
    Event,
    Evidence,
    Feed,
    NotFound,
    Query,
    Record,
    Register,
    Unavailable,
)
from connectors.wire import Field
from connectors.xroad import Cause, SecurityServer

Given = TypeVar("Given")
GREATEST_LEAD = timedelta(minutes=5)
"""A register's clock may be so far ahead of ours."""


@dataclass(frozen=True)
class Service:
    """One register as it is reached: ``owner`` and ``subsystem`` are its usual place on X-Road.

    ``named_by`` makes the part of a request that names the subject, ``number_field`` is the member
    of it that the answer must repeat, and ``fields`` maps our claims to the register's.
    """

    source: Source
    owner: str
    subsystem: str
    identifier_type: IdentifierType
    number_field: str
    named_by: Callable[[Query], dict[str, str]]
    fields: Mapping[str, Field]

    def place(self, instance: str) -> str:
        """Return the subsystem's usual identifier in an X-Road instance."""
        return f"{instance}/GOV/{self.owner}/{self.subsystem}"


def person_by_number(query: Query) -> dict[str, str]:
    """Name a person as Decree 70/2024 Art. 10 wants it: full name, birth date and number."""
    return {
        "full_name": query.name,
        "birth_date": query.birthdate or "",
        "personal_number": canonical(query.identifier_type, query.identifier),
    }


class Remote:
    """Something that is reached by our security server, and left alone for a while when it keeps
    failing. Safe to share between threads.
    """

    def __init__(self, name: str, place: str, server: SecurityServer, breaker: Breaker) -> None:
        self._name = name
        self._place = place
        self._server = server
        self._breaker = breaker

    @property
    def name(self) -> str:
        """What it is called in logs and on pages."""
        return self._name

    @property
    def not_available_since(self) -> datetime | None:
        """The moment of the first failure since the last good answer to this process, or None."""
        return self._breaker.not_available_since

    @property
    def rests(self) -> bool:
        """True while nobody is asked, because the last answers failed."""
        return self._breaker.is_open

    def _ask(self, service: str, document: Mapping[str, Any], cause: Cause) -> dict[str, Any]:
        return self._server.ask(f"{self._place}/{service}", document, cause)

    def _attempt(self, ask: Callable[[], Given]) -> Given | Unavailable:
        if not self._breaker.admits():
            return Unavailable(self.name, "resting", self._breaker.not_available_since)
        try:
            answer = ask()
        except RegisterFaultError as error:
            self._breaker.failed()
            return Unavailable(self.name, error.detail, self._breaker.not_available_since)
        self._breaker.succeeded()
        return answer

    def answered(self, day: date, after: int, limit: int) -> tuple[Answered, ...] | Unavailable:
        """Ask its own log what it answered under receipts of a day (UTC), lowest first."""
        document = {"day": day.isoformat(), "after": after, "limit": limit}
        return self._attempt(
            lambda: _answered(self._ask("receipts", document, Cause()), after, limit)
        )


class RemoteRegister(Remote):
    """One register; satisfies ``connectors.protocol.Register`` and ``Feed``."""

    def __init__(
        self, service: Service, place: str, server: SecurityServer, breaker: Breaker
    ) -> None:
        super().__init__(service.source.value, place, server, breaker)
        self._service = service

    def look_up(self, query: Query, evidence: Evidence, now: datetime) -> Answer:
        """Ask the register.

        Raises:
            ValueError: the query cites no use entry.
        """
        if not evidence.entry:
            raise ValueError("no register is asked without a use entry")
        wanted = {claim: self._service.fields[claim] for claim in query.attributes
                  if claim in self._service.fields}  # fmt: skip
        if query.identifier_type is not self._service.identifier_type or not wanted:
            return NotFound(self.name)
        named = self._service.named_by(query)
        fields = sorted({field.name for field in wanted.values()})
        cause = cause_of(query, evidence, self.name)
        return self._attempt(
            lambda: self._read(
                self._ask("look-up", {**named, "fields": fields}, cause), named, wanted, now
            )
        )

    def changes(self, after: int, limit: int) -> tuple[Event, ...] | Unavailable:
        """Ask for what changed."""
        document = {"after": after, "limit": limit}
        return self._attempt(lambda: _events(self._ask("changes", document, Cause()), after, limit))

    def _read(
        self,
        answer: dict[str, Any],
        named: dict[str, str],
        wanted: dict[str, Field],
        now: datetime,
    ) -> Record | NotFound:
        if answer.get("found") is False:
            return NotFound(self.name)
        number = self._service.number_field
        # Another person's record is worse than none.
        if answer.get("found") is not True or answer.get(number) != named[number]:
            raise RegisterFaultError("wrong-answer")
        stated = answer.get("fields")
        try:
            as_of = datetime.fromisoformat(str(answer.get("as_of")))
            if not isinstance(stated, dict) or as_of - now > GREATEST_LEAD:
                raise RegisterFaultError("wrong-answer")
            values = {
                claim: field.read(stated[field.name])
                for claim, field in wanted.items()
                if stated.get(field.name) is not None
            }
        except (ValueError, TypeError, KeyError) as error:
            raise RegisterFaultError("wrong-answer") from error
        return Record(self.name, values, as_of)


def cause_of(query: Query, evidence: Evidence, register: str) -> Cause:
    """Return whom a question is asked for, under which use entry, and the receipt for it."""
    user = query.user
    if not user and query.birthdate is not None:
        user = canonical(query.identifier_type, query.identifier)
    # PR-REST §4.3: prefixed with the country. A passport's number begins with its country already.
    prefix = "" if user[:1].isalpha() else "VN"
    represented = f"COM/{query.represented}" if query.represented else ""
    return Cause(
        f"{prefix}{user}" if user else "",
        represented,
        evidence.entry,
        lambda body: evidence.receipt(register, body),
    )


def _answered(answer: dict[str, Any], after: int, limit: int) -> tuple[Answered, ...]:
    listed = answer.get("receipts")
    try:
        if not isinstance(listed, list) or len(listed) > limit:
            raise RegisterFaultError("wrong-answer")
        found = tuple(
            Answered(
                int(one["sequence"]),
                str(one["entry"]),
                str(one["commitment"]),
                datetime.fromisoformat(one["at"]),
            )
            for one in listed
        )
    except (ValueError, TypeError, KeyError) as error:
        raise RegisterFaultError("wrong-answer") from error
    if any(one.sequence <= after for one in found):
        raise RegisterFaultError("wrong-answer")
    return found


def _events(answer: dict[str, Any], after: int, limit: int) -> tuple[Event, ...]:
    listed = answer.get("events")
    try:
        if not isinstance(listed, list) or len(listed) > limit:
            raise RegisterFaultError("wrong-answer")
        events = tuple(_event(item) for item in listed)
    except (ValueError, TypeError, KeyError) as error:
        raise RegisterFaultError("wrong-answer") from error
    if any(event.sequence <= after for event in events):
        raise RegisterFaultError("wrong-answer")
    return tuple(sorted(events, key=lambda event: event.sequence))


def _event(item: Any) -> Event:
    if (
        not isinstance(item, dict)
        or type(item["sequence"]) is not int
        or not isinstance(item["detail"], dict)
        or not isinstance(item["number"], str)
    ):
        raise ValueError("not an event")
    at = datetime.fromisoformat(item["at"])
    if at.tzinfo is None:
        raise ValueError("a moment without its zone")
    return Event(item["sequence"], str(item["kind"]), item["number"], at, item["detail"])


_: tuple[type[Register], type[Feed]] = (RemoteRegister, RemoteRegister)
