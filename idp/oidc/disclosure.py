"""The single gate through which attributes leave: consent, dictionary and levels decide, and the
use entry is written in the same transaction (consent.md 5.3, invariants 1 and 2).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Protocol

from accounts import legal_clock
from accounts.account import Account, AccountKind, Accounts
from accounts.attributes import (
    DERIVED,
    DICTIONARY,
    ORGANISATION_CLAIMS,
    Attribute,
    Held,
    HeldAttributes,
    Source,
    best_value,
    computed_value,
)
from accounts.levels import AccountLevel
from accounts.mandates import FOR_PEOPLE, Mandate, Mandates, MandateType
from accounts.schema import Clock
from accounts.subject import IdentifierType, Subjects
from accounts.vault import Vault
from connectors.protocol import Query
from consent.data_use import PROVIDER, Channel, Recorded, SubjectRole, Use
from consent.decisions import Asked
from consent.purposes import PURPOSES, Purpose, purpose
from consent.sealing import Seal, Sealing
from consent.use_log import UseLog
from idp.oidc.grants import Grant
from idp.oidc.readings import IDENTIFIED_BY, ReadingDueError, Readings, claims_of
from idp.oidc.refusals import Reason, Refusals
from idp.oidc.relying_parties import RelyingParty
from idp.oidc.subject import pairwise_sub

_NAME_OF_ORGANISATION = ("organization_name",)
WITHHELD = "vn_withheld"
"""The claim of userinfo that says what was agreed to and could not be given, and which level it needs."""
_OF_WHO_ACTS = frozenset({"name", "vn_account_kind", "vn_account_level", "updated_at"})
_NO_REGISTER_OF_PEOPLE = frozenset({Source.SELF, Source.PROVIDER, Source.ENTERPRISES})
_OWN_SECRETS_FROM = 7
"""From this age a child's private life needs the child's own word too (Law 91/2025 Art. 24)."""


class Seldom(Protocol):
    """What only some releases need, made when it is asked for."""

    @property
    def subjects(self) -> Subjects: ...  # noqa: D102
    @property
    def mandates(self) -> Mandates: ...  # noqa: D102
    @property
    def accounts(self) -> Accounts: ...  # noqa: D102
    @property
    def refusals(self) -> Refusals: ...  # noqa: D102
    @property
    def sealing(self) -> Sealing: ...  # noqa: D102


@dataclass(slots=True)
class Disclosure:
    """Releases claims of one request's subjects."""

    vault: Vault
    clock: Clock
    issuer: str
    held: HeldAttributes
    readings: Readings
    use_log: UseLog
    seldom: Seldom
    oversight_key: bytes | None
    correlation: str

    def release(
        self,
        grant: Grant,
        relying_party: RelyingParty,
        wanted: tuple[str, ...],
        channel: Channel,
        seal: Seal | None = None,
    ) -> dict[str, Any]:
        """Return ``sub`` and those wanted claims that may be seen, and log the release; with a seal,
        of a person who acts for herself only, it is told to her on a later day.

        The entry's attribute list is taken from the very payload that is returned.

        Raises:
            ReadingDueError: a register has to be read first, outside of this transaction.
        """
        payload: dict[str, Any] = {
            "sub": pairwise_sub(self.vault, relying_party.sector, grant.account_id)
        }
        allowed = relying_party.claims
        asked = tuple(claim for claim in wanted if claim in allowed)
        about_her = asked
        mandate = self.seldom.mandates.find(grant.mandate_id) if grant.mandate_id else None
        if mandate is None:
            payload.update(self._permitted_values(grant, asked))
        elif mandate.type in FOR_PEOPLE:
            about_her = tuple(claim for claim in asked if is_told_of_who_acts(claim))
            payload.update(self._permitted_values(grant, about_her))
            told = self._of_represented(grant, mandate, asked)
            payload["represents"] = self._represents_person(grant, mandate, relying_party) | told
            self._log_principal(grant, channel, tuple(told) or ("sub",), SubjectRole.REPRESENTED)
        else:
            payload.update(self._permitted_values(grant, asked))
            payload["represents"] = self._represents(grant, mandate)
            about = ORGANISATION_CLAIMS.union({"represents"}).intersection(payload)
            self._log_principal(grant, channel, tuple(about), SubjectRole.ORGANISATION)
        if channel is Channel.USERINFO and (withheld := withheld_claims(grant, about_her)):
            payload[WITHHELD] = withheld
            if seal is None:
                self.refuse(grant, channel, tuple(withheld), Reason.LEVEL)
        if seal is None:
            self._log(grant, channel, tuple(payload))
        else:
            assert mandate is None and self.oversight_key is not None  # noqa: S101, PT018 - judged before
            use = self._use(grant, channel, tuple(payload))
            self.seldom.sealing.record(use, seal, self.oversight_key, self.seldom.subjects)
        return payload

    def log_introspection(self, grant: Grant, attributes: tuple[str, ...]) -> None:
        """Log that a relying party was told its token's standing."""
        self._log(grant, Channel.INTROSPECTION, attributes)

    def refuse(
        self,
        grant: Grant,
        channel: Channel,
        attributes: tuple[str, ...],
        reason: Reason,
        *,
        client_id: str | None = None,
    ) -> None:
        """Write down that attributes were asked for under the grant, by default by the relying party
        that it is of, and not given.
        """
        use = self._use(grant, channel, attributes or ("sub",))
        self.seldom.refusals.note(replace(use, client_id=client_id or grant.client_id), reason)

    def refuse_without_grant(self, asked: Asked, reason: Reason) -> None:
        """Write down that what was asked for was not given, where there is no grant: she said no, or
        what the code stood on had ended before it was redeemed.
        """
        self.seldom.refusals.note(
            Use(
                subject_id=asked.subject_id,
                client_id=asked.client_id,
                channel=Channel.USERINFO,
                attributes=(*asked.required, *asked.optional) or ("sub",),
                purpose=asked.purpose,
                purpose_version=purpose(asked.purpose).version,
                legal_basis="consent",
                correlation=self.correlation,
                other_party=asked.acting_for,
            ),
            reason,
        )

    def represented_by_machine(
        self, mandate: Mandate, told: RelyingParty, why: Purpose
    ) -> dict[str, Any]:
        """Return the organisation for which a key acts, and write into its chain who was told.

        Raises:
            ReadingDueError: a register has to be read first, outside of this transaction.
        """
        held = self._fresh(
            mandate.principal_id, AccountKind.ORGANISATION.value, _NAME_OF_ORGANISATION
        )
        represented = self._represented_organisation(mandate, held)
        self.use_log.record(
            Use(
                subject_id=mandate.principal_id,
                client_id=told.client_id,
                channel=Channel.INTROSPECTION,
                attributes=("represents",),
                purpose=why.code,
                purpose_version=why.version,
                legal_basis="mandate",
                correlation=self.correlation,
                subject_role=SubjectRole.ORGANISATION,
                other_party=mandate.id,
            )
        )
        return represented

    def asking(
        self,
        subject_id: str,
        source: Source,
        *,
        wanted: Iterable[str] = (),
        acting: str | None = None,
        stated: dict[str, Any] | None = None,
        only: tuple[str, ...] = (),
        purpose: str = "account-issuing",
        legal_basis: str = "statutory-function",
        register: str = "",
    ) -> tuple[Query, Recorded] | None:
        """Write the use entry of a reading, and return the query with the entry. ``register`` names
        who is asked where that is not the source's own register.

        ``only`` asks for these alone, where the question is not what the dictionary tells.

        None when there is nothing to ask of this source, or it does not know such a subject.
        """
        numbers = self._numbers(subject_id)
        number = numbers.get(IDENTIFIED_BY[source])
        claims = only or claims_of(source, wanted)
        if number is None or not claims:
            return None
        known = {**(stated or {}), **self._known(subject_id, source)}
        is_organisation = source is Source.ENTERPRISES
        entry = self.use_log.record(
            Use(
                subject_id=subject_id,
                client_id=PROVIDER,
                channel=Channel.CONNECTOR_PULL,
                attributes=claims,
                purpose=purpose,
                purpose_version=PURPOSES[purpose].version,
                legal_basis=legal_basis,
                correlation=self.correlation,
                subject_role=SubjectRole.ORGANISATION if is_organisation else SubjectRole.PRIMARY,
                other_party=acting,
                detail={"register": register or source.value},
            )
        )
        query = Query(
            IDENTIFIED_BY[source],
            number,
            known.get("organization_name" if is_organisation else "name", ""),
            None if is_organisation else known.get("birthdate"),
            claims,
            user=self._numbers(acting).get(IdentifierType.PERSONAL_NUMBER, "") if acting else "",
            represented=number if acting and is_organisation else "",
        )
        return query, entry

    def _numbers(self, subject_id: str) -> dict[IdentifierType, str]:
        return {
            known.type: known.value
            for known in self.seldom.subjects.identifiers_of(subject_id)
            if known.valid_to is None
        }

    def _known(self, subject_id: str, source: Source) -> dict[str, Any]:
        """Return name and birth date by which a register is asked: its own word of them, or that of
        the register which knows the person best.
        """
        held = self.held.of_subject(subject_id)
        parts = (held.get(one) for one in (source, Source.POPULATION, Source.IMMIGRATION))
        for part in parts:
            if part is not None and ("name" in part.values or "organization_name" in part.values):
                return part.values
        return {}

    def _permitted_values(self, grant: Grant, wanted: tuple[str, ...]) -> dict[str, Any]:
        visible = visible_claims(grant.account_level, grant.level)
        permitted = [claim for claim in wanted if claim in grant.attributes and claim in visible]
        if not permitted:
            return {}
        about_organisation = ORGANISATION_CLAIMS.intersection(permitted)
        about_person = [claim for claim in permitted if claim not in about_organisation]
        held = self._fresh(grant.subject_id, grant.account_kind, about_person)
        if about_organisation and grant.acting_for is not None:
            held = {**held, **self._fresh_of_organisation(grant, about_organisation)}
        elif about_organisation:
            permitted = [claim for claim in permitted if claim not in about_organisation]
        values: dict[str, Any] = {}
        for claim in permitted:
            value = self._provided(grant, held, claim)
            if value is None:
                value = self._stated(held, claim)
            if value is not None and value != "":
                values[claim] = value
        return values

    def _stated(self, held: dict[Source, Held], claim: str) -> object:
        if claim in DERIVED:
            return computed_value(held, claim, legal_clock.today(self.clock()))
        return best_value(held, claim)

    def _provided(self, grant: Grant, held: dict[Source, Held], claim: str) -> object:
        match claim:
            case "vn_account_kind":
                return grant.account_kind
            case "vn_account_level":
                return grant.account_level
            case "organization_eid":
                return self._organisation_number(grant)
            case "updated_at":
                latest = max((part.as_of for part in held.values()), default=None)
                return None if latest is None else int(latest.timestamp())
            case _:
                return None

    def _organisation_number(self, grant: Grant) -> str | None:
        acted_for = grant.acting_for
        number = IdentifierType.ORGANISATION_NUMBER
        return self.seldom.subjects.bears(acted_for, number) if acted_for else None

    def _fresh(
        self, subject_id: str, kind: str, wanted: Iterable[str], acting: str | None = None
    ) -> dict[Source, Held]:
        """Return what is held; only the registers that state something wanted are ever waited for."""
        held = self.held.of_subject(subject_id)
        due = self.readings.due(subject_id, kind, held, wanted)
        if due:
            raise ReadingDueError(subject_id, due, frozenset(wanted), acting)
        return held

    def _fresh_of_organisation(self, grant: Grant, wanted: Iterable[str]) -> dict[Source, Held]:
        assert grant.acting_for is not None  # noqa: S101 - asked for by the caller's condition
        kind = AccountKind.ORGANISATION.value
        return self._fresh(grant.acting_for, kind, wanted, acting=grant.subject_id)

    def _represents(self, grant: Grant, mandate: Mandate) -> dict[str, Any]:
        """Return the organisation acted for, in the shape of NL GOV's profile: ``sub`` stays the
        person, so that an unaware relying party can never mistake the one for the other.
        """
        held = self._fresh_of_organisation(grant, _NAME_OF_ORGANISATION)
        return self._represented_organisation(mandate, held)

    def _represented_organisation(
        self, mandate: Mandate, held: dict[Source, Held]
    ) -> dict[str, Any]:
        tax_code = self.seldom.subjects.bears(mandate.principal_id, IdentifierType.TAX_CODE)
        return {
            "sub": tax_code or "",
            "sub_id_type": "urn:vn:eid:tax-code",
            "iss": self.issuer,
            "name": best_value(held, "organization_name") or "",
            **_mandate_told(mandate),
        }

    def _represents_person(
        self, grant: Grant, mandate: Mandate, relying_party: RelyingParty
    ) -> dict[str, Any]:
        """Return the person acted for, by the ``sub`` that she herself has at this relying party."""
        account = self._account_of(mandate)
        sub = pairwise_sub(self.vault, relying_party.sector, account.id) if account else ""
        return {
            "sub": sub,
            "sub_id_type": "urn:vn:eid:pairwise",
            "iss": self.issuer,
            **_mandate_told(mandate),
        }

    def _of_represented(
        self, grant: Grant, mandate: Mandate, wanted: tuple[str, ...]
    ) -> dict[str, Any]:
        """Return what registers state of the person acted for and consent allows.

        What the dictionary calls sensitive leaves on a parent's or guardian's word only, and of a
        child from 7 years not on that alone: her own word is asked for nowhere yet, so it stays here.
        """
        account = self._account_of(mandate)
        if account is None:
            return {}
        visible = visible_claims(account.level.value, grant.level)
        permitted = [
            claim
            for claim in wanted
            if claim in grant.attributes and claim in visible and is_told_of_represented(claim)
        ]
        if not permitted:
            return {}
        held = self._fresh(
            mandate.principal_id, account.kind.value, permitted, acting=grant.subject_id
        )
        if not self.may_tell_secrets(mandate):
            permitted = [claim for claim in permitted if not DICTIONARY[claim].sensitive]
        known: dict[Source, Held] = {
            source: part for source, part in held.items() if source is not Source.SELF
        }
        values = {claim: self._stated(known, claim) for claim in permitted}
        return {
            claim: value for claim, value in values.items() if value is not None and value != ""
        }

    def may_tell_secrets(self, mandate: Mandate) -> bool:
        """True when what the dictionary calls sensitive may leave on the word of who acts: a parent's
        of a child below 7, a guardian's of such a child or an adult (Law 91/2025 Art. 24).
        """
        return may_tell_secrets(mandate, self.held, self.clock)

    def _account_of(self, mandate: Mandate) -> Account | None:
        account = self.seldom.accounts.find_of_subject(mandate.principal_id)
        return account if account is not None and account.closed_at is None else None

    def _log(self, grant: Grant, channel: Channel, attributes: tuple[str, ...]) -> None:
        self.use_log.record(self._use(grant, channel, attributes))

    def _use(self, grant: Grant, channel: Channel, attributes: tuple[str, ...]) -> Use:
        return Use(
            subject_id=grant.subject_id,
            client_id=grant.client_id,
            channel=channel,
            attributes=attributes,
            purpose=grant.purpose,
            purpose_version=grant.purpose_version,
            legal_basis=grant.legal_basis,
            correlation=self.correlation,
            consent_id=grant.consent_id,
            grant_id=grant.id,
            other_party=grant.acting_for,
        )

    def _log_principal(
        self, grant: Grant, channel: Channel, attributes: tuple[str, ...], role: SubjectRole
    ) -> None:
        """Write the principal's own entry: of her data only, and who acted."""
        assert grant.acting_for is not None  # noqa: S101 - asked for by the caller's condition
        self.use_log.record(
            Use(
                subject_id=grant.acting_for,
                client_id=grant.client_id,
                channel=channel,
                attributes=attributes,
                purpose=grant.purpose,
                purpose_version=grant.purpose_version,
                legal_basis=grant.legal_basis,
                correlation=self.correlation,
                subject_role=role,
                consent_id=grant.consent_id,
                grant_id=grant.id,
                other_party=grant.subject_id,
            )
        )


