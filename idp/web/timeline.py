"""Use entries in plain words, grouped by day: the shape in which people read them."""

from collections.abc import Container, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

import flask

from accounts.attributes import DICTIONARY, IMPLIED
from consent.data_use import BY_OFFICERS, PROVIDER, Channel, Outcome, SubjectRole, UseEntry
from consent.purposes import LEGAL_BASES, PURPOSES
from idp.oidc.disclosure import WITHHELD
from idp.services import BRAND
from idp.web import context, person
from idp.web.language import N_, TIME_ZONE, translate

_ACTIONS = {
    Channel.ID_TOKEN: N_("Signed you in"),
    Channel.USERINFO: N_("Read your data"),
    Channel.INTROSPECTION: N_("Checked that your sign-in is still valid"),
    Channel.CONNECTOR_PULL: N_("Compared your data with the register"),
    Channel.CONNECTOR_PUSH: N_("Heard from the register that your data changed"),
    Channel.ISSUING: N_("Recorded your data when the account was issued"),
    Channel.STAFF_VIEW: N_("An officer looked at your data"),
    Channel.REGULATOR_VIEW: N_("An inspector of the authority looked at your request"),
    Channel.OPERATOR_VIEW: N_("An operator looked at your account"),
    Channel.AUDIT_OPENING: N_("An auditor drew an entry of yours by lot and checked it"),
    Channel.EXPORT: N_("Gave you a copy of your data"),
    Channel.CASE: N_("Received what you ask of it"),
    Channel.RP_REPORTED: N_("Reported what it did later with your data"),
}
_REFUSED = N_("Asked for your data and was refused")
_ACTIONS_ON_ORGANISATION = {
    Channel.ID_TOKEN: N_("Signed in its representative"),
    Channel.USERINFO: N_("Read the organisation's data"),
    Channel.INTROSPECTION: N_("Checked that its representative's sign-in is still valid"),
    Channel.CONNECTOR_PULL: N_("Compared the organisation's data with the register"),
    Channel.CONNECTOR_PUSH: N_("Heard from the register that the organisation's data changed"),
    Channel.ISSUING: N_("Recorded the organisation's data when the account was issued"),
    Channel.STAFF_VIEW: N_("An officer looked at the organisation's data"),
    Channel.REGULATOR_VIEW: N_(
        "An inspector of the authority looked at the organisation's request"
    ),
    Channel.OPERATOR_VIEW: N_("An operator looked at the organisation's account"),
    Channel.AUDIT_OPENING: N_("An auditor drew an entry of the organisation by lot and checked it"),
    Channel.EXPORT: N_("Gave out a copy of the organisation's data"),
    Channel.CASE: N_("Received what the organisation asks of it"),
    Channel.RP_REPORTED: N_("Reported what it did later with the organisation's data"),
}
# To somebody who looks at a child's or ward's record.
_ACTIONS_ON_ANOTHER = {
    Channel.ID_TOKEN: N_("Signed in this person, or who acts for her"),
    Channel.USERINFO: N_("Read this person's data"),
    Channel.INTROSPECTION: N_("Checked that a sign-in is still valid"),
    Channel.CONNECTOR_PULL: N_("Compared this person's data with the register"),
    Channel.CONNECTOR_PUSH: N_("Heard from the register that this person's data changed"),
    Channel.ISSUING: N_("Recorded this person's data when the account was issued"),
    Channel.STAFF_VIEW: N_("An officer looked at this person's data"),
    Channel.REGULATOR_VIEW: N_("An inspector of the authority looked at this person's request"),
    Channel.OPERATOR_VIEW: N_("An operator looked at this person's account"),
    Channel.AUDIT_OPENING: N_("An auditor drew an entry of this person by lot and checked it"),
    Channel.EXPORT: N_("Gave out a copy of this person's data"),
    Channel.CASE: N_("Received what is asked of it for this person"),
    Channel.RP_REPORTED: N_("Reported what it did later with this person's data"),
}
# Of a person for whom somebody acted; what else happens to her data is told as to herself.
_ACTIONS_ON_REPRESENTED = {
    **_ACTIONS,
    Channel.ID_TOKEN: N_("Signed in who acts for you"),
    Channel.INTROSPECTION: N_("Checked that the sign-in of who acts for you is still valid"),
}
# What an agency says it did later; told of whosesoever data it is.
_REPORTED = {
    "use": N_("Says it used this data again"),
    "share": N_("Says it passed this data on"),
    "derive": N_("Says it worked out something new from this data"),
    "transfer": N_("Says it sent this data abroad"),
    "erase": N_("Says it erased this data"),
}
_LOST = N_("What was recorded here was removed")
CHANGED = N_("What stands here is not what was recorded. The proof of the uses shows that too.")
_KEY_CHECKED = N_("Checked that this system may act for the organisation")
_REFUSED_ON_ORGANISATION = N_("Asked for the organisation's data and was refused")
_NEVER = datetime.min.replace(tzinfo=UTC)
_OTHER_LABELS = {
    "represents": N_("Whom you act for"),
    "organization_joint": N_("Whether they represent only together"),
    "passport_mrz": N_("Machine-readable zone of the passport"),
}
# What `represents` tells of the organisation itself (eid.md 5.3).
_REPRESENTED = ("organization_name", "tax_code")
_SEALED = {"investigation": N_("an investigation"), "court": N_("a court case")}
_REASONS = {
    "withdrawn": N_("You had withdrawn your consent."),
    "paused": N_("Your consent was paused."),
    "expired": N_("The permission had run out."),
    "mandate-ended": N_("The mandate to act for another had ended."),
    "locked": N_("The account was locked."),
    "ended": N_("The sign-in had ended."),
    "not-theirs": N_("It showed the key to data of another service. Nothing was given out."),
    "used-twice": N_(
        "A key that is good once was used again. All keys of that sign-in were ended."
    ),
    "level": N_("Your account or sign-in level does not suffice for this."),
    "declined": N_("You were asked, and said no."),
}
# Told by the entry itself: that somebody was recognised, not what was read of her.
_UNTOLD = frozenset({"sub", WITHHELD}) | IMPLIED


