"""A mandate in plain words: who acts for whom, for what, until when, and where it stands."""

from typing import Any

import flask

from accounts.mandates import (
    ANYTHING,
    Mandate,
    MandateEvent,
    MandateEventKind,
    MandateState,
    MandateType,
)
from consent.purposes import PURPOSES
from idp.oidc.thumbprints import is_registered
from idp.web import context, person
from idp.web.language import N_, translate

TYPES = {
    MandateType.LEGAL_REP: N_("Legal representative"),
    MandateType.ORG_HEAD: N_("Head of the organisation"),
    MandateType.ORG_ADMIN: N_("Administrator of the organisation"),
    MandateType.ORG_MEMBER: N_("Member of the organisation"),
    MandateType.MACHINE: N_("Key of a system"),
    MandateType.PARENT: N_("Parent"),
    MandateType.GUARDIAN: N_("Guardian"),
    MandateType.PROXY: N_("Proxy"),
}
_STATES = {
    MandateState.PROPOSED: ("yellow", N_("Waits for the other representatives")),
    MandateState.OFFERED: ("blue", N_("Waits for an answer")),
    MandateState.ACTIVE: ("green", N_("In force")),
    MandateState.SUSPENDED: ("orange", N_("Suspended")),
    MandateState.DECLINED: ("grey", N_("Declined")),
    MandateState.REVOKED: ("grey", N_("Ended")),
    MandateState.EXPIRED: ("grey", N_("Expired")),
}
_EVENTS = {
    MandateEventKind.GIVEN: N_("Came into force"),
    MandateEventKind.PROPOSED: N_("Proposed to the other representatives"),
    MandateEventKind.AGREED: N_("A representative agreed"),
    MandateEventKind.OFFERED: N_("Offered"),
    MandateEventKind.ACCEPTED: N_("Accepted"),
    MandateEventKind.DECLINED: N_("Declined"),
    MandateEventKind.NARROWED: N_("Narrowed"),
    MandateEventKind.RECONFIRMED: N_("Confirmed anew"),
    MandateEventKind.REVOKED: N_("Revoked"),
    MandateEventKind.ENDED: N_("Ended"),
}
_SOURCES = {
    "population": N_("National population database"),
    "enterprises": N_("Business registration database"),
    "document": N_("A document shown to an officer"),
    "decision": N_("An appointing decision"),
    "representatives": N_("All representatives together"),
}
_EVERYTHING = N_("All services")


def shown(found: Mandate) -> dict[str, Any]:
    """Return the mandate as lists and its own page show it."""
    services = context.services()
    standing = services.mandates.standing(found)
    colour, text = _STATES[standing]
    return {
        "id": found.id,
        "type": translate(TYPES[found.type]),
        "is_machine": found.type is MandateType.MACHINE,
        "principal": person.name_of(found.principal_id),
        "agent": agent_of(found),
        "giver": person.name_of(found.granted_by) if found.granted_by else None,
        "source": _source(found.source),
        "state": standing.value,
        "tag": {"colour": colour, "text": translate(text)},
        "key_removed": found.type is MandateType.MACHINE and not _has_key(found),
        "services": services_of(found.terms.scopes),
        "amount_limit": amount(found.terms.amount_limit),
        "passkey_only": found.terms.authentication_level > 1,
        "passes_on": found.terms.sub_delegation > 0 and not found.is_by_right,
        "joint": found.joint,
        "from": found.accepted_at or found.valid_from,
        "until": found.valid_to,
        "lapses_at": found.lapses_at,
        "confirmed_at": found.confirmed_at,
        "key_thumbprint": found.key_thumbprint,
        "needs_confirmation": services.mandates.needs_confirmation(found),
        "without_head": _is_without_head(found),
        "is_by_right": found.is_by_right,
    }


def agent_of(found: Mandate) -> str:
    """Return who acts: until an offer is accepted, only the name that its giver typed."""
    if found.type is MandateType.MACHINE:
        services = context.services()
        party = services.installation.relying_parties.find_any(found.client_id or "", services.db)
        return party.name(flask.g.language) if party is not None else found.client_id or ""
    if found.stated_name and found.accepted_at is None:
        return found.stated_name
    return person.name_of(found.agent_id) if found.agent_id else found.stated_name


def detail(found: Mandate) -> str:
    """Return what one sees of a mandate when one chooses for whom to act, in one line."""
    parts = [translate(TYPES[found.type])]
    if not found.is_by_right:
        parts.append(", ".join(services_of(found.terms.scopes)))
    if found.terms.amount_limit is not None:
        limit = amount(found.terms.amount_limit)
        parts.append(translate(_UP_TO, amount=limit))
    return " · ".join(parts)


_UP_TO = N_("up to %(amount)s")


def services_of(scopes: frozenset[str]) -> list[str]:
    """Return the services within a mandate, by their titles."""
    if ANYTHING in scopes:
        return [translate(_EVERYTHING)]
    language = flask.g.language
    return [one.title[language] for code, one in PURPOSES.items() if code in scopes]


def amount(dong: int | None) -> str | None:
    """Return a sum of money in dong."""
    if dong is None:
        return None
    return f"{dong:,}".replace(",", "." if flask.g.language == "vi" else ",") + " đồng"


def history(events: list[MandateEvent]) -> list[dict[str, Any]]:
    """Return what happened to a mandate, each with who did it."""
    return [
        {
            "at": event.at,
            "text": translate(_EVENTS[event.kind]),
            "by": person.name_of(event.actor_id) if event.actor_id else _source(event.source or ""),
        }
        for event in events
    ]


def _has_key(found: Mandate) -> bool:
    """True while the relying party is active and has the key registered."""
    services = context.services()
    party = services.installation.relying_parties.find(found.client_id or "", services.db)
    return party is not None and is_registered(party.jwks, found.key_thumbprint or "")


def _source(source: str) -> str:
    return translate(_SOURCES[source]) if source in _SOURCES else ""


def _is_without_head(found: Mandate) -> bool:
    """True when nobody stands for the organisation by right at present."""
    return found.type.value.startswith("org_") and not context.services().mandates.heads_of(
        found.principal_id
    )