def is_told_of_who_acts(claim: str) -> bool:
    """True for what a relying party learns of a person who acts for another person: her name, her
    account's kind and level, and what she states of herself.
    """
    row = DICTIONARY[claim]
    return claim in _OF_WHO_ACTS or row.editable or row.sources == (Source.SELF,)


def is_told_of_represented(claim: str) -> bool:
    """True for what it learns of the person acted for: what registers of people state."""
    return bool(set(DICTIONARY[claim].sources) - _NO_REGISTER_OF_PEOPLE)


def _mandate_told(mandate: Mandate) -> dict[str, Any]:
    constraints: dict[str, Any] = {}
    if mandate.terms.amount_limit is not None:
        constraints["amount_limit"] = {"value": mandate.terms.amount_limit, "currency": "VND"}
    if mandate.joint:
        constraints["joint"] = True
    return {
        "mandate_id": mandate.id,
        "mandate_type": mandate.type.value,
        "scopes": sorted(mandate.terms.scopes),
        **({"constraints": constraints} if constraints else {}),
    }


@lru_cache(maxsize=16)
def visible_claims(account_level: str, authentication_level: int) -> frozenset[str]:
    """Return the claims that may be seen of an account, and after an authentication, so proved.

    The gate asks here at each release; the consent page, to say beforehand what waits for more.
    """
    rank = AccountLevel(account_level).rank
    return frozenset(
        claim
        for claim, row in DICTIONARY.items()
        if rank >= row.account_level.rank and authentication_level >= row.authentication_level
    )


