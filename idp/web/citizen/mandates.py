"""Mandates as people manage them: what she holds, what she gave, what is offered to her.

Giving, accepting, agreeing and confirming need a sign-in with a passkey a moment ago; declining,
narrowing and revoking take rights away and need none.
"""

import re
from typing import Any

import flask

from accounts.mandates import ANYTHING, Mandate, MandateState, MandateType, Terms
from accounts.sessions import BrowserSession
from consent.purposes import PURPOSES
from idp.mandating import SERVICES, BadTermsError, Basis, until
from idp.oidc.thumbprints import is_registered
from idp.web import context, errors, journey, mandates, person
from idp.web.language import N_, translate

blueprint = flask.Blueprint("citizen_mandates", __name__)
_HERE = "/me/mandates"
_OFFERED = N_(
    "Done. If name and number belong to one person with an account, your offer waits for her answer. "
    "For her protection we do not tell whether they do."
)
_PROPOSED = N_("Done. The other legal representatives are asked to agree first.")
_NAMED = N_("The key is recorded.")
_NOTICES = {
    "accept": N_("Accepted. You may act from now on."),
    "decline": N_("Declined. Nobody can use it."),
    "agree": N_("Thank you. Your agreement is recorded."),
    "disagree": N_("Stopped. It does not come into force."),
    "narrow": N_("Narrowed. Sign-ins under the wider mandate have ended."),
    "revoke": N_("Ended at once, with every sign-in that stood on it."),
    "confirm": N_("Confirmed."),
}
_LASTS = {
    "30": N_("One month"),
    "90": N_("Three months"),
    "180": N_("Six months"),
    "365": N_("One year"),
}
_FAULTS = {
    "missing": N_("Fill this in"),
    "impossible": N_("This cannot be right; compare it with the paper"),
    "yourself": N_("This is your own number"),
    "wider": N_("This goes beyond what you hold yourself"),
    "no-services": N_("Choose at least one"),
    "no-key": N_("This service has registered no such key with us"),
}
_IN_FORCE = frozenset({MandateState.ACTIVE, MandateState.SUSPENDED})
_OPEN = frozenset({*_IN_FORCE, MandateState.OFFERED, MandateState.PROPOSED})
_MOST_ENDED = 20


@blueprint.before_request
def require_this_browser() -> flask.Response | None:
    """Let nobody change mandates whom a phone let in from afar (ADR 18), not even end them."""
    session = context.session()
    is_change = flask.request.method == "POST"
    return _sign_in_again() if is_change and session and session.is_approved_elsewhere else None


@blueprint.get(_HERE)
def overview() -> str:
    """Show everything."""
    return _overview(person.required(), None)


@blueprint.get("/me/mandates/give")
def ask() -> flask.Response:
    """Show the form for a mandate of a type, on one of her bases."""
    session = person.required()
    arguments = flask.request.args
    basis, type_ = _basis(session, arguments.get("under", ""), arguments.get("type", ""))
    if not _is_strong(session):
        return _sign_in_again()
    return _form(basis, type_, {}, {})


@blueprint.post("/me/mandates/give")
def give() -> flask.Response:
    """Offer the mandate."""
    session, form = person.required(), flask.request.form
    basis, type_ = _basis(session, form.get("under", ""), form.get("type", ""))
    if not _is_strong(session):
        return _sign_in_again()
    stated = {name: " ".join(form.get(name, "").split())[:300] for name in _FIELDS}
    terms, faults = _terms(basis, type_)
    try:
        if faults:
            raise BadTermsError(**faults)
        given = (
            _give_to_machine(session, basis, terms, stated)
            if type_ is MandateType.MACHINE
            else _offer(session, basis, type_, terms, stated)
        )
    except BadTermsError as error:
        return _form(basis, type_, stated, error.faults)
    found = context.services().mandates.find(given)
    assert found is not None  # noqa: S101 - made just now
    notice = {MandateState.PROPOSED: _PROPOSED, MandateState.OFFERED: _OFFERED}
    return flask.Response(_overview(session, translate(notice.get(found.state, _NAMED))))


