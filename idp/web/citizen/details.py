"""What is held about the person: the registers' word, which she cannot change, and her own."""

import re
from functools import cache
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import available_timezones

import flask

from accounts.attributes import DICTIONARY, EDITABLE, Held, Source
from accounts.phone import readable as readable_phone
from accounts.spelling import composed
from connectors.cursor import Cursors
from idp.contact import CONTACTS, as_stored, fits
from idp.oidc.readings import SOURCES_OF
from idp.web import context, person, words
from idp.web.language import N_, translate

blueprint = flask.Blueprint("details", __name__)
_SAVED = N_("Saved.")
_TYPES = {
    "email": "email",
    "phone_number": "tel",
    "website": "url",
    "profile": "url",
    "picture": "url",
}
_HINTS = {
    "phone_number": N_("For example 0912 345 678, or with its country code +84 912 345 678"),
    "profile": N_("Begins with https://"),
    "picture": N_("Begins with https://"),
    "website": N_("Begins with https://"),
    "zoneinfo": N_("For example Asia/Ho_Chi_Minh"),
    "locale": N_("For example vi or en-GB"),
}
# What browsers know of a person and can fill in (WCAG 2.2 §1.3.5).
_AUTOCOMPLETE = {
    "email": "email",
    "phone_number": "tel",
    "nickname": "nickname",
    "picture": "photo",
    "website": "url",
    "locale": "language",
}
_BAD_EMAIL = N_("Enter an e-mail address like name@example.vn")
_BAD_PHONE = N_("Enter a phone number like 0912 345 678 or +84 912 345 678")
_BAD_URL = N_("Enter a web address that begins with https://")
_BAD_ZONE = N_("Enter a time zone like Asia/Ho_Chi_Minh")
_BAD_LOCALE = N_("Enter a language like vi or en-GB")
_STALE = N_("Sign in again before you change this")
_TOO_LONG = N_("Enter at most 200 characters, without control characters")


@blueprint.get("/me/details")
def details() -> flask.Response:
    """Show them."""
    return _page({}, None)


@blueprint.post("/me/details")
def save() -> flask.Response:
    """Keep what she says of herself, or tell what is wrong with it."""
    session = person.required()
    services = context.services()
    held = services.contact_book.of_subject(session.subject_id)
    given = {claim: composed(flask.request.form.get(claim, "").strip()) for claim in EDITABLE}
    # The form has no contacts while the sign-in is too old to change them: they stay.
    given |= {claim: held.get(claim, "") for claim in CONTACTS if claim not in flask.request.form}
    errors = {claim: told for claim, text in given.items() if (told := _fault(claim, text))}
    contacts = {
        claim: given[claim]
        for claim in CONTACTS
        if claim in errors or as_stored(claim, given[claim]) != held.get(claim, "")
    }
    if not person.is_fresh(session):
        errors |= dict.fromkeys(contacts, translate(_STALE))
    if errors:
        return _page(errors, None, given)
    before = services.held.of_subject(session.subject_id).get(Source.SELF)
    own = {claim: text for claim, text in given.items() if claim not in CONTACTS}
    services.held.hold(session.subject_id, Source.SELF, _merged(before, own))
    for claim, text in contacts.items():
        services.contact_book.change(session.subject_id, claim, text)
    return _page({}, translate(_SAVED))


def _merged(before: Held | None, given: dict[str, str]) -> dict[str, Any]:
    values = dict(before.values) if before else {}
    for claim, text in given.items():
        if values.get(claim) == text:
            continue
        values.pop(claim, None)
        if text:
            values[claim] = text
    return values


def _fault(claim: str, text: str) -> str | None:
    if not text:
        return None
    if len(text) > 200 or any(ord(sign) < 0x20 or ord(sign) == 0x7F for sign in text):
        return translate(_TOO_LONG)
    match claim:
        case "email" if not fits(claim, text):
            return translate(_BAD_EMAIL)
        case "phone_number" if not fits(claim, text):
            return translate(_BAD_PHONE)
        case "website" | "profile" | "picture" if not _is_web_address(text):
            return translate(_BAD_URL)
        case "zoneinfo" if text not in _zones():
            return translate(_BAD_ZONE)
        case "locale" if not re.fullmatch(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*", text, re.ASCII):
            return translate(_BAD_LOCALE)
        case _:
            return None


@cache
def _zones() -> frozenset[str]:
    """Return the names of time zones, which the library reads from some six hundred files."""
    return frozenset(available_timezones())


def _as_written(claim: str, value: Any) -> Any:
    return readable_phone(value) if claim == "phone_number" and value else value


def _is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme == "https" and bool(parts.hostname) and parts.username is None


def _page(
    errors: dict[str, str], notice_text: str | None, given: dict[str, str] | None = None
) -> flask.Response:
    session = person.required()
    held = context.services().held.of_subject(session.subject_id)
    kind = context.services().accounts.account(session.account_id).kind
    is_fresh = person.is_fresh(session)
    own = held[Source.SELF].values if Source.SELF in held else {}
    language = flask.g.language
    away = {
        cursor.register: cursor.not_available_since
        for cursor in Cursors(context.services().db).all()
    }
    body = flask.render_template(
        "citizen/details.html",
        section="details",
        registers=[
            {
                "source": translate(words.SOURCES[source]),
                "as_of": part.as_of,
                "not_available_since": away.get(source.value),
                "attributes": [
                    {
                        "label": DICTIONARY[claim].label[language],
                        "value": words.in_words(claim, value),
                    }
                    for claim, value in part.values.items()
                    if claim in DICTIONARY
                ],
            }
            for source, part in held.items()
            if source in SOURCES_OF[kind]
        ],
        own=[
            {
                "claim": claim,
                "label": DICTIONARY[claim].label[language],
                "value": _as_written(claim, (given or own).get(claim, "")),
                "type": _TYPES.get(claim, "text"),
                "hint": translate(_HINTS[claim]) if claim in _HINTS else None,
                "autocomplete": _AUTOCOMPLETE.get(claim),
            }
            for claim in EDITABLE
            if is_fresh or claim not in CONTACTS or claim in errors
        ],
        contacts=[]
        if is_fresh
        else [
            {"label": DICTIONARY[claim].label[language], "value": own.get(claim, "")}
            for claim in CONTACTS
        ],
        errors=errors,
        notice_text=notice_text,
    )
    return flask.Response(body, 422 if errors else 200)