def withheld_claims(grant: Grant, wanted: tuple[str, ...]) -> dict[str, str]:
    """Return the claims that she agreed to give and whose levels are above hers, each with what it
    needs. Nothing is said of those that nobody holds, or that she declined.
    """
    visible = visible_claims(grant.account_level, grant.level)
    rank = AccountLevel(grant.account_level).rank
    missing = [claim for claim in wanted if claim not in visible and claim in grant.attributes]
    return {claim: _needed(DICTIONARY[claim], rank) for claim in missing}


def _needed(row: Attribute, rank: int) -> str:
    if rank < row.account_level.rank:
        return f"account-level-{row.account_level.value}"
    return f"authentication-level-{row.authentication_level.value}"


def may_tell_secrets(mandate: Mandate, held: HeldAttributes, clock: Clock) -> bool:
    """True when whoever holds the mandate may know, and tell, what the dictionary calls sensitive."""
    if mandate.type is MandateType.PROXY:
        return False
    try:
        stated = best_value(held.of_subject(mandate.principal_id), "birthdate")
        born, _latest = legal_clock.born_between(str(stated))
    except ValueError:
        return False
    years = legal_clock.age(born, legal_clock.today(clock()))
    is_ward = mandate.type is MandateType.GUARDIAN and years >= 18
    return years < _OWN_SECRETS_FROM or is_ward