@blueprint.get("/me/mandates/<mandate_id>")
def one(mandate_id: str) -> str:
    """Show a mandate with its history, to those whom it concerns."""
    session = person.required()
    return _page(session, _visible(session, mandate_id), None)


@blueprint.post("/me/mandates/<mandate_id>/<any(accept, decline):answer>")
def answer(mandate_id: str, answer: str) -> flask.Response:
    """Accept or decline what was offered."""
    session = person.required()
    if answer == "accept" and not _is_strong(session):
        return _sign_in_again()
    context.services().mandating.answer(
        person.row_id(mandate_id), session.subject_id, accepts=answer == "accept"
    )
    return flask.Response(_overview(session, _done(answer)))


@blueprint.post("/me/mandates/<mandate_id>/<any(agree, disagree):answer>")
def agree(mandate_id: str, answer: str) -> flask.Response:
    """Agree to what another representative proposes, or stop it."""
    session = person.required()
    if answer == "agree" and not _is_strong(session):
        return _sign_in_again()
    context.services().mandating.agree(
        person.row_id(mandate_id), session.subject_id, agrees=answer == "agree"
    )
    return flask.Response(_overview(session, _done(answer)))


@blueprint.post("/me/mandates/<mandate_id>/confirm")
def confirm(mandate_id: str) -> flask.Response:
    """Let a mandate whose giver's own has ended stand on one of hers."""
    session = person.required()
    found = _visible(session, mandate_id)
    if not _is_strong(session):
        return _sign_in_again()
    context.services().mandating.reconfirm(found.id, session.subject_id)
    return flask.Response(_page(session, _again(found), _done("confirm")))


@blueprint.post("/me/mandates/<mandate_id>/narrow")
def narrow(mandate_id: str) -> flask.Response:
    """Give it narrower terms."""
    session = person.required()
    found = _visible(session, mandate_id)
    terms, faults = _narrower(found)
    try:
        if faults:
            raise BadTermsError(**faults)
        context.services().mandating.narrow(found.id, session.subject_id, terms)
    except BadTermsError as error:
        body = _page(session, found, None, error.faults)
        return flask.Response(body, errors.words(error.code).status)
    return flask.Response(_page(session, _again(found), _done("narrow")))


@blueprint.post("/me/mandates/<mandate_id>/revoke")
def revoke(mandate_id: str) -> flask.Response:
    """End it, from either side."""
    session = person.required()
    found = _visible(session, mandate_id)
    context.services().mandating.revoke(found.id, session.subject_id)
    return flask.Response(_page(session, _again(found), _done("revoke")))


def _is_strong(session: BrowserSession) -> bool:
    """True right after a sign-in with a passkey, which cannot be phished (ADR 14)."""
    return session.strength.phishing_resistant and person.is_fresh(session)


def _done(what: str) -> str:
    return translate(_NOTICES[what])


def _sign_in_again() -> flask.Response:
    return journey.see_other(f"/sign-in?next={_HERE}")


def _visible(session: BrowserSession, mandate_id: str) -> Mandate:
    services = context.services()
    found = services.mandates.find(person.row_id(mandate_id))
    if found is None or not services.mandating.is_party(found, session.subject_id):
        flask.abort(404)
    return found


def _again(found: Mandate) -> Mandate:
    again = context.services().mandates.find(found.id)
    assert again is not None  # noqa: S101 - rows are never removed
    return again


def _basis(session: BrowserSession, under: str, type_: str) -> tuple[Basis, MandateType]:
    try:
        wanted = MandateType(type_)
    except ValueError:
        flask.abort(404)
    under_id = person.row_id(under) if under else None
    return context.services().mandating.basis(session.subject_id, under_id, wanted), wanted


# Reading forms

_FIELDS = ("name", "personal_number", "amount_limit", "lasts", "client_id", "key_thumbprint")


