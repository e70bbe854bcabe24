"""The keys by which the published logs are signed; private parts are sealed at rest.

They are apart from the keys for ID tokens (``idp.keys``): those are replaced every so often, these are
what witnesses and verifiers know the logs by.
"""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from sqlalchemy import Column, Connection, Integer, LargeBinary, Table, insert, select

from accounts.schema import Chance, Clock, UTCDateTime, metadata
from accounts.vault import Vault, sealed_as
from consent.ledger.note import Kind, Signer

KINDS = (Kind.ED25519, Kind.ML_DSA_44)
"""One key that every verifier understands, and one that withstands quantum computers."""

log_key = Table(
    "log_key",
    metadata,
    Column("kind", Integer, primary_key=True, autoincrement=False),
    Column("sealed", LargeBinary, nullable=False, info=sealed_as("log-key", "kind")),
    Column("made_at", UTCDateTime, nullable=False),
)


class LogKeys:
    """The stored keys."""

    def __init__(self, db: Connection, clock: Clock, chance: Chance, vault: Vault) -> None:
        self._db = db
        self._clock = clock
        self._chance = chance
        self._vault = vault

    def ensure(self) -> None:
        """Make each key that there is not yet."""
        present = set(self._db.execute(select(log_key.c.kind)).scalars())
        for kind in KINDS:
            if kind not in present:
                sealed = self._vault.seal("log-key", self._chance(32), context=str(kind.value))
                self._db.execute(
                    insert(log_key).values(kind=kind.value, sealed=sealed, made_at=self._clock())
                )

    def signers(self, name: str) -> list[Signer]:
        """Return the keys, under the name that all logs' origins begin with."""
        rows = self._db.execute(select(log_key).order_by(log_key.c.kind))
        return [
            Signer(name, Kind(row.kind), self._private(Kind(row.kind), row.sealed)) for row in rows
        ]

    def _private(self, kind: Kind, sealed: bytes) -> Ed25519PrivateKey | MLDSA44PrivateKey:
        seed = self._vault.open("log-key", sealed, context=str(kind.value))
        if kind is Kind.ML_DSA_44:
            return MLDSA44PrivateKey.from_seed_bytes(seed)
        return Ed25519PrivateKey.from_private_bytes(seed)
