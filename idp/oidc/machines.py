"""Keys of relying parties that act for organisations with nobody present.

An organisation names a key (``accounts.mandates``, type ``machine``); whoever holds it gets tokens by
``client_credentials`` for one service at a time, and that service asks the introspection endpoint for
whom it acts. No row is written for a token: it names its mandate, and whether that still counts is
read at each use.
"""

from collections.abc import Container
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from accounts.attributes import Source
from accounts.mandates import Mandate, Mandates, MandateState, MandateType
from accounts.schema import Clock
from consent.purposes import PURPOSES
from idp import audit
from idp.oidc.disclosure import Disclosure
from idp.oidc.errors import ProtocolError
from idp.oidc.readings import confirmation_due
from idp.oidc.relying_parties import RelyingParties, RelyingParty
from idp.oidc.thumbprints import is_registered
from idp.oidc.tokens import MachineToken


class ConfirmationDueError(Exception):
    """The register has to be asked, outside of this transaction, whether the mandate by right under
    which a key acts still stands; then start again.
    """

    def __init__(self, root: Mandate) -> None:
        super().__init__("a mandate has to be confirmed")
        self.root = root


@dataclass(slots=True)
class Machines:
    """Judges for whom a key may act, and tells the services at which it does."""

    db: Connection
    clock: Clock
    mandates: Mandates
    relying_parties: RelyingParties
    registers: Container[Source]
    disclosure: Disclosure

    def check(self, holder: RelyingParty, key: str, mandate_id: str, audience: str) -> Mandate:
        """Return the mandate under which the holder's key may act at the service ``audience``.

        Raises:
            ProtocolError: ``invalid_grant``, one answer for every fault of the mandate, or
                ``invalid_target`` (RFC 8707 §2) when it does not reach to that service.
            ConfirmationDueError: the register's word is too old to act upon.
        """
        found = self._in_force(mandate_id)
        if found is None or (found.client_id, found.key_thumbprint) != (holder.client_id, key):
            audit.security_event("mandate.machine_refused", party=holder.client_id)
            raise ProtocolError("invalid_grant", "no mandate in force names this key")
        service = self.relying_parties.find(audience, self.db)
        if service is None or not service.representation_aware:
            raise ProtocolError("invalid_target", "the audience is no service that knows mandates")
        if not found.terms.permits(service.purpose):
            raise ProtocolError("invalid_target", "the mandate does not reach to this service")
        root = self.mandates.root(found)
        if confirmation_due(root, self.registers, self.clock()):
            raise ConfirmationDueError(root)
        return found

    def told(self, token: MachineToken, asking: RelyingParty) -> dict[str, Any] | None:
        """Return what introspection tells of a live token, and log it with the organisation; None
        when the token is dead or none of the asking party's business.
        """
        found = self._in_force(token.mandate_id)
        if found is None or self.clock() >= token.expires_at:
            return None
        holder = self.relying_parties.find(found.client_id or "", self.db)
        service = self.relying_parties.find(token.audience, self.db)
        if holder is None or service is None or not found.terms.permits(service.purpose):
            return None
        if not is_registered(holder.jwks, found.key_thumbprint or ""):
            return None
        if asking.client_id not in {holder.client_id, service.client_id}:
            return None
        return {
            "client_id": holder.client_id,
            # RFC 9068 §2.2: where no person takes part, the client itself.
            "sub": holder.client_id,
            "aud": service.client_id,
            "represents": self.disclosure.represented_by_machine(
                found, asking, PURPOSES[service.purpose]
            ),
        }

    def _in_force(self, mandate_id: str) -> Mandate | None:
        found = self.mandates.find(mandate_id)
        if found is None or found.type is not MandateType.MACHINE:
            return None
        return found if self.mandates.standing(found) is MandateState.ACTIVE else None


def expiry(found: Mandate, latest: datetime) -> datetime:
    """Return when a token under the mandate ends: never after the mandate itself."""
    return latest if found.valid_to is None else min(latest, found.valid_to)
