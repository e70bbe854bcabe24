"""Which implementation answers for which register in this installation."""

from sqlalchemy import Connection

from accounts.attributes import Source
from accounts.vault import Vault
from connectors.protocol import Register
from connectors.simulator import simulated_registers


def registers(db: Connection, vault: Vault) -> dict[Source, Register]:
    """Return the configured registers by source; so far they are the simulated ones."""
    return dict(simulated_registers(db, vault).items())
