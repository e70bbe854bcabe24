"""Consents: what the person agreed to, and taking it back with one press."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import flask
from markupsafe import Markup

from accounts.attributes import DICTIONARY, SENSITIVE
from consent import receipts
from consent.decisions import Consent, ConsentState, notice_hash
from consent.decisions import lasts as longest
from consent.purposes import PURPOSES
from consent.withdrawals import Withdrawal
from idp import audit
from idp.oidc import events
from idp.oidc.subject import pairwise_sub
from idp.web import context, person, printed, terms, time_limits, timeline
from idp.web.language import N_, show_date, show_datetime, translate

blueprint = flask.Blueprint("consents", __name__)
_AGENCY, _PURPOSE, _GIVEN = N_("Agency"), N_("Purpose"), N_("Given")
_UNTIL, _STATE = N_("Ends by itself"), N_("State")
_NOTICE = N_("Fingerprint of the text that was shown")
_STATES = {
    "active": N_("In force"),
    "paused": N_("Paused"),
    "reconfirm": N_("Waits to be confirmed"),
    "withdrawn": N_("Withdrawn"),
    "expired": N_("Expired"),
    "superseded": N_("Replaced by a newer one"),
}
_STANDING = frozenset({ConsentState.ACTIVE, ConsentState.PAUSED, ConsentState.RECONFIRM})
_CONFIRMED = N_("Confirmed. It counts as your own from now on.")
_NARROWED = N_("Done. The agency reads no more than what you kept from now on.")
_RENEWED = N_("Renewed. It can be withdrawn at any time, as before.")
_RENEWED_FROM = timedelta(days=30)
"""So long before its end a consent can be renewed here."""
_FOREVER = datetime.max.replace(tzinfo=UTC)
_WITHDRAWN = N_("Withdrawn. The agency can no longer read your data, and its sign-in has ended.")


@blueprint.get("/me/consents")
def consents() -> str:
    """List them, those in force first."""
    session = person.required()
    return _page(session.subject_id, None)


@blueprint.post("/me/consents/<consent_id>/withdraw")
def withdraw(consent_id: str) -> str:
    """Withdraw: the consent ends, and every token that stood on it, in one transaction."""
    session = person.required()
    services = context.services()
    ended = services.consents.withdraw(person.row_id(consent_id), session.subject_id)
    if ended is None:
        flask.abort(404)
    services.grants.revoke_of_consent(consent_id)
    services.withdrawals.follow(ended)
    _tell(events.WITHDRAWN, ended)
    audit.security_event("consent.withdrawn", account=session.account_id, party=ended.client_id)
    return _page(session.subject_id, translate(_WITHDRAWN))


@blueprint.post("/me/consents/<consent_id>/narrow")
def narrow(consent_id: str) -> flask.Response | str:
    """Share less from now on, or for a shorter time: a new version takes the old one's place, and
    whatever was granted follows it at once.
    """
    session, form = person.required(), flask.request.form
    services = context.services()
    now = services.installation.clock()
    changed = services.consents.narrow(
        person.row_id(consent_id),
        session.subject_id,
        keep=form.getlist("keep"),
        until=time_limits.chosen(now, _FOREVER),
    )
    if changed is None:
        flask.abort(404)
    old, new = changed
    services.grants.follow_consent(old.id, new)
    _tell(
        events.NARROWED,
        old,
        replaced_by=new.id,
        attributes=sorted(new.attributes),
        valid_until=int(new.valid_until.timestamp()),
    )
    audit.security_event("consent.narrowed", account=session.account_id, party=new.client_id)
    return _page(session.subject_id, translate(_NARROWED))


@blueprint.get("/me/consents/<consent_id>/renew")
def ask_renewal(consent_id: str) -> str:
    """Show what would go on, for how long at most."""
    return _renewal(_one(consent_id, _is_renewable))


@blueprint.post("/me/consents/<consent_id>/renew")
def renew(consent_id: str) -> str:
    """Let it go on: a new version by the text that was just shown, and whatever was granted follows."""
    session, found = person.required(), _one(consent_id, _is_renewable)
    services, text = context.services(), _text(found)
    if flask.request.form.get("notice_hash") != notice_hash(text).hex():
        return _renewal(found)
    now = services.installation.clock()
    changed = services.consents.renew(
        found.id,
        session.subject_id,
        until=time_limits.chosen(now, now + longest(found.purpose, found.terms)),
        notice_text=text,
        language=flask.g.language,
        authentication_level=int(session.level),
    )
    if changed is None:
        flask.abort(404)
    old, new = changed
    services.grants.follow_consent(old.id, new)
    until = int(new.valid_until.timestamp())
    _tell(events.RENEWED, old, replaced_by=new.id, valid_until=until)
    audit.security_event("consent.renewed", account=session.account_id, party=new.client_id)
    return _page(session.subject_id, translate(_RENEWED))


@blueprint.get("/me/consents/<consent_id>/receipt.<any(jws, pdf):kind>")
def receipt(consent_id: str, kind: str) -> flask.Response:
    """Give the receipt: signed for programs (JWS), or to print, with its fingerprint."""
    session = person.required()
    services, wanted = context.services(), person.row_id(consent_id)
    mine = services.consents.of_subject(session.subject_id)
    found = next((one for one in mine if one.id == wanted), None)
    account = services.accounts.find_of_subject(found.subject_id) if found else None
    if found is None or account is None:
        flask.abort(404)
    installation = services.installation
    party = installation.relying_parties.find_any(found.client_id, services.db)
    now, issuer = installation.clock(), installation.settings.issuer
    sub = pairwise_sub(installation.vault, party.sector, account.id) if party else ""
    document = receipts.receipt(
        found,
        issuer=issuer,
        sub=sub,
        controller=party.names if party else {"": found.client_id},
        policy_uri=party.policy_uri if party else None,
        labels={name: DICTIONARY[name].label for name in found.attributes if name in DICTIONARY},
        sensitive=SENSITIVE,
        now=now,
    )
    name = f"sen-id-{found.id[-8:]}.{kind}"
    if kind == "jws":
        signed = installation.keys.sign_bytes(document, "ES256", typ=receipts.TYPE)
        return _file(signed.encode(), "application/jose", name)
    told = _told(found, _state(found), session.subject_id)
    facts = [
        (translate(_AGENCY), told["agency"]),
        (translate(_PURPOSE), told["purpose"]),
        (translate(_GIVEN), show_datetime(found.given_at)),
        (translate(_UNTIL), show_date(found.valid_until)),
        (translate(_STATE), translate(_STATES[_state(found)])),
        (translate(_NOTICE), found.notice_hash.hex()),
    ]
    sheet = BytesIO()
    code = receipts.address(issuer, found.id, document)
    printed.write_receipt(sheet, facts, told["attributes"], code)
    return _file(sheet.getvalue(), "application/pdf", name)


@blueprint.get("/receipts/<consent_id>")
def compare(consent_id: str) -> str:
    """Tell whoever scanned a printed receipt how to compare it; the same for any number, so that
    nobody learns whether there is such a consent.
    """
    return flask.render_template("citizen/receipt.html", number=consent_id[:32])


@blueprint.get("/me/consents/<consent_id>/confirm")
def ask_confirmation(consent_id: str) -> str:
    """Show what would count as the person's own word."""
    return _confirmation(_one(consent_id, _is_confirmable))