def channels(*, of_organisation: bool = False, of_another: bool = False) -> dict[str, str]:
    """Return what can happen, by channel, in plain words for whoever's record it is."""
    actions = _ACTIONS_ON_ORGANISATION if of_organisation else _ACTIONS
    if of_another:
        actions = _ACTIONS_ON_ANOTHER
    return {channel.value: translate(text) for channel, text in actions.items()}


def agency(client_id: str) -> str:
    """Return the relying party's name in the language of this request."""
    if client_id == PROVIDER:
        return BRAND
    services = context.services()
    found = services.installation.relying_parties.find_any(client_id, services.db)
    return found.name(flask.g.language) if found is not None else client_id


def officer(officer_id: str) -> str:
    """Return the office and the officer's stable sign: people see no officer's name."""
    found = context.services().officers.find(officer_id)
    return f"{found.office} · {found.sign}" if found is not None else ""


def labels(claims: Iterable[str]) -> list[str]:
    """Return the claims' plain names, in the dictionary's order."""
    language, wanted = flask.g.language, set(claims) - _UNTOLD
    named = [row.label[language] for claim, row in DICTIONARY.items() if claim in wanted]
    return named + [translate(text) for claim, text in _OTHER_LABELS.items() if claim in wanted]


def purpose_title(code: str) -> str:
    """Return the purpose in plain words."""
    known = PURPOSES.get(code)
    return known.title[flask.g.language] if known else code


def _other(party: str) -> str:
    """Return who acted or was acted for: a person, an organisation, or the holder of a key."""
    name = person.name_of(party)
    by_key = None if name else context.services().mandates.find(party)
    return name if by_key is None else agency(by_key.client_id or "")


def by_day(
    entries: Iterable[UseEntry],
    *,
    of_another: bool = False,
    of: str = "",
    changed: Container[int] = (),
) -> list[dict[str, Any]]:
    """Return entries, newest first, grouped by the day in Viet Nam on which they happened; what one
    agency did again and again in a row is one item, with each time in it.

    ``of_another`` tells them to somebody who looks at another person's record, ``of`` is the
    mandate by which she does; ``changed`` are the positions of entries that are not what was recorded.
    """
    grouped = groupby(entries, key=lambda entry: entry.at.astimezone(TIME_ZONE).date())
    return [
        {
            "date": day,
            "entries": [
                _folded(list(run), of_another, of, changed=is_changed)
                for (is_changed, _), run in groupby(
                    part, key=lambda entry: (entry.position in changed, _likeness(entry))
                )
            ],
        }
        for day, part in grouped
    ]


