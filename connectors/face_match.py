"""The identity-card register's service that compares a live face with the portrait it holds (Law
26/2023; biometric data are sensitive by Decree 356/2025).

It answers with a verdict and never with the portrait; whether the picture shows somebody alive is its
judgement too. Asked like a register: with name, birth date and number, and never without a use entry.
"""

import base64
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from accounts.face_checks import Verdict
from accounts.subject import IdentifierType
from connectors.breaker import Breaker
from connectors.errors import RegisterFaultError
from connectors.protocol import Evidence, NotFound, Query, Unavailable
from connectors.remote import GREATEST_LEAD, Remote, cause_of, person_by_number
from connectors.xroad import SecurityServer

NAME = "face_match"
GREATEST_PICTURE = 200 * 1024
"""Bytes of a picture; 480 by 640 points of JPEG are a quarter of it."""
_KINDS = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG\r\n\x1a\n": "image/png"}
_REFERENCE = re.compile(r"[\x21-\x7e]{1,64}", re.ASCII)


@dataclass(frozen=True)
class Judgement:
    """What the service said, by its own reference and clock."""

    verdict: Verdict
    reference: str
    at: datetime


class FaceMatch(Remote):
    """The service. Safe to share between threads."""

    def __init__(self, place: str, server: SecurityServer, breaker: Breaker) -> None:
        super().__init__(NAME, place, server, breaker)

    def compare(
        self, query: Query, picture: bytes, evidence: Evidence, now: datetime
    ) -> Judgement | NotFound | Unavailable:
        """Let the picture be compared with the portrait of whom the query names.

        Raises:
            ValueError: the query cites no use entry, or there is no picture of a known kind.
        """
        if not evidence.entry:
            raise ValueError("no register is asked without a use entry")
        kind = kind_of(picture)
        if kind is None:
            raise ValueError("not a picture")
        if query.identifier_type is not IdentifierType.PERSONAL_NUMBER:
            return NotFound(self.name)
        named = person_by_number(query)
        text = f"data:{kind};base64,{base64.b64encode(picture).decode()}"
        return self._attempt(
            lambda: _judgement(
                self._ask(
                    "compare", {**named, "picture": text}, cause_of(query, evidence, self.name)
                ),
                self.name,
                named["personal_number"],
                now,
            )
        )


def kind_of(picture: bytes) -> str | None:
    """Return the media type of what may be sent: JPEG or PNG, and not too large."""
    if len(picture) > GREATEST_PICTURE:
        return None
    return next((kind for sign, kind in _KINDS.items() if picture.startswith(sign)), None)


def _judgement(
    answer: dict[str, Any], name: str, number: str, now: datetime
) -> Judgement | NotFound:
    if answer.get("found") is False:
        return NotFound(name)
    reference = answer.get("reference")
    # A verdict on somebody else is worse than none.
    if answer.get("found") is not True or answer.get("personal_number") != number:
        raise RegisterFaultError("wrong-answer")
    try:
        if not isinstance(reference, str) or not _REFERENCE.fullmatch(reference):
            raise RegisterFaultError("wrong-answer")
        at = datetime.fromisoformat(str(answer.get("judged_at")))
        if abs(at - now) > GREATEST_LEAD:
            raise RegisterFaultError("wrong-answer")
        return Judgement(Verdict(str(answer.get("verdict"))), reference, at)
    except (ValueError, TypeError) as error:
        raise RegisterFaultError("wrong-answer") from error
