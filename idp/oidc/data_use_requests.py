"""Rich authorization requests (RFC 9396) of the one type there is: a stated use of personal data.

``authorization_details`` says for one purpose which attributes are needed and which only wished for, for
how long, how long they will be kept, to whom they go on, and for which case. All of it is shown on the
consent page in words of ours, and all of it is part of what the person agreed to.
"""

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from accounts.attributes import DICTIONARY
from consent.decisions import Terms
from idp.oidc.relying_parties import DETAILS_TYPES, RelyingParty

(TYPE,) = DETAILS_TYPES
INVALID = "invalid_authorization_details"
_MOST_NAMES = 64
_MOST_RECIPIENTS = 10
_DAYS = re.compile(r"P([1-9][0-9]{0,3})D", re.ASCII)
_CASE = re.compile(r"[A-Za-z0-9][A-Za-z0-9./_\-]{0,63}", re.ASCII)
_MEMBERS = frozenset(
    {
        "type",
        "locations",
        "purpose",
        "legal_basis",
        "attributes",
        "optional",
        "valid_for",
        "retention",
        "recipients",
        "case_reference",
    }
)


class InvalidDetailsError(Exception):
    """RFC 9396 §5: the details are of an unknown type, malformed, or more than is registered."""


@dataclass(frozen=True)
class DataUseRequest:
    """What one element asks. ``attributes`` are given as a whole (but for sensitive ones), each of
    ``optional`` is the person's own choice.
    """

    attributes: tuple[str, ...]
    optional: tuple[str, ...]
    terms: Terms

    @property
    def names(self) -> tuple[str, ...]:
        """Every attribute asked for."""
        return tuple(dict.fromkeys([*self.attributes, *self.optional]))

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values, for parking and sealing."""
        return {
            "attributes": list(self.attributes),
            "optional": list(self.optional),
            "terms": asdict(self.terms),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "DataUseRequest":
        """Return what ``as_dict`` made plain."""
        return cls(
            tuple(values["attributes"]),
            tuple(values["optional"]),
            Terms.from_dict(values["terms"]),
        )


def read(
    text: str, relying_party: RelyingParty, *, issuer: str, is_known: Callable[[str], bool]
) -> DataUseRequest:
    """Return what ``authorization_details`` asks; ``is_known`` tells whether a client_id is registered.

    Exactly one element: a registration has one purpose, and purposes are never bundled.

    Raises:
        InvalidDetailsError: anything in it is unknown, malformed or not registered; nothing is ignored.
    """
    element = _only_element(text)
    _check_kind(element, relying_party, issuer)
    attributes = _names(element, "attributes", relying_party)
    optional = _names(element, "optional", relying_party)
    if not attributes and not optional:
        raise InvalidDetailsError("attributes are missing")
    if set(attributes) & set(optional):
        raise InvalidDetailsError("an attribute is either needed or optional")
    case = element.get("case_reference")
    if case is not None and not (isinstance(case, str) and _CASE.fullmatch(case)):
        raise InvalidDetailsError("case_reference holds letters, digits and . / _ - only")
    terms = Terms(
        lasts_days=_days(element, "valid_for"),
        retention_days=_days(element, "retention"),
        recipients=_recipients(element, is_known),
        case_reference=case,
    )
    return DataUseRequest(attributes, optional, terms)


def granted(
    details: dict[str, Any] | None, *, purpose: str, legal_basis: str, given: frozenset[str]
) -> list[dict[str, Any]]:
    """Return what was granted (RFC 9396 §7): of the attributes asked for those ``given`` now, and the
    terms as they were shown. Empty when nothing was asked in this way.
    """
    if details is None:
        return []
    asked = DataUseRequest.from_dict(details)
    terms = asked.terms
    element: dict[str, Any] = {
        "type": TYPE,
        "purpose": purpose,
        "legal_basis": legal_basis,
        "attributes": [name for name in asked.names if name in given],
    }
    if terms.lasts_days is not None:
        element["valid_for"] = f"P{terms.lasts_days}D"
    if terms.retention_days is not None:
        element["retention"] = f"P{terms.retention_days}D"
    if terms.recipients:
        element["recipients"] = list(terms.recipients)
    if terms.case_reference is not None:
        element["case_reference"] = terms.case_reference
    return [element]


def _only_element(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text, object_pairs_hook=_without_doubles)
    except (ValueError, RecursionError) as error:
        raise InvalidDetailsError("it is not valid JSON") from error
    if not isinstance(document, list) or not all(isinstance(one, dict) for one in document):
        raise InvalidDetailsError("it must be an array of objects")
    if len(document) != 1:
        raise InvalidDetailsError("it must hold one element: one purpose at a time")
    element: dict[str, Any] = document[0]
    return element


def _check_kind(element: dict[str, Any], relying_party: RelyingParty, issuer: str) -> None:
    if element.get("type") != TYPE:
        raise InvalidDetailsError("the type is missing or unknown")
    if TYPE not in relying_party.authorization_details_types:
        raise InvalidDetailsError("the type is not registered for this client")
    unknown = sorted(set(element) - _MEMBERS)
    if unknown:
        raise InvalidDetailsError("it holds an unknown member")
    if element.get("purpose") != relying_party.purpose:
        raise InvalidDetailsError("the purpose is not the registered one")
    if element.get("legal_basis", "consent") != "consent":
        raise InvalidDetailsError("people grant on the legal basis of consent only")
    if element.get("locations", [f"{issuer}/userinfo"]) != [f"{issuer}/userinfo"]:
        raise InvalidDetailsError("locations may name the userinfo endpoint only")


def _names(element: dict[str, Any], member: str, relying_party: RelyingParty) -> tuple[str, ...]:
    names = element.get(member, [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InvalidDetailsError(f"{member} must be an array of names")
    if len(names) > _MOST_NAMES or len(set(names)) != len(names):
        raise InvalidDetailsError(f"{member} holds too many names or one twice")
    for name in names:
        if name not in DICTIONARY or name not in relying_party.claims:
            raise InvalidDetailsError(f"{member} holds what is not registered for this client")
    return tuple(names)


def _days(element: dict[str, Any], member: str) -> int | None:
    value = element.get(member)
    if value is None:
        return None
    found = _DAYS.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise InvalidDetailsError(f"{member} must be a number of days such as P90D")
    return int(found.group(1))


def _recipients(element: dict[str, Any], is_known: Callable[[str], bool]) -> tuple[str, ...]:
    found = element.get("recipients", [])
    if (
        not isinstance(found, list)
        or len(found) > _MOST_RECIPIENTS
        or len(found) != len({str(one) for one in found})
    ):
        raise InvalidDetailsError("recipients must be an array of at most ten client ids")
    if not all(isinstance(one, str) and is_known(one) for one in found):
        raise InvalidDetailsError("recipients may name registered clients only")
    return tuple(found)


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is repeated")
    return members
