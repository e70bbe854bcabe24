"""Everything the protocol endpoints work with during one request."""

from dataclasses import dataclass

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
    machines: Machines
    client_authentication: ClientAuthentication