@blueprint.post("/me/consents/<consent_id>/confirm")
def confirm(consent_id: str) -> str:
    """Let it count: a version of her own, by the text that was just shown."""
    session, found = person.required(), _one(consent_id, _is_confirmable)
    services, text = context.services(), _text(found, leaving_out=SENSITIVE)
    if flask.request.form.get("notice_hash") != notice_hash(text).hex():
        return _confirmation(found)
    now = services.installation.clock()
    changed = services.consents.confirm(
        found.id,
        session.subject_id,
        until=time_limits.chosen(now, now + longest(found.purpose, found.terms)),
        without=SENSITIVE,
        notice_text=text,
        language=flask.g.language,
        authentication_level=int(session.level),
    )
    if changed is None:
        flask.abort(404)
    audit.security_event("consent.confirmed", account=session.account_id, party=found.client_id)
    return _page(session.subject_id, translate(_CONFIRMED))


def _one(consent_id: str, may: Callable[[Consent, str], bool]) -> Consent:
    """Return the person's consent, or answer 404 where there is none with which she ``may`` do this."""
    session, wanted = person.required(), person.row_id(consent_id)
    mine = context.services().consents.of_subject(session.subject_id)
    found = next((one for one in mine if one.id == wanted), None)
    if found is None or not may(found, session.subject_id):
        flask.abort(404)
    return found


def _is_confirmable(found: Consent, subject_id: str) -> bool:
    """True for what waits and is about the person herself: nobody confirms for another."""
    now = context.installation().clock()
    is_about = found.acting_for or found.subject_id
    return (
        found.state is ConsentState.RECONFIRM and is_about == subject_id and now < found.valid_until
    )


def _confirmation(found: Consent) -> str:
    given_by = found.acting_for is not None
    return _agreeing(
        "citizen/consent_confirm.html",
        found,
        _text(found, leaving_out=SENSITIVE),
        given_by=person.name_of(found.subject_id) if given_by else "",
        has_sensitive=bool(found.attributes & SENSITIVE),
    )


