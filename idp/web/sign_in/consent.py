"""The consent page: the exact text is rendered alone, kept by its hash, and put into the page."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import flask
from markupsafe import Markup

from accounts.attributes import (
    DICTIONARY,
    IMPLIED,
    SENSITIVE,
    Attribute,
    Held,
    Source,
    best_value,
)
from accounts.levels import AccountLevel, AuthenticationLevel
from accounts.mandates import FOR_PEOPLE, Mandate
from accounts.sessions import BrowserSession
from consent.decisions import Asked, lasts, notice_hash
from idp.login.flow import AskConsent
from idp.oidc.disclosure import is_told_of_represented, is_told_of_who_acts, visible_claims
from idp.oidc.readings import SOURCES_OF
from idp.oidc.refusals import Reason
from idp.web import context, journey, person, terms, time_limits
from idp.web.language import N_, translate

blueprint = flask.Blueprint("consent", __name__)

SOURCES = {
    "population": N_("from the national population database"),
    "immigration": N_("from the immigration database"),
    "enterprises": N_("from the business registration database"),
    "identity_cards": N_("from the identity-card database"),
    "social_insurance": N_("from the social-insurance database"),
    "officials": N_("from the database of officials"),
    "self": N_("as you stated it yourself"),
    "provider": N_("from Sen ID"),
}
_NEEDS_LEVEL_2 = N_("Given only when you sign in with a passkey, or with your password and a code")
_NEEDS_ACCOUNT_LEVEL = N_("Given only when your account has level 02")
_NEEDS_MORE = N_(
    "Given only at authentication level 3, when your face or your key proved a biometric"
)
_NEEDS_HER_OWN_WORD = N_("Not given on the word of somebody else")
_NOT_HELD = N_("Sen ID holds none of yours at present")
_ASKED_LATER = N_("Asked of the register after you agree")
_OF_ORGANISATIONS = frozenset({Source.ENTERPRISES, Source.PROVIDER})


@blueprint.get("/consent")
def ask() -> flask.Response:
    """Ask for consent."""
    interaction_id = flask.request.args.get("interaction", "")
    under_way = journey.take_up(interaction_id)
    if not isinstance(under_way.next_step(), AskConsent):
        return journey.see_other(journey.go_on(interaction_id))
    return _page(under_way)


@blueprint.post("/consent")
def decide() -> flask.Response:
    """Record the decision; however often the form is sent, it is recorded once."""
    form = flask.request.form
    interaction_id = form.get("interaction", "")
    under_way = journey.take_up(interaction_id)
    if not isinstance(under_way.next_step(), AskConsent):
        return journey.see_other(journey.go_on(interaction_id))
    if form.get("decision") == "deny":
        asked = _asked(under_way)
        context.services().disclosure.refuse_without_grant(asked, Reason.DECLINED)
        raise under_way.refused("access_denied", "the person did not agree")
    text = _notice(under_way)
    if form.get("decision") != "allow" or form.get("notice_hash") != notice_hash(text).hex():
        # Another text than the one agreed to, perhaps in another language: show it first.
        return _page(under_way)
    _give(under_way, form.getlist("optional"), text)
    return journey.see_other(journey.go_on(interaction_id))


def _give(under_way: journey.Journey, chosen: list[str], text: str) -> None:
    services, session = context.services(), person.required()
    if not services.interactions.claim_decision(under_way.interaction.id):
        return
    asked = _asked(under_way)
    given = services.consents.give(
        asked,
        chosen=_with_implied(chosen, under_way.interaction.request.optional),
        notice_text=text,
        language=flask.g.language,
        authentication_level=int(session.level),
        until=_until(asked),
    )
    services.interactions.note_consent(under_way.interaction.id, given.id)
    if given.replaces is not None:
        services.grants.follow_consent(given.replaces, given)


def _until(asked: Asked) -> datetime:
    now = context.installation().clock()
    return time_limits.chosen(now, now + lasts(asked.purpose, asked.terms))


def _with_implied(chosen: list[str], optional: tuple[str, ...]) -> list[str]:
    """Add the claims that only qualify a chosen one: whether an address was verified."""
    qualifiers = [claim for claim in optional if claim in IMPLIED]
    return chosen + [q for q in qualifiers if q.removesuffix("_verified") in chosen]


def _asked(under_way: journey.Journey) -> Asked:
    services, session = context.services(), person.required()
    mandate = services.authorization.mandate(
        session, under_way.relying_party, under_way.interaction
    )
    return services.authorization.asked(
        under_way.interaction.request, under_way.relying_party, session, mandate
    )


def _page(under_way: journey.Journey) -> flask.Response:
    text = _notice(under_way)
    asked = _asked(under_way)
    longest = lasts(asked.purpose, asked.terms)
    body = flask.render_template(
        "sign_in/consent.html",
        notice=Markup(text),  # noqa: S704 - rendered by our own autoescaping template just now
        notice_hash=notice_hash(text).hex(),
        interaction=under_way.interaction.id,
        relying_party=under_way.shown(),
        until=context.installation().clock() + longest,
        shorter=time_limits.shorter(longest),
        lasts=flask.request.form.get("lasts", ""),
    )
    return flask.Response(body)


def _notice(under_way: journey.Journey) -> str:
    asked, session = _asked(under_way), person.required()
    mandate = context.services().authorization.mandate(
        session, under_way.relying_party, under_way.interaction
    )
    for_person = mandate is not None and mandate.type in FOR_PEOPLE
    represented = mandate if for_person else None
    today = context.installation().clock()
    return flask.render_template(
        "sign_in/_notice.html",
        relying_party=under_way.shown(),
        **terms.shown(
            asked.client_id,
            purpose_code=asked.purpose,
            legal_basis="consent",
            terms=asked.terms,
            offline=asked.offline,
            until=today + lasts(asked.purpose, asked.terms),
        ),
        required=_rows(asked.required, session, represented),
        optional=_rows(
            [claim for claim in asked.optional if claim not in SENSITIVE], session, represented
        ),
        sensitive=_rows(
            [claim for claim in asked.optional if claim in SENSITIVE], session, represented
        ),
        acting_for=person.name_of(asked.acting_for) if asked.acting_for else None,
        for_person=for_person,
        person={"name": person.name_of(asked.subject_id)},
    )


def _rows(
    claims: Iterable[str], session: BrowserSession, represented: Mandate | None
) -> list[dict[str, Any]]:
    """Return the attributes as the notice lists them; of a person acted for, with whose they are."""
    rows = [row for claim in claims if (row := DICTIONARY.get(claim)) and claim not in IMPLIED]
    if represented is None:
        return [_row(row, session.subject_id, session) for row in rows]
    told = []
    principal = represented.principal_id
    tells_secrets = context.services().disclosure.may_tell_secrets(represented)
    for row in rows:
        owners = [principal] if is_told_of_represented(row.claim) else []
        owners += [session.subject_id] if is_told_of_who_acts(row.claim) else []
        if owners:
            whose = ", ".join(person.name_of(owner) for owner in owners)
            shown = {**_row(row, owners[0], session), "whose": whose}
            if row.sensitive and owners[0] == principal and not tells_secrets:
                shown["waits_for"] = translate(_NEEDS_HER_OWN_WORD)
            told.append(shown)
    return told


def _row(row: Attribute, subject_id: str, session: BrowserSession) -> dict[str, Any]:
    services, language = context.services(), flask.g.language
    account = services.accounts.find_of_subject(subject_id)
    level = account.level if account is not None else AccountLevel.NONE
    visible = visible_claims(level.value, int(session.level))
    sources = SOURCES_OF[account.kind] if account is not None else ()
    asked = set(sources).intersection(context.installation().registers)
    held = services.held.of_subject(subject_id)
    return {
        "claim": row.claim,
        "label": row.label[language],
        "source": translate(SOURCES[_source_of(row, held).value]),
        "sensitive": row.sensitive,
        "waits_for": _waits_for(row, visible, level, held, asked),
    }


def _source_of(row: Attribute, held: dict[Source, Held]) -> Source:
    """Return the best source that states the attribute of this very person."""
    stating = (s for s in row.sources if s in held and held[s].values.get(row.claim) is not None)
    return next(stating, row.sources[0])


def _waits_for(
    row: Attribute,
    visible: frozenset[str],
    account_level: AccountLevel,
    held: dict[Source, Held],
    asked: set[Source],
) -> str | None:
    """Return what is missing before the gate gives this attribute, or None if it gives it now.

    She agrees to it all the same, so that she is not asked again when nothing is missing any more.
    """
    if account_level.rank < row.account_level.rank:
        return translate(_NEEDS_ACCOUNT_LEVEL)
    if row.claim not in visible:
        is_high = row.authentication_level >= AuthenticationLevel.LEVEL_3
        return translate(_NEEDS_MORE if is_high else _NEEDS_LEVEL_2)
    if _OF_ORGANISATIONS.intersection(row.sources) or best_value(held, row.claim) is not None:
        return None
    return translate(_ASKED_LATER if asked.intersection(row.sources) else _NOT_HELD)