def _reported(entry: UseEntry) -> dict[str, Any]:
    """Return what an agency says of a later use: when, by whom of its people, and to whom it gave it."""
    detail = entry.use.detail
    recipient = detail.get("recipient", "")
    return {
        "at": datetime.fromisoformat(detail["done_at"]),
        "actor": detail["actor"],
        "recipient": agency(recipient) if recipient else "",
        "cites": detail["cites"],
    }


def _likeness(entry: UseEntry) -> UseEntry:
    """Return what entries that are told as one have in common: all but when, and what follows."""
    use = replace(entry.use, correlation="", grant_id=None)
    return replace(entry, id="", position=0, at=_NEVER, commitment=b"", use=use)


def _folded(run: list[UseEntry], of_another: bool, of: str, *, changed: bool) -> dict[str, Any]:
    told = one(run[0], of_another=of_another, of=of, changed=changed)
    if len(run) > 1:
        told["times"] = [{"time": each.at, "href": _href(each, of)} for each in run]
    return told


def _href(entry: UseEntry, of: str) -> str:
    return f"/me/uses/{entry.position}" + (f"?of={of}" if of else "")


def one(
    entry: UseEntry, *, of_another: bool = False, of: str = "", changed: bool = False
) -> dict[str, Any]:
    """Return one entry in plain words; ``changed`` when it is not what was recorded."""
    use, language = entry.use, flask.g.language
    basis = LEGAL_BASES.get(use.legal_basis)
    refused, why = use.outcome is Outcome.REFUSED, use.detail.get("reason")
    seal = use.detail.get("sealed_as")
    is_organisation = use.subject_role is SubjectRole.ORGANISATION
    is_represented = is_organisation or use.subject_role is SubjectRole.REPRESENTED
    actions = {
        SubjectRole.PRIMARY: _ACTIONS,
        SubjectRole.ORGANISATION: _ACTIONS_ON_ORGANISATION,
        SubjectRole.REPRESENTED: _ACTIONS_ON_REPRESENTED,
    }[use.subject_role]
    if of_another:
        actions = _ACTIONS_ON_ANOTHER
    refusal = _REFUSED_ON_ORGANISATION if is_organisation else _REFUSED
    action = refusal if refused else actions[use.channel]
    if use.legal_basis == "mandate":
        action = _KEY_CHECKED
    if use.channel is Channel.RP_REPORTED:
        action = _REPORTED[use.detail["action"]]
    if entry.is_lost:
        action = _LOST
    told = use.attributes
    if is_organisation and "represents" in told:
        told = (*_REPRESENTED, *(claim for claim in told if claim != "represents"))
    attributes = labels(told)
    is_staff = use.channel in BY_OFFICERS
    named = use.other_party is not None and not is_staff
    other_party = _other(use.other_party or "") if named else None
    return {
        "id": entry.id or entry.position,
        "href": _href(entry, of),
        "time": entry.at,
        "agency": agency(use.client_id),
        "action": translate(action),
        "attributes": attributes,
        "purpose": purpose_title(use.purpose),
        "basis": basis.title[language] if basis else use.legal_basis,
        "law": basis.law[language] if basis else "",
        "acting_for": None if is_represented else other_party,
        "represented_by": other_party if is_represented else None,
        "officer": officer(use.other_party or "") if is_staff else None,
        "refused": refused,
        "unsealed": translate(_SEALED[seal]) if seal else "",
        "sealed_at": datetime.fromisoformat(use.detail["sealed_at"])
        if "sealed_at" in use.detail
        else None,
        "why_refused": translate(_REASONS[why]) if why else "",
        "sign_in_only": not attributes and not entry.is_lost,
        "changed": translate(CHANGED) if changed or entry.is_lost else "",
        "reported": _reported(entry) if use.channel is Channel.RP_REPORTED else None,
    }
