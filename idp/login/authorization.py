"""From an authorization request to its answer: gathers the facts, asks the flow, issues the code."""

from dataclasses import dataclass
from datetime import datetime

from accounts.account import Accounts
from accounts.levels import AccountLevel, best_acr
from accounts.mandates import Mandate, Mandates, MandateType
from accounts.schema import Chance, Clock
from accounts.sessions import BrowserSession
from accounts.vault import Vault
from consent.decisions import Asked, Consent, Consents, Terms
from idp.login.flow import Facts, Step, next_step
from idp.login.interaction import SELF, Interaction, Interactions
from idp.login.ways import WaysToSignIn
from idp.oidc import wire
from idp.oidc.codes import AuthorizationCode, Codes
from idp.oidc.relying_parties import RelyingParty
from idp.oidc.request import AuthorizationRequest
from idp.oidc.response import code_response
from idp.oidc.subject import pairwise_sub
from idp.settings import Lifetimes


@dataclass(slots=True)
class Authorization:
    """Decides and answers authorization requests."""

    issuer: str
    lifetimes: Lifetimes
    clock: Clock
    chance: Chance
    vault: Vault
    interactions: Interactions
    consents: Consents
    mandates: Mandates
    accounts: Accounts
    ways: WaysToSignIn
    codes: Codes

    def step(
        self,
        request: AuthorizationRequest,
        relying_party: RelyingParty,
        session: BrowserSession | None,
        parked: Interaction | None = None,
    ) -> Step:
        """Return the next step for the request; ``parked`` is None on its first arrival."""
        if session is None:
            return next_step(Facts(request, self.clock()))
        mandate = self.mandate(session, relying_party, parked)
        asked = self.asked(request, relying_party, session, mandate)
        account = (
            self.accounts.account(session.account_id) if request.acr_values or mandate else None
        )
        facts = Facts(
            request,
            self.clock(),
            session,
            sub=pairwise_sub(self.vault, relying_party.sector, session.account_id),
            started_at=parked.started_at if parked else None,
            step_up_at=parked.step_up_at if parked else None,
            reachable=self.ways.reachable(account) if account else None,
            steps=self.ways.steps(account) if account else frozenset(),
            is_step_ended=parked is not None and parked.is_step_ended,
            mandates=len(self.offered(request, relying_party, session)),
            # A choice whose mandate has ended meanwhile is made again: nobody acts by accident as
            # herself who meant to act for another.
            acting_chosen=mandate is not None or (parked is not None and parked.acting_for == SELF),
            mandate_level=mandate.terms.authentication_level if mandate else None,
            consent=self.consents.find_covering(asked),
            decided_consent_id=parked.consent_id if parked else None,
        )
        return next_step(facts)

    def offered(
        self, request: AuthorizationRequest, relying_party: RelyingParty, session: BrowserSession
    ) -> list[Mandate]:
        """Return the mandates the person may act under here: those that reach to the relying
        party's purpose. None where it would not understand that somebody acts for somebody else,
        and none without an account of level 02 of her own.
        """
        if not relying_party.representation_aware or "represent" not in request.scope:
            return []
        held = [
            one
            for one in self.mandates.held_by(session.subject_id)
            if one.type is not MandateType.MACHINE and one.terms.permits(relying_party.purpose)
        ]
        if not held or self.accounts.account(session.account_id).level is not AccountLevel.LEVEL_02:
            return []
        return held

    def can_reach(self, session: BrowserSession, mandate: Mandate) -> bool:
        """True when she has, or can sign in with, what the mandate demands of who acts."""
        needed = mandate.terms.authentication_level
        account = self.accounts.account(session.account_id)
        return max(session.level, self.ways.reachable(account).level) >= needed

    def mandate(
        self, session: BrowserSession, relying_party: RelyingParty, parked: Interaction | None
    ) -> Mandate | None:
        """Return the mandate chosen in the interaction, if it is in force and reaches here still."""
        if parked is None or parked.acting_for in {None, SELF}:
            return None
        found = self.mandates.find_in_force(parked.acting_for or "", session.subject_id)
        return found if found is not None and found.terms.permits(relying_party.purpose) else None

    def asked(
        self,
        request: AuthorizationRequest,
        relying_party: RelyingParty,
        session: BrowserSession,
        mandate: Mandate | None,
    ) -> Asked:
        """Return what the request asks of the person, in the words of consent."""
        return Asked(
            subject_id=session.subject_id,
            client_id=relying_party.client_id,
            purpose=relying_party.purpose,
            required=request.required,
            optional=request.optional,
            offline=_lasting(request, session),
            acting_for=mandate.principal_id if mandate else None,
            terms=Terms.from_dict(request.details["terms"]) if request.details else None,
        )

    def respond(
        self,
        request: AuthorizationRequest,
        session: BrowserSession,
        consent: Consent,
        mandate: Mandate | None,
    ) -> wire.Response:
        """Answer with a code."""
        now, lasting = self.clock(), _lasting(request, session)
        code = AuthorizationCode(
            grant_id=self.chance(16).hex(),
            client_id=request.client_id,
            redirect_uri=request.redirect_uri,
            account_id=session.account_id,
            subject_id=session.subject_id,
            session_id=session.id,
            consent_id=consent.id,
            acting_for=mandate.principal_id if mandate else None,
            mandate_id=mandate.id if mandate else None,
            scope=" ".join(s for s in request.scope if lasting or s != "offline_access"),
            nonce=request.nonce,
            code_challenge=request.code_challenge,
            userinfo_claims=request.userinfo,
            id_token_claims=tuple(request.id_token_claims),
            level=int(session.level),
            acr=best_acr(session.strength, request.acr_values),
            amr=session.references,
            auth_time=_seconds(session.authenticated_at),
            offline=lasting,
            expires_at=_seconds(now + self.lifetimes.authorization_code),
            details=request.details,
        )
        return code_response(self.codes, self.issuer, request, code)


def _lasting(request: AuthorizationRequest, session: BrowserSession) -> bool:
    """True when data may be read on while she is away; never by what a phone let in from afar
    (OIDC Core §11 lets a provider leave the wish out).
    """
    return request.offline and not session.is_approved_elsewhere


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
