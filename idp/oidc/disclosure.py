"""The single gate through which attributes leave: consent, dictionary and levels decide, and the
use entry is written in the same transaction (consent.md 5.3, invariants 1 and 2).
"""

from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any

from accounts.attributes import (
    DICTIONARY,
    ORGANISATION_CLAIMS,
    Held,
    HeldAttributes,
    Source,
    best_value,
)
from accounts.levels import AccountLevel
from accounts.schema import Clock
from accounts.subject import IdentifierType, Subjects
from accounts.vault import Vault
from connectors.protocol import Query, Record, Register
from consent.data_use import PROVIDER, Channel, SubjectRole, Use, UseLog
from idp.oidc.grants import Grant
from idp.oidc.relying_parties import RelyingParty
from idp.oidc.subject import pairwise_sub

STALE_AFTER = timedelta(hours=24)
"""Register values older than this are read again before they are released."""

_REGISTERED_BY = {
    IdentifierType.PERSONAL_NUMBER: Source.POPULATION,
    IdentifierType.PASSPORT: Source.IMMIGRATION,
    IdentifierType.TAX_CODE: Source.ENTERPRISES,
}


@dataclass(frozen=True)
class Disclosure:
    """Releases claims of one request's subjects."""

    vault: Vault
    clock: Clock
    issuer: str
    subjects: Subjects
    held: HeldAttributes
    registers: dict[Source, Register]
    use_log: UseLog
    correlation: str

    def release(
        self,
        grant: Grant,
        relying_party: RelyingParty,
        wanted: tuple[str, ...],
        channel: Channel,
    ) -> dict[str, Any]:
        """Return ``sub`` and those wanted claims that may be seen, and log the release.

        The entry's attribute list is taken from the very payload that is returned.
        """
        payload: dict[str, Any] = {
            "sub": pairwise_sub(self.vault, relying_party.sector, grant.account_id)
        }
        payload.update(self._permitted_values(grant, wanted))
        if grant.acting_for is not None:
            payload["represents"] = self._represents(grant)
            self._log_organisation(grant, channel, tuple(payload))
        self._log(grant, channel, tuple(payload))
        return payload

    def log_introspection(self, grant: Grant, attributes: tuple[str, ...]) -> None:
        """Log that a relying party was told its token's standing."""
        self._log(grant, Channel.INTROSPECTION, attributes)

    def refresh_from_registers(
        self, subject_id: str, *, stated: dict[str, Any] | None = None
    ) -> None:
        """Read the subject's register values again; each asking is itself a use entry.

        ``stated`` is what an applicant says of herself, for the first time. A register that gives
        no answer leaves the held values, with their age, as they are.
        """
        identifiers = {
            known.type: known.value
            for known in self.subjects.identifiers_of(subject_id)
            if known.valid_to is None
        }
        for type_, source in _REGISTERED_BY.items():
            register = self.registers.get(source)
            if type_ in identifiers and register is not None:
                held = self.held.of_subject(subject_id).get(source)
                known = held.values if held is not None and held.values else stated
                self._refresh(subject_id, type_, identifiers[type_], source, register, known or {})

    def _refresh(
        self,
        subject_id: str,
        type_: IdentifierType,
        number: str,
        source: Source,
        register: Register,
        known: dict[str, Any],
    ) -> None:
        claims = tuple(claim for claim, row in DICTIONARY.items() if source in row.sources)
        entry = self.use_log.record(
            Use(
                subject_id=subject_id,
                client_id=PROVIDER,
                channel=Channel.CONNECTOR_PULL,
                attributes=claims,
                purpose="account-issuing",
                purpose_version=1,
                legal_basis="statutory-function",
                correlation=self.correlation,
                subject_role=SubjectRole.ORGANISATION
                if source is Source.ENTERPRISES
                else SubjectRole.PRIMARY,
            )
        )
        query = Query(
            type_,
            number,
            known.get("organization_name") or known.get("name", ""),
            known.get("birthdate"),
            claims,
        )
        answer = register.look_up(query, entry, self.clock())
        if isinstance(answer, Record):
            self.held.hold(subject_id, source, answer.values)

    def _permitted_values(self, grant: Grant, wanted: tuple[str, ...]) -> dict[str, Any]:
        visible = visible_claims(grant.account_level, grant.level)
        permitted = [claim for claim in wanted if claim in grant.attributes and claim in visible]
        if not permitted:
            return {}
        held = self._fresh(grant.subject_id)
        about_organisation = ORGANISATION_CLAIMS.intersection(permitted)
        if about_organisation and grant.acting_for is not None:
            held = {**held, **self._fresh(grant.acting_for)}
        elif about_organisation:
            permitted = [claim for claim in permitted if claim not in about_organisation]
        values: dict[str, Any] = {}
        for claim in permitted:
            value = self._provided(grant, held, claim)
            if value is None:
                value = best_value(held, claim)
            if value is not None and value != "":
                values[claim] = value
        return values

    def _provided(self, grant: Grant, held: dict[Source, Held], claim: str) -> object:
        match claim:
            case "vn_account_kind":
                return grant.account_kind
            case "vn_account_level":
                return grant.account_level
            case "updated_at":
                latest = max((part.as_of for part in held.values()), default=None)
                return None if latest is None else int(latest.timestamp())
            case _:
                return None

    def _fresh(self, subject_id: str) -> dict[Source, Held]:
        held = self.held.of_subject(subject_id)
        oldest = min(
            (part.as_of for source, part in held.items() if source is not Source.SELF),
            default=None,
        )
        if oldest is not None and self.clock() - oldest > STALE_AFTER:
            self.refresh_from_registers(subject_id)
            held = self.held.of_subject(subject_id)
        return held

    def _represents(self, grant: Grant) -> dict[str, Any]:
        """Return the organisation acted for, in the shape of NL GOV's profile: ``sub`` stays the
        person, so that an unaware relying party can never mistake the one for the other.
        """
        assert grant.acting_for is not None  # noqa: S101 - asked for by the caller's condition
        held = self._fresh(grant.acting_for)
        tax_code = next(
            (
                known.value
                for known in self.subjects.identifiers_of(grant.acting_for)
                if known.type is IdentifierType.TAX_CODE and known.valid_to is None
            ),
            "",
        )
        return {
            "sub": tax_code,
            "sub_id_type": "urn:vn:eid:tax-code",
            "iss": self.issuer,
            "name": best_value(held, "organization_name") or "",
            "mandate_id": grant.mandate_id,
            "mandate_type": "legal_rep",
        }

    def _log(self, grant: Grant, channel: Channel, attributes: tuple[str, ...]) -> None:
        self.use_log.record(
            Use(
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
        )

    def _log_organisation(
        self, grant: Grant, channel: Channel, attributes: tuple[str, ...]
    ) -> None:
        """Write the organisation's own entry: of its data only, and who acted."""
        assert grant.acting_for is not None  # noqa: S101 - asked for by the caller's condition
        about = ORGANISATION_CLAIMS.union({"represents"}).intersection(attributes)
        self.use_log.record(
            Use(
                subject_id=grant.acting_for,
                client_id=grant.client_id,
                channel=channel,
                attributes=tuple(about),
                purpose=grant.purpose,
                purpose_version=grant.purpose_version,
                legal_basis=grant.legal_basis,
                correlation=self.correlation,
                subject_role=SubjectRole.ORGANISATION,
                consent_id=grant.consent_id,
                grant_id=grant.id,
                other_party=grant.subject_id,
            )
        )


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