def _terms(basis: Basis, type_: MandateType) -> tuple[Terms, dict[str, str]]:
    form, faults = flask.request.form, {}
    now = context.installation().clock()
    lasts = form.get("lasts", "")
    if lasts not in _LASTS:
        faults["lasts"] = "missing"
    amount, fault = _amount(form.get("amount_limit", ""), basis.terms.amount_limit)
    if fault:
        faults["amount_limit"] = fault
    scopes = frozenset(form.getlist("services"))
    if not scopes:
        faults["services"] = "no-services"
    if ANYTHING in scopes and type_ is not MandateType.ORG_ADMIN:
        faults["services"] = "wider"
    level = 2 if "passkey_only" in form else 1
    return Terms(
        scopes,
        until(now, int(lasts) if lasts in _LASTS else 1, at_most=basis.terms.valid_to),
        amount,
        max(level, basis.terms.authentication_level),
        min(1 if "passes_on" in form else 0, basis.terms.sub_delegation),
    ), faults


def _narrower(found: Mandate) -> tuple[Terms, dict[str, str]]:
    form, faults = flask.request.form, {}
    now, terms = context.installation().clock(), found.terms
    lasts = form.get("lasts", "")
    end = terms.valid_to
    if lasts in _LASTS:
        end = until(now, int(lasts), at_most=terms.valid_to)
    amount, fault = _amount(form.get("amount_limit", ""), terms.amount_limit)
    if fault:
        faults["amount_limit"] = fault
    scopes = frozenset(form.getlist("services"))
    if not scopes:
        faults["services"] = "no-services"
    level = 2 if "passkey_only" in form else terms.authentication_level
    depth = terms.sub_delegation if "passes_on" in form else 0
    return Terms(scopes, end, amount, level, depth), faults


def _amount(text: str, bound: int | None) -> tuple[int | None, str | None]:
    digits = re.sub(r"[\s.,]", "", text)
    if not digits:
        return bound, None
    if not re.fullmatch(r"[0-9]{1,15}", digits, re.ASCII):
        return None, "impossible"
    return int(digits), None


def _offer(
    session: BrowserSession, basis: Basis, type_: MandateType, terms: Terms, stated: dict[str, str]
) -> str:
    return context.services().mandating.offer(
        session.subject_id,
        type_,
        basis.under.id if basis.under else None,
        terms,
        name=stated["name"],
        personal_number=stated["personal_number"],
    )


def _give_to_machine(
    session: BrowserSession, basis: Basis, terms: Terms, stated: dict[str, str]
) -> str:
    services = context.services()
    party = services.installation.relying_parties.find(stated["client_id"], services.db)
    if party is None or not is_registered(party.jwks, stated["key_thumbprint"]):
        raise BadTermsError(key_thumbprint="no-key")
    assert basis.under is not None  # noqa: S101 - people name no machines for themselves
    return services.mandating.name_machine(
        session.subject_id,
        basis.under.id,
        terms,
        client_id=party.client_id,
        key_thumbprint=stated["key_thumbprint"],
    )


# Showing


def _overview(session: BrowserSession, notice_text: str | None) -> str:
    services, own = context.services(), session.subject_id
    held = [
        one
        for one in services.mandates.of_agent(own)
        if one.state is not MandateState.PROPOSED or one.accepted_at is not None
    ]
    given = [one for one in services.mandates.given_by(own) if one.agent_id != own]
    headed = {
        one.principal_id
        for one in services.mandates.held_by(own)
        if one.type in {MandateType.LEGAL_REP, MandateType.ORG_HEAD, MandateType.ORG_ADMIN}
    }
    known = {one.id for one in given}
    for organisation_id in sorted(headed):
        given += [
            one
            for one in services.mandates.of_principal(organisation_id)
            if one.id not in known and one.agent_id != own and not one.is_by_right
        ]
    at = services.mandates.standing
    ended = [one for one in (*held, *given) if at(one) not in _OPEN][:_MOST_ENDED]
    return flask.render_template(
        "citizen/mandates.html",
        section="mandates",
        offered=_shown(one for one in held if at(one) is MandateState.OFFERED),
        asked=_shown(services.mandating.asked_to_agree(own)),
        held=_shown(one for one in held if at(one) in {*_IN_FORCE, MandateState.PROPOSED}),
        given=_shown(one for one in given if at(one) in _OPEN),
        ended=_shown(ended),
        ways=_ways(own),
        is_strong=_is_strong(session),
        may_act=services.mandating.may_act(own),
        notice_text=notice_text,
    )


