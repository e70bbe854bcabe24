"""Consents: what the person agreed to, and taking it back with one press."""

from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import flask

from accounts.attributes import DICTIONARY, SENSITIVE
from consent import receipts
from consent.decisions import Consent, ConsentState
from consent.withdrawals import Withdrawal
from idp import audit
from idp.oidc import events
from idp.oidc.subject import pairwise_sub
from idp.web import context, person, printed, timeline
from idp.web.language import N_, show_date, show_datetime, translate

blueprint = flask.Blueprint("consents", __name__)
_AGENCY, _PURPOSE, _GIVEN = N_("Agency"), N_("Purpose"), N_("Given")
_UNTIL, _STATE = N_("Ends by itself"), N_("State")
_NOTICE = N_("Fingerprint of the text that was shown")
_STATES = {
    "active": N_("In force"),
    "paused": N_("Paused"),
    "withdrawn": N_("Withdrawn"),
    "expired": N_("Expired"),
    "superseded": N_("Replaced by a newer one"),
}
_STANDING = frozenset({ConsentState.ACTIVE, ConsentState.PAUSED})
_NARROWED = N_("Done. The agency reads no more than what you kept from now on.")
_SHORTER = {"1": 1, "30": 30, "90": 90}
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
    lasts = form.get("lasts", "")
    until = now + timedelta(days=_SHORTER[lasts]) if lasts in _SHORTER else _FOREVER
    changed = services.consents.narrow(
        person.row_id(consent_id), session.subject_id, keep=form.getlist("keep"), until=until
    )
    if changed is None:
        flask.abort(404)
    old, new = changed
    services.grants.follow_consent(old.id, new.id, new.attributes)
    _tell(
        events.NARROWED,
        old,
        replaced_by=new.id,
        attributes=sorted(new.attributes),
        valid_until=int(new.valid_until.timestamp()),
    )
    audit.security_event("consent.narrowed", account=session.account_id, party=new.client_id)
    return _page(session.subject_id, translate(_NARROWED))


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
    }
