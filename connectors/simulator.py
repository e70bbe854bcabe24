"""Obedient registers for development, demonstration and tests, kept in tables of their own.

They answer by the same rule as the real ones: name, birth date and number must all agree, and only
the attributes asked for come back.
"""

import json
import unicodedata
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Table,
    insert,
    select,
    update,
)

from accounts.attributes import Source
from accounts.schema import UTCDateTime, metadata
from accounts.subject import IdentifierType, canonical
from accounts.vault import Vault
from connectors.protocol import Answer, NotFound, Query, Record, Register

simulated_record = Table(
    "simulated_record",
    metadata,
    Column("register", String(24), nullable=False),
    Column("blind_index", LargeBinary, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("updated_at", UTCDateTime, nullable=False),
    PrimaryKeyConstraint("register", "blind_index"),
)


class SimulatedRegister:
    """One register; satisfies ``connectors.protocol.Register``."""

    def __init__(self, db: Connection, vault: Vault, name: str) -> None:
        self._db = db
        self._vault = vault
        self._name = name

    @property
    def name(self) -> str:
        """The register's name."""
        return self._name

    def look_up(self, query: Query, entry: str, now: datetime) -> Answer:
        """Answer as the register would.

        Raises:
            ValueError: the query cites no use entry.
        """
        if not entry:
            raise ValueError("no register is asked without a use entry")
        index = self._index(query.identifier_type, query.identifier)
        row = self._db.execute(
            select(simulated_record.c.sealed, simulated_record.c.updated_at).where(
                simulated_record.c.register == self._name,
                simulated_record.c.blind_index == index,
            )
        ).first()
        if row is None:
            return NotFound(self._name)
        plain = self._vault.open("simulated-record", row.sealed, context=self._name)
        values: dict[str, Any] = json.loads(plain)
        if not _agrees(query, values):
            return NotFound(self._name)
        wanted = {claim: values[claim] for claim in query.attributes if claim in values}
        return Record(self._name, wanted, now)

    def enter(
        self, type_: IdentifierType, identifier: str, values: dict[str, Any], now: datetime
    ) -> bool:
        """Write or replace a record, as the register's own officers would; False when it says so
        already.
        """
        index = self._index(type_, identifier)
        if self._stated(index) == values:
            return False
        sealed = self._vault.seal(
            "simulated-record",
            json.dumps(values, ensure_ascii=False).encode(),
            context=self._name,
        )
        key = (
            simulated_record.c.register == self._name,
            simulated_record.c.blind_index == index,
        )
        changed = self._db.execute(
            update(simulated_record).where(*key).values(sealed=sealed, updated_at=now)
        ).rowcount
        if not changed:
            self._db.execute(
                insert(simulated_record).values(
                    register=self._name, blind_index=index, sealed=sealed, updated_at=now
                )
            )
        return True

    def _stated(self, index: bytes) -> dict[str, Any] | None:
        sealed = self._db.execute(
            select(simulated_record.c.sealed).where(
                simulated_record.c.register == self._name,
                simulated_record.c.blind_index == index,
            )
        ).scalar()
        if sealed is None:
            return None
        stated: dict[str, Any] = json.loads(
            self._vault.open("simulated-record", sealed, context=self._name)
        )
        return stated

    def _index(self, type_: IdentifierType, identifier: str) -> bytes:
        return self._vault.blind_index(f"{self._name}/{type_.value}", canonical(type_, identifier))


def simulated_registers(db: Connection, vault: Vault) -> dict[Source, SimulatedRegister]:
    """Return the simulated registers by source."""
    sources = (Source.POPULATION, Source.IMMIGRATION, Source.ENTERPRISES)
    return {source: SimulatedRegister(db, vault, source.value) for source in sources}


def _agrees(query: Query, values: dict[str, Any]) -> bool:
    name = values.get("organization_name") or values.get("name", "")
    return _plain(name) == _plain(query.name) and (
        query.birthdate is None or query.birthdate == values.get("birthdate")
    )


def _plain(name: str) -> str:
    return " ".join(unicodedata.normalize("NFC", name).casefold().split())


_: type[Register] = SimulatedRegister