def _shown(found: Any) -> list[dict[str, Any]]:
    return [mandates.shown(one) for one in found]


def _ways(subject_id: str) -> list[dict[str, Any]]:
    return [
        {
            "type": type_.value,
            "label": translate(mandates.TYPES[type_]),
            "under": basis.under.id if basis.under else "",
            "principal": person.name_of(basis.principal_id) if basis.under else "",
        }
        for basis in context.services().mandating.bases(subject_id)
        for type_ in basis.types
    ]


def _form(
    basis: Basis, type_: MandateType, stated: dict[str, str], faults: dict[str, str]
) -> flask.Response:
    body = flask.render_template(
        "citizen/give_mandate.html",
        section="mandates",
        type=type_.value,
        label=translate(mandates.TYPES[type_]),
        under=basis.under.id if basis.under else "",
        principal=person.name_of(basis.principal_id) if basis.under else None,
        services=_services(basis.terms, flask.request.form.getlist("services"), type_),
        lasts=_lasts(stated.get("lasts", "")),
        limit=mandates.amount(basis.terms.amount_limit),
        may_pass_on=basis.terms.sub_delegation > 0 and type_ is not MandateType.MACHINE,
        passkey_only=basis.terms.authentication_level > 1,
        is_joint=basis.is_joint,
        stated=stated,
        errors=_told(faults),
    )
    return flask.Response(body, 422 if faults else 200)


def _services(bounds: Terms, ticked: list[str], type_: MandateType) -> list[dict[str, Any]]:
    language = flask.g.language
    codes = [code for code in SERVICES if bounds.permits(code)]
    choices = [{"value": code, "label": PURPOSES[code].title[language]} for code in codes]
    if type_ is MandateType.ORG_ADMIN and ANYTHING in bounds.scopes:
        everything = mandates.services_of(frozenset({ANYTHING}))[0]
        choices = [{"value": ANYTHING, "label": everything}, *choices]
    return [{**choice, "checked": choice["value"] in ticked} for choice in choices]


def _lasts(chosen: str) -> list[dict[str, Any]]:
    return [
        {"value": days, "label": translate(text), "checked": days == chosen}
        for days, text in _LASTS.items()
    ]


def _told(faults: dict[str, str]) -> dict[str, str]:
    # A fault of the services as a whole shows at their list.
    named = {("services" if name == "scopes" else name): code for name, code in faults.items()}
    return {
        name: translate(_FAULTS.get(code, _FAULTS["impossible"])) for name, code in named.items()
    }


def _page(
    session: BrowserSession,
    found: Mandate,
    notice_text: str | None,
    faults: dict[str, str] | None = None,
) -> str:
    services, own = context.services(), session.subject_id
    standing = services.mandates.standing(found)
    return flask.render_template(
        "citizen/mandate.html",
        section="mandates",
        mandate=mandates.shown(found),
        history=mandates.history(services.mandates.history(found.id)),
        can_answer=standing is MandateState.OFFERED and found.agent_id == own,
        can_revoke=standing in _OPEN and not found.is_by_right,
        can_narrow=standing in _IN_FORCE and services.mandating.may_narrow(found, own),
        can_confirm=services.mandates.needs_confirmation(found)
        and services.mandating.basis_to_confirm(found, own) is not None,
        is_own=found.agent_id == own,
        is_strong=_is_strong(session),
        services=_services(found.terms, _ticked(found), found.type),
        lasts=_lasts(""),
        errors=_told(faults or {}),
        notice_text=notice_text,
    )


def _ticked(found: Mandate) -> list[str]:
    if flask.request.form.getlist("services"):
        return flask.request.form.getlist("services")
    return [ANYTHING] if ANYTHING in found.terms.scopes else sorted(found.terms.scopes)
