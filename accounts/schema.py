"""The one database schema: the metadata all packages' tables join, and its column types.

``accounts`` is the lowest package that stores anything, so what every table shares lives here.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, MetaData, String
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Clock = Callable[[], datetime]
"""Returns the present moment, timezone-aware, in UTC."""

Chance = Callable[[int], bytes]
"""Returns that many unpredictable bytes."""


class UTCDateTime(TypeDecorator[datetime]):
    """An aware moment. SQLite forgets the zone, so UTC goes in and UTC comes out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times: they would be somebody's guess later."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime cannot be stored")
        return value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Give the zone back where the driver lost it."""
        if value is None:
            return None
        aware: datetime = value if value.tzinfo else value.replace(tzinfo=UTC)
        return aware.astimezone(UTC)


class Identifier(TypeDecorator[str]):
    """An id of ours, 32 hexadecimal digits, kept in 16 bytes where the database has a type for that.

    For tables with very many rows: it is no text, so what is compared with it has to be one too.
    """

    impl = String(32)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Use PostgreSQL's UUID, which takes the digits as they are."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(postgresql.UUID(as_uuid=True))
        return dialect.type_descriptor(String(32))

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        """Spell it as we do, without hyphens."""
        return value.hex if isinstance(value, UUID) else value


ID_CHANCE = 10
"""So many bytes of an id are left to chance."""


def new_id(now: datetime, chance: Chance) -> str:
    """Return a UUIDv7 (RFC 9562 §5.7) as 32 hexadecimal digits: sortable by time of making."""
    milliseconds = int(now.timestamp() * 1000)
    number = (milliseconds << 80) | int.from_bytes(chance(ID_CHANCE), "big")
    number = number & ~(0xF000 << 64) | (0x7000 << 64)
    number = number & ~(0xC000 << 48) | (0x8000 << 48)
    return f"{number:032x}"
