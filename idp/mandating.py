"""Who may give which mandate to whom, and what ends when one does.

Heads of an organisation (by the register's word) appoint administrators, those name members; an adult
gives a proxy to another adult. Nobody passes on more than she has, or for longer (Civil Code 2015
Art. 564). Who gave a mandate narrows or revokes it, its holder gives it back; whatever stood on it
loses its tokens in the same transaction. Mandates below one that ended are suspended until somebody
who may give such a mandate confirms them.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from accounts import legal_clock
from accounts.account import AccountKind, Accounts
from accounts.attributes import HeldAttributes, Source, best_value
from accounts.errors import AccountsError
from accounts.levels import AccountLevel
from accounts.mandates import (
    HEADS,
    WITHOUT_BOUNDS,
    Mandate,
    Mandates,
    MandateState,
    MandateType,
    Terms,
)
from accounts.schema import Clock
from accounts.subject import IdentifierType, Subjects, canonical
from consent.purposes import PURPOSES
from idp import audit, limits
from idp.limits import Limits
from idp.oidc.grants import Grants

SERVICES = tuple(code for code in PURPOSES if not code.startswith("account-"))
"""The services to which a mandate can be narrowed: the purposes for which relying parties ask."""
LONGEST = timedelta(days=365)
"""No mandate that people give lasts longer (TK02 authorisations and proxies alike)."""
GREATEST_AMOUNT = 10**15
DECISION = "decision"
"""The source of a mandate that an appointing decision gives."""
_GIVEN_UNDER = {
    MandateType.LEGAL_REP: (MandateType.ORG_ADMIN, MandateType.ORG_MEMBER, MandateType.MACHINE),
    MandateType.ORG_HEAD: (MandateType.ORG_ADMIN, MandateType.ORG_MEMBER, MandateType.MACHINE),
    MandateType.ORG_ADMIN: (MandateType.ORG_MEMBER, MandateType.MACHINE),
    MandateType.ORG_MEMBER: (MandateType.ORG_MEMBER,),
    MandateType.PROXY: (MandateType.PROXY,),
}
"""What can be given under a mandate of each type; the last two pass on what they hold themselves."""
_PASSES_ON = frozenset({MandateType.ORG_MEMBER, MandateType.PROXY})


class NotEntitledToGiveError(AccountsError):
    """The person may not give, take or change this mandate."""

    code = "not-entitled"


class MandateGoneError(AccountsError):
    """The mandate is not open to this any more: answered, lapsed, revoked, or its ground is gone."""

    code = "application-not-ready"


class TooManyOffersError(AccountsError):
    """So many offers in an hour look like a search for people."""

    code = "too-many-offers"


class BadTermsError(AccountsError):
    """The terms cannot be; ``faults`` maps fields to codes of what is wrong with them."""

    code = "bad-application"

    def __init__(self, **faults: str) -> None:
        super().__init__(", ".join(f"{field}: {fault}" for field, fault in faults.items()))
        self.faults = faults


@dataclass(frozen=True)
class Basis:
    """What a person can give from: a mandate she holds, or herself (``under`` is None)."""

    under: Mandate | None
    principal_id: str
    terms: Terms
    types: tuple[MandateType, ...]

    @property
    def is_joint(self) -> bool:
        """True when the other representatives have to agree."""
        return self.under is not None and self.under.joint


@dataclass(frozen=True)
class Mandating:
    """Gives, answers, narrows, confirms and ends mandates within one transaction."""

    mandates: Mandates
    accounts: Accounts
    subjects: Subjects
    held: HeldAttributes
    grants: Grants
    limits: Limits
    clock: Clock

    def bases(self, subject_id: str) -> list[Basis]:
        """Return everything from which the person could give a mandate now."""
        if not self.may_act(subject_id):
            return []
        own = (
            [Basis(None, subject_id, WITHOUT_BOUNDS, (MandateType.PROXY,))]
            if self.is_adult(subject_id)
            else []
        )
        return own + [
            Basis(held, held.principal_id, _to_give(held), _GIVEN_UNDER[held.type])
            for held in self.mandates.held_by(subject_id)
            if held.type in _GIVEN_UNDER
            and (held.type not in _PASSES_ON or held.terms.sub_delegation)
        ]

    def basis(self, subject_id: str, under_id: str | None, type_: MandateType) -> Basis:
        """Return the basis on which the person gives a mandate of the type.

        Raises:
            NotEntitledToGiveError: she has none.
        """
        for one in self.bases(subject_id):
            if (one.under.id if one.under else None) == under_id and type_ in one.types:
                return one
        raise NotEntitledToGiveError

    def offer(
        self,
        giver_id: str,
        type_: MandateType,
        under_id: str | None,
        terms: Terms,
        *,
        name: str,
        personal_number: str,
    ) -> str:
        """Offer a mandate to whom name and number mean together; return its id.

        Whether there is such a person changes nothing that the giver sees: an offer to nobody waits
        and lapses like any other.

        Raises:
            NotEntitledToGiveError: she cannot give this.
            BadTermsError: terms that cannot be, or that go beyond what she holds.
            TooManyOffersError: she made too many offers lately.
        """
        basis = self.basis(giver_id, under_id, type_)
        number = canonical(IdentifierType.PERSONAL_NUMBER, personal_number)
        faults = _faults_in_terms(type_, basis, terms, self.clock())
        if not name.strip() or len(name) > 200 or not name.isprintable():
            faults["name"] = "missing"
        if len(number) != 12 or not (number.isascii() and number.isdigit()):
            faults["personal_number"] = "impossible"
        elif self.subjects.bears(giver_id, IdentifierType.PERSONAL_NUMBER) == number:
            faults["personal_number"] = "yourself"
        if faults:
            raise BadTermsError(**faults)
        counted = (limits.MANDATE_OFFERS, giver_id)
        if self.limits.is_exhausted(counted):
            raise TooManyOffersError
        # Every offer counts, so that reaching the limit tells nothing either.
        self.limits.count_failure(counted)
        agent_id = self._person(name, number)
        if agent_id == basis.principal_id:
            agent_id = None
        mandate_id = self.mandates.offer(
            type_,
            basis.principal_id,
            terms,
            granted_by=giver_id,
            under_id=under_id,
            agent_id=agent_id,
            stated_name=" ".join(name.split()),
            is_proposed=self._awaits_others(basis, giver_id),
        )
        audit.security_event("mandate.offered", mandate=mandate_id, type=type_.value)
        return mandate_id

    def name_machine(
        self, giver_id: str, under_id: str, terms: Terms, *, client_id: str, key_thumbprint: str
    ) -> str:
        """Let a relying party's key stand for the organisation; return the mandate's id.

        The caller has seen that the relying party has registered such a key.

        Raises:
            NotEntitledToGiveError: she cannot give this.
            BadTermsError: terms that cannot be, or that go beyond what she holds.
        """
        basis = self.basis(giver_id, under_id, MandateType.MACHINE)
        faults = _faults_in_terms(MandateType.MACHINE, basis, terms, self.clock())
        if faults:
            raise BadTermsError(**faults)
        mandate_id = self.mandates.give_to_machine(
            basis.principal_id,
            terms,
            granted_by=giver_id,
            under_id=under_id,
            client_id=client_id,
            key_thumbprint=key_thumbprint,
            is_proposed=self._awaits_others(basis, giver_id),
        )
        audit.security_event("mandate.machine_named", mandate=mandate_id, party=client_id)
        return mandate_id

    def answer(self, mandate_id: str, subject_id: str, *, accepts: bool) -> None:
        """Accept or decline what was offered.

        Raises:
            MandateGoneError: it is no open offer to her, or what it rests on is gone.
            NotEntitledToGiveError: she has no open account of level 02, or is no adult.
        """
        found = self.mandates.hold(mandate_id)
        if found is None or found.agent_id != subject_id:
            raise MandateGoneError
        if accepts:
            is_of_age = found.type is not MandateType.PROXY or self.is_adult(subject_id)
            if not self.may_act(subject_id) or not is_of_age:
                raise NotEntitledToGiveError
            if self._upper(found) is None and found.under_id is not None:
                raise MandateGoneError
        if not self.mandates.answer(mandate_id, subject_id, accepts=accepts):
            raise MandateGoneError
        answer = "accepted" if accepts else "declined"
        audit.security_event(f"mandate.{answer}", mandate=mandate_id)

    def asked_to_agree(self, subject_id: str) -> list[Mandate]:
        """Return the proposals that wait for the person as one of several joint representatives."""
        return [
            proposed
            for head in self.mandates.held_by(subject_id)
            if head.type in HEADS
            for proposed in self.mandates.of_principal(head.principal_id)
            if self.mandates.standing(proposed) is MandateState.PROPOSED
            and proposed.granted_by != subject_id
            and subject_id not in self.mandates.agreed_by(proposed.id)
        ]

    def agree(self, mandate_id: str, subject_id: str, *, agrees: bool) -> None:
        """Agree to another representative's proposal, or stop it.

        Raises:
            MandateGoneError: it waits for her no more.
        """
        found = self.mandates.hold(mandate_id)
        if (
            found is None
            or self.mandates.standing(found) is not MandateState.PROPOSED
            or found.granted_by == subject_id
            or subject_id
            not in {one.agent_id for one in self.mandates.heads_of(found.principal_id)}
            or not self.mandates.agree(mandate_id, subject_id, agrees=agrees)
        ):
            raise MandateGoneError
        if not agrees:
            self.mandates.revoke(mandate_id, subject_id)
        else:
            self._settle(found)
        audit.security_event("mandate.agreed" if agrees else "mandate.stopped", mandate=mandate_id)

    def narrow(self, mandate_id: str, subject_id: str, terms: Terms) -> None:
        """Give the mandate narrower terms; what was granted under the wider ones ends.

        Raises:
            MandateGoneError: it has ended.
            NotEntitledToGiveError: it is not hers to narrow.
            BadTermsError: the terms are wider.
        """
        found = self._changeable(mandate_id, subject_id)
        if not terms.scopes:
            raise BadTermsError(scopes="missing")
        if terms.valid_to is None or terms.valid_to <= self.clock():
            raise BadTermsError(lasts="impossible")
        if not terms.is_within(found.terms):
            raise BadTermsError(scopes="wider")
        self.mandates.narrow(mandate_id, subject_id, terms)
        below = self.mandates.below({mandate_id}) - {mandate_id}
        for lower_id in sorted(below):
            lower = self.mandates.hold(lower_id)
            if lower is not None and self._is_open(lower):
                self._narrow_below(lower, subject_id)
        self.grants.revoke_of_mandates({mandate_id, *below})
        audit.security_event("mandate.narrowed", mandate=mandate_id)

    def revoke(self, mandate_id: str, subject_id: str) -> None:
        """End the mandate at once: its giver, its holder, or who stands for the principal.

        What a member or administrator had passed on is suspended; of a proxy everything ends.

        Raises:
            MandateGoneError: it has ended.
            NotEntitledToGiveError: it is not hers, or no person gave it.
        """
        found = self.mandates.hold(mandate_id)
        if found is None or not self.is_party(found, subject_id):
            raise NotEntitledToGiveError
        if found.is_by_right:
            raise NotEntitledToGiveError
        if not self._is_open(found):
            raise MandateGoneError
        below = self.mandates.below({mandate_id})
        ending = below if found.type is MandateType.PROXY else {mandate_id}
        for one in sorted(ending):
            self.mandates.revoke(one, subject_id)
        self.grants.revoke_of_mandates(below)
        audit.security_event("mandate.revoked", mandate=mandate_id)

    def reconfirm(self, mandate_id: str, subject_id: str) -> None:
        """Let a suspended mandate, whose giver's own ended, stand on one of the person's own.

        Raises:
            MandateGoneError: it does not wait for that.
            NotEntitledToGiveError: she holds nothing under which it could be given.
        """
        found = self.mandates.hold(mandate_id)
        if found is None or not self.mandates.needs_confirmation(found):
            raise MandateGoneError
        basis = self.basis_to_confirm(found, subject_id)
        if basis is None or basis.under is None:
            raise NotEntitledToGiveError
        terms = _narrowed_to(found.terms, basis.terms)
        if not terms.scopes:
            raise NotEntitledToGiveError
        proposed = self._awaits_others(basis, subject_id)
        self.mandates.reconfirm(mandate_id, subject_id, basis.under.id, terms, is_proposed=proposed)
        audit.security_event("mandate.reconfirmed", mandate=mandate_id)

    def basis_to_confirm(self, found: Mandate, subject_id: str) -> Basis | None:
        """Return what of the person's own the mandate could stand on."""
        if found.agent_id == subject_id or not found.type.value.startswith(("org_", "machine")):
            return None
        return next(
            (
                one
                for one in self.bases(subject_id)
                if one.under is not None
                and one.under.id != found.under_id
                and one.principal_id == found.principal_id
                and found.type in one.types
            ),
            None,
        )

    def follow_representatives(
        self,
        organisation_id: str,
        people: set[str],
        source: str,
        *,
        joint: bool | None = None,
        named: int | None = None,
        version: str | None = None,
    ) -> None:
        """Make an organisation's legal representatives those whom the register names.

        Who is named no more loses every token for the organisation, and so does everybody whose
        mandate rested on hers; those mandates wait for another representative's confirmation. A
        proposal that waited only for somebody who left goes on.
        """
        before = {one.id for one in self._by_right(organisation_id)}
        self.mandates.follow_register(
            MandateType.LEGAL_REP,
            organisation_id,
            people,
            source,
            joint=joint,
            named=named,
            version=version,
        )
        lost = before - {one.id for one in self._by_right(organisation_id)}
        self.end_grants_below(lost)
        for proposed in self.mandates.of_principal(organisation_id):
            if self.mandates.standing(proposed) is MandateState.PROPOSED:
                self._settle(proposed)

    def appoint_head(
        self, organisation_id: str, person_id: str, valid_to: datetime | None, decision: str
    ) -> None:
        """Record who heads an agency, on the number of the appointing decision.

        Raises:
            NotEntitledToGiveError: the person has no open account of level 02.
        """
        if not self.may_act(person_id):
            raise NotEntitledToGiveError
        self.mandates.grant(
            MandateType.ORG_HEAD, organisation_id, person_id, DECISION, valid_to, decision[:64]
        )
        audit.security_event("mandate.head_appointed", organisation=organisation_id)

    def end_heads(self, organisation_id: str, person_id: str) -> bool:
        """End the appointment, with every token under it and below it; False if there is none."""
        ended = {
            one.id
            for one in self.mandates.heads_of(organisation_id)
            if one.type is MandateType.ORG_HEAD and one.agent_id == person_id
        }
        for mandate_id in ended:
            self.mandates.end(mandate_id, DECISION)
        self.end_grants_below(ended)
        return bool(ended)

    def end_by_register(self, found: Mandate, source: str) -> None:
        """End a parent's or guardian's mandate that the register states no more."""
        self.mandates.end(found.id, source)
        self.end_grants_below({found.id})

    def end_grants_below(self, mandate_ids: set[str]) -> None:
        """End every token under the mandates and under all that rested on them."""
        if mandate_ids:
            self.grants.revoke_of_mandates(self.mandates.below(mandate_ids))

    # Who may

    def may_act(self, subject_id: str) -> bool:
        """True when the person has an open account of level 02 of her own."""
        found = self.accounts.find_of_subject(subject_id)
        return (
            found is not None
            and found.is_open
            and found.kind is not AccountKind.ORGANISATION
            and found.level is AccountLevel.LEVEL_02
        )

    def is_adult(self, subject_id: str) -> bool:
        """True when the registers' word makes the person an adult for certain."""
        stated = best_value(self._of_registers(subject_id), "birthdate")
        return stated is not None and legal_clock.is_adult(str(stated), self.clock())

    def is_party(self, found: Mandate, subject_id: str) -> bool:
        """True for whoever may read the mandate: holder, giver, principal, and the organisation's
        heads and administrators.
        """
        if subject_id in {found.granted_by, found.principal_id}:
            return True
        if subject_id == found.agent_id:
            return found.state is not MandateState.PROPOSED or found.accepted_at is not None
        return self._stands_for(found.principal_id, subject_id)

    def may_narrow(self, found: Mandate, subject_id: str) -> bool:
        """True for the giver, the principal herself, and who stands for the organisation."""
        return (
            not found.is_by_right
            and found.agent_id != subject_id
            and (
                subject_id in {found.granted_by, found.principal_id}
                or self._stands_for(found.principal_id, subject_id)
            )
        )

    def _stands_for(self, organisation_id: str, subject_id: str) -> bool:
        return any(
            held.principal_id == organisation_id and held.type in {*HEADS, MandateType.ORG_ADMIN}
            for held in self.mandates.held_by(subject_id)
        )

    def _changeable(self, mandate_id: str, subject_id: str) -> Mandate:
        found = self.mandates.hold(mandate_id)
        if found is None or not self.may_narrow(found, subject_id):
            raise NotEntitledToGiveError
        if not self._is_open(found):
            raise MandateGoneError
        return found

    def _is_open(self, found: Mandate) -> bool:
        return self.mandates.standing(found) in {
            MandateState.PROPOSED,
            MandateState.OFFERED,
            MandateState.ACTIVE,
            MandateState.SUSPENDED,
        }

    def _upper(self, found: Mandate) -> Mandate | None:
        upper = self.mandates.find(found.under_id) if found.under_id else None
        standing = self.mandates.standing(upper) if upper is not None else None
        return upper if standing is MandateState.ACTIVE else None

    def _narrow_below(self, lower: Mandate, actor_id: str) -> None:
        upper = self.mandates.find(lower.under_id or "")
        if upper is None or lower.terms.is_within(_to_give(upper)):
            return
        terms = _narrowed_to(lower.terms, _to_give(upper))
        if terms.scopes:
            self.mandates.narrow(lower.id, actor_id, terms)
        else:
            self.mandates.revoke(lower.id, actor_id)

    def _awaits_others(self, basis: Basis, giver_id: str) -> bool:
        """True when others must agree: also those who are locked, or have no account to do it with."""
        if basis.under is None or not basis.is_joint:
            return False
        others = {one.agent_id for one in self._by_right(basis.principal_id)} - {giver_id}
        return bool(others) or (basis.under.representatives or 1) > 1

    def _settle(self, found: Mandate) -> None:
        """Let a proposal go on once everybody whom the register names, but its giver, has agreed;
        with its giver's own mandate gone it goes nowhere.
        """
        upper = self._upper(found)
        if upper is None:
            return
        others = {one.agent_id for one in self._by_right(found.principal_id) if one.joint} - {
            found.granted_by
        }
        has_strangers = upper.joint and (upper.representatives or 1) > len(others) + 1
        if others <= self.mandates.agreed_by(found.id) and not has_strangers:
            self.mandates.release_proposal(found)

    def _by_right(self, organisation_id: str) -> list[Mandate]:
        """Return the register's mandates that have not ended, those of locked accounts included: a
        lock is no agreement.
        """
        now = self.clock()
        return [
            one
            for one in self.mandates.of_principal(organisation_id)
            if one.type is MandateType.LEGAL_REP
            and one.state is MandateState.ACTIVE
            and (one.valid_to is None or one.valid_to > now)
        ]

    def _person(self, name: str, number: str) -> str | None:
        """Return whom the number and the full name mean together, if she has an account."""
        subject_id = self.subjects.find(IdentifierType.PERSONAL_NUMBER, number)
        held = self._of_registers(subject_id or "")
        account = self.accounts.find_of_subject(subject_id or "")
        is_hers = _spelled(str(best_value(held, "name") or "")) == _spelled(name)
        known = account is not None and account.closed_at is None
        return subject_id if is_hers and known else None

    def _of_registers(self, subject_id: str) -> dict[Source, Any]:
        held = self.held.of_subject(subject_id)
        return {source: part for source, part in held.items() if source is not Source.SELF}