def _is_renewable(found: Consent, subject_id: str) -> bool:
    """True for the person's own that ends soon and whose purpose says what it said then."""
    now = context.installation().clock()
    return (
        found.subject_id == subject_id
        and found.acting_for is None
        and found.is_in_force(now)
        and found.valid_until - now <= _RENEWED_FROM
        and found.purpose_version == PURPOSES[found.purpose].version
    )


def _text(found: Consent, *, leaving_out: frozenset[str] = frozenset()) -> str:
    """Return the text that she agrees to, and that is kept by its hash."""
    return flask.render_template(
        "citizen/_renewal.html",
        **terms.shown(
            found.client_id,
            purpose_code=found.purpose,
            legal_basis=found.legal_basis,
            terms=found.terms,
            offline=found.offline,
            until=context.installation().clock() + longest(found.purpose, found.terms),
        ),
        attributes=timeline.labels(found.attributes - leaving_out),
    )


def _renewal(found: Consent) -> str:
    return _agreeing("citizen/consent_renew.html", found, _text(found))


def _agreeing(template: str, found: Consent, text: str, **more: object) -> str:
    lasts = longest(found.purpose, found.terms)
    return flask.render_template(
        template,
        section="consents",
        id=found.id,
        agency=timeline.agency(found.client_id),
        ends=found.valid_until,
        notice=Markup(text),  # noqa: S704 - rendered by our own autoescaping template just now
        notice_hash=notice_hash(text).hex(),
        until=context.installation().clock() + lasts,
        shorter=time_limits.shorter(lasts),
        **more,
    )


def _tell(event: str, found: Consent, **more: object) -> None:
    account = context.services().accounts.find_of_subject(found.subject_id)
    if account is not None:
        context.services().consent_events.tell(event, found, account.id, **more)


def _file(body: bytes, content_type: str, name: str) -> flask.Response:
    disposition = f'attachment; filename="{name}"'
    return flask.Response(
        body, content_type=content_type, headers={"Content-Disposition": disposition}
    )


def _page(subject_id: str, notice_text: str | None) -> str:
    services = context.services()
    now = services.installation.clock()
    given = services.consents.of_subject(subject_id)
    followed = services.withdrawals.of(c.id for c in given)
    return flask.render_template(
        "citizen/consents.html",
        section="consents",
        active=[_told(c, _state(c), subject_id) for c in given if _stands(c, now)],
        ended=[
            {**_told(c, _state(c), subject_id), "followed": _followed(followed.get(c.id), now)}
            for c in given
            if not _stands(c, now)
        ],
        notice_text=notice_text,
    )


def _followed(one: Withdrawal | None, now: datetime) -> dict[str, Any] | None:
    if one is None:
        return None
    return {
        "made_at": one.made_at,
        "told_at": one.told_at,
        "confirmed_at": one.confirmed_at,
        # The last day on which it is in time.
        "stop_by": one.stop_by - timedelta(seconds=1),
        "is_late": one.is_late(now),
    }


def _stands(consent: Consent, now: datetime) -> bool:
    return consent.state in _STANDING and now < consent.valid_until


def _state(consent: Consent) -> str:
    now = context.installation().clock()
    is_over = consent.state in _STANDING and not _stands(consent, now)
    return "expired" if is_over else consent.state.value


def _told(consent: Consent, state: str, subject_id: str) -> dict[str, Any]:
    is_own = consent.subject_id == subject_id
    acting_for = consent.acting_for if is_own else None
    return {
        "id": consent.id,
        "agency": timeline.agency(consent.client_id),
        "purpose": timeline.purpose_title(consent.purpose),
        "attributes": timeline.labels(consent.attributes),
        "declined": timeline.labels(consent.declined),
        "choices": [
            {"claim": name, "label": label}
            for name in DICTIONARY
            if name in consent.attributes and (label := "".join(timeline.labels([name])))
        ],
        "kept_along": sorted(name for name in consent.attributes if not timeline.labels([name])),
        "given_at": consent.given_at,
        "until": consent.valid_until,
        "acting_for": person.name_of(acting_for) if acting_for else None,
        "given_by": None if is_own else person.name_of(consent.subject_id),
        "state": state,
        "ended_at": consent.ended_at or consent.valid_until,
        "offline": consent.offline,
        "renewable": _is_renewable(consent, subject_id),
        "confirmable": _is_confirmable(consent, subject_id),
        "shorter": time_limits.shorter(consent.valid_until - context.installation().clock()),
    }
