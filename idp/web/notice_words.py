"""Notices in words: on the own pages, and on the page behind the link of a message."""

import flask

from accounts.attributes import DICTIONARY
from accounts.notices import Notice, NoticeKind
from idp.alarm import ABOUT_A_USE
from idp.services import BRAND
from idp.web import timeline
from idp.web.language import N_, show_country, translate

TITLES = {
    NoticeKind.CONTACT_CHANGED: N_("%(what)s was changed"),
    NoticeKind.CONTACT_CHANGE_ASKED: N_("An office asks to change: %(what)s"),
    NoticeKind.CONTACT_CHANGE_REFUSED: N_("An office did not change: %(what)s"),
    NoticeKind.DATA_COPIED: N_("A copy of your data was downloaded"),
    NoticeKind.SIGN_IN_CHANGED: N_("How you sign in was changed: %(what)s"),
    NoticeKind.QR_APPROVED: N_("Your phone approved a sign-in to %(what)s"),
    NoticeKind.CASE_MOVED: N_("News of your request %(what)s"),
    NoticeKind.UNSEALED: N_("A use of your data that had been kept sealed is now in your record"),
    NoticeKind.SIGN_IN: N_("Somebody signed in with a browser that you had not used before"),
    NoticeKind.NEW_PLACE: N_("Somebody signed in at a place where you had not signed in lately"),
    NoticeKind.FIRST_USE: N_("%(what)s used data for the first time"),
    NoticeKind.NEW_DATA: N_("%(what)s read data that it had not read before: %(data)s"),
    NoticeKind.UNUSUAL_USE: N_("%(what)s used data in an unusual way: %(why)s"),
    NoticeKind.WITHDRAWAL_MOVED: N_("%(what)s and your withdrawal: %(why)s"),
    NoticeKind.CONSENT_ENDS: N_("Your consent for %(what)s ends soon"),
    NoticeKind.RECONFIRM: N_("A consent for %(what)s has to be confirmed"),
    NoticeKind.DIGEST: N_("Your data in %(month)s: agencies %(agencies)s, uses %(uses)s"),
    NoticeKind.LOCKED: N_("Your account was locked at your own wish"),
    NoticeKind.UNLOCKED: N_("Your account was unlocked with a passkey"),
    NoticeKind.RECOVERY_BEGUN: N_("A recovery of your account was begun"),
    NoticeKind.RECOVERY_CANCELLED: N_("The recovery of your account was stopped"),
    NoticeKind.RECOVERED: N_("Your account was recovered; every old way to sign in is void"),
}
_KINDS = {
    NoticeKind.RECOVERY_BEGUN: N_("A recovery of your account was begun"),
    NoticeKind.RECOVERED: N_("Your account was recovered; every old way to sign in is void"),
    NoticeKind.UNLOCKED: N_("Your account was unlocked with a passkey"),
    NoticeKind.CONTACT_CHANGED: N_("Contact data was changed"),
    NoticeKind.DATA_COPIED: N_("A copy of your data was downloaded"),
    NoticeKind.SIGN_IN_CHANGED: N_("How you sign in was changed"),
    NoticeKind.SIGN_IN: N_("A sign-in with a new browser"),
    NoticeKind.NEW_PLACE: N_("A sign-in at a new place"),
    NoticeKind.QR_APPROVED: N_("A sign-in by code, approved on a phone"),
}
_WHY = {
    "burst": N_("many times within an hour"),
    "night": N_("at night, while nobody was signed in there"),
    "no-case": N_("without the number of a case, which it should state"),
    "abroad": N_("your data go abroad: %(countries)s"),
    "stopped": N_("it says that it has stopped"),
    "late": N_("it has not confirmed it by the legal day"),
}
_ABROAD = N_(
    "Your data in %(month)s: agencies %(agencies)s, of them abroad %(abroad)s, uses %(uses)s"
)
_A_USE = N_("A use of your data")
_CHANGES = {
    "passkey-added": N_("a passkey was added"),
    "passkey-removed": N_("a passkey was removed"),
    "password-changed": N_("the password was set"),
    "app-added": N_("an authenticator app was set up"),
    "app-removed": N_("the authenticator app was removed"),
    "card-made": N_("a code card was made"),
    "card-removed": N_("the code card was removed"),
    "phone-code-given": N_("an office gave a code to set a phone up"),
    "phone-card-read": N_("your identity card was read to set a phone up"),
    "phone-added": N_("a phone with the Sen ID app was added"),
    "phone-removed": N_("a phone with the Sen ID app was removed"),
}


_OF_AGENCIES = frozenset(
    {
        NoticeKind.FIRST_USE,
        NoticeKind.NEW_DATA,
        NoticeKind.UNUSUAL_USE,
        NoticeKind.WITHDRAWAL_MOVED,
        NoticeKind.CONSENT_ENDS,
        NoticeKind.RECONFIRM,
    }
)


def title(one: Notice) -> str:
    """Return what the notice tells, in a line."""
    claim = one.facts.get("claim", "")
    what = DICTIONARY[claim].label[flask.g.language] if claim in DICTIONARY else ""
    if one.kind is NoticeKind.SIGN_IN_CHANGED:
        change = _CHANGES[one.facts["what"]]
        what = translate(change)
    if one.kind is NoticeKind.CASE_MOVED:
        what = one.facts["reference"]
    if one.kind is NoticeKind.QR_APPROVED:
        # Signing in to one's own pages has no relying party.
        client_id = one.facts["client_id"]
        what = timeline.agency(client_id) if client_id else BRAND
    if one.kind in _OF_AGENCIES:
        what = timeline.agency(one.facts["client_id"])
    why = one.facts.get("why") or one.facts.get("what", "")
    countries = ", ".join(show_country(code) for code in one.facts.get("countries", "").split())
    is_abroad = one.kind is NoticeKind.DIGEST and "abroad" in one.facts
    return translate(
        _ABROAD if is_abroad else TITLES[one.kind],
        what=what,
        why=translate(_WHY[why], countries=countries) if why in _WHY else "",
        data=", ".join(timeline.labels(one.facts.get("attributes", "").split())),
        month=_month(one.facts.get("month", "")),
        agencies=one.facts.get("agencies", ""),
        uses=one.facts.get("uses", ""),
        abroad=one.facts.get("abroad", ""),
    )


def _month(text: str) -> str:
    return f"{int(text[5:])}/{text[:4]}" if text else ""


def kind(code: str) -> str:
    """Return what an incident was about: the kind of the notice, or a use, not recognised."""
    if code == ABOUT_A_USE:
        return translate(_A_USE)
    return translate(_KINDS[NoticeKind(code)])