def until(now: datetime, days: int, *, at_most: datetime | None = None) -> datetime:
    """Return the midnight in Hanoi that ends so many days, but no later than the other moment."""
    end = legal_clock.midnight(legal_clock.today(now) + timedelta(days=days))
    return end if at_most is None else min(end, at_most)


def _faults_in_terms(
    type_: MandateType, basis: Basis, terms: Terms, now: datetime
) -> dict[str, str]:
    faults = {}
    known = {*SERVICES, "*"}
    if not terms.scopes or not terms.scopes <= known:
        faults["scopes"] = "missing"
    elif type_ is not MandateType.ORG_ADMIN and "*" in terms.scopes:
        # Only an administrator may stand for everything.
        faults["scopes"] = "missing"
    if terms.valid_to is None or not now < terms.valid_to <= now + LONGEST:
        faults["lasts"] = "impossible"
    if terms.amount_limit is not None and not 0 <= terms.amount_limit <= GREATEST_AMOUNT:
        faults["amount_limit"] = "impossible"
    if not faults and not terms.is_within(basis.terms):
        faults["scopes"] = "wider"
    return faults


def _to_give(held: Mandate) -> Terms:
    """Return the widest terms that can be given under a mandate: its own, passed on one time less."""
    depth = held.terms.sub_delegation - 1 if held.type in _PASSES_ON else 1
    return replace(held.terms, sub_delegation=max(depth, 0))


def _narrowed_to(terms: Terms, bounds: Terms) -> Terms:
    """Return the terms, cut where they go beyond the bounds."""
    scopes = terms.scopes & bounds.scopes
    if "*" in bounds.scopes:
        scopes = terms.scopes
    elif "*" in terms.scopes:
        scopes = bounds.scopes
    amounts = [one for one in (terms.amount_limit, bounds.amount_limit) if one is not None]
    ends = [one for one in (terms.valid_to, bounds.valid_to) if one is not None]
    return Terms(
        scopes,
        min(ends, default=None),
        min(amounts, default=None),
        max(terms.authentication_level, bounds.authentication_level),
        min(terms.sub_delegation, bounds.sub_delegation),
    )


def _spelled(name: str) -> str:
    return " ".join(canonical(IdentifierType.LOGIN, name).split())
