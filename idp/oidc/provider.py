"""Everything the protocol endpoints work with during one request."""

from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Connection

from accounts.schema import Chance, Clock
from accounts.vault import Vault
from idp.keys import KeyRing
from idp.oidc.client_auth import ClientAuthentication
from idp.oidc.codes import Codes
from idp.oidc.disclosure import Disclosure
from idp.oidc.grants import Grants
from idp.oidc.machines import Machines
from idp.oidc.relying_parties import RelyingParties
from idp.oidc.tokens import Tokens
from idp.settings import Lifetimes


class Seldom(Protocol):
    """What only some requests need, made when it is asked for."""

    @property
    def machines(self) -> Machines: ...  # noqa: D102


@dataclass(slots=True)
class Provider:
    """The protocol's collaborators, made by ``idp.services`` from one database transaction."""

    issuer: str
    lifetimes: Lifetimes
    db: Connection
    clock: Clock
    chance: Chance
    vault: Vault
    keys: KeyRing
    relying_parties: RelyingParties
    grants: Grants
    codes: Codes
    tokens: Tokens
    disclosure: Disclosure
    sealing_clients: frozenset[str]
    seldom: Seldom
    client_authentication: ClientAuthentication
