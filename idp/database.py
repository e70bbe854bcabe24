"""The database engine: SQLite (embedded, durable) or PostgreSQL, and its migrations."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import alembic.command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, text

from accounts.statements import STANDS_ALONE, TOGETHER, NeedsTransactionError
from accounts.together import Together

_MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"
# Any number will do, as long as nothing else in the database uses it as an advisory lock.
_MIGRATION_LOCK = 7_305_162_114
_PATIENCE_SECONDS = 10


def connect(url: str) -> Engine:
    """Return an engine for the URL, with the settings that durability and fairness need."""
    if url.startswith("sqlite"):
        return _sqlite(url)
    engine = create_engine(
        url,
        # Each of a server's threads may have one open, and another for what it asks aside.
        pool_size=16,
        max_overflow=24,
        # Who comes next gets a connection that was just used: its server process has at hand what it
        # knows of the tables, while one that was idle reads the catalogue again after each change.
        pool_use_lifo=True,
        pool_timeout=3,
        pool_pre_ping=False,
        pool_recycle=1800,
        # Statements carry personal data; an error text must not.
        hide_parameters=True,
        # psycopg forgets all prepared statements, ours too, when it prepares any itself and rolls
        # back; ours are the ones that matter (accounts.statements).
        connect_args={"prepare_threshold": None, "connect_timeout": 3},
    )

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: object) -> None:
        # A prepared statement keeps its plan. One made while a table was still empty would read all
        # of it for ever after, where every statement of ours has an index to go by.
        connection.execute("SET enable_seqscan = off")
        connection.commit()

    return engine


def _sqlite(url: str) -> Engine:
    engine = create_engine(url, pool_size=8, max_overflow=8, pool_timeout=10, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: object) -> None:
        # The driver's own transaction handling is off: we say BEGIN ourselves, below.
        connection.isolation_level = None
        for pragma in (
            "journal_mode=WAL",
            # FULL waits for the disk at each commit: what was acknowledged survives power loss.
            "synchronous=FULL",
            "foreign_keys=ON",
            "busy_timeout=10000",
        ):
            connection.execute(f"PRAGMA {pragma}")

    _queue_writers(engine)
    return engine


def _queue_writers(engine: Engine) -> None:
    """Let this process's writers wait in a queue of ours.

    SQLite allows one writer and makes the others sleep and ask again; waiting for a lock costs
    nothing and is fair. Writers in other processes still meet SQLite's own busy handling.
    """
    turn = threading.Lock()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        if options.get(STANDS_ALONE):
            return
        if options.get("reads_only"):
            connection.exec_driver_sql("BEGIN")
            return
        # Whoever waits too long asks SQLite itself, which then says that it is busy.
        if turn.acquire(timeout=_PATIENCE_SECONDS):
            connection.info["has_turn"] = True
        try:
            # Taking the write lock at once avoids the upgrade that fails under another writer.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        except BaseException:
            give_turn_back(connection)
            raise

    def give_turn_back(connection: Connection) -> None:
        if connection.info.pop("has_turn", False):
            turn.release()

    @event.listens_for(engine, "commit")
    def commit(connection: Connection) -> None:
        # Ended here, so that the next writer does not find the lock still held.
        try:
            _driver(connection).commit()
        finally:
            give_turn_back(connection)

    @event.listens_for(engine, "rollback")
    def rollback(connection: Connection) -> None:
        try:
            _driver(connection).rollback()
        finally:
            give_turn_back(connection)


def _driver(connection: Connection) -> Any:
    return connection.connection.driver_connection


def for_reading(engine: Engine) -> Engine:
    """Return the same engine for transactions that only read: on SQLite they never wait."""
    return engine.execution_options(reads_only=True)


def for_single_statements(engine: Engine) -> Engine:
    """Return the same engine with each statement a transaction of its own: no BEGIN, no COMMIT.

    On its connections, a statement that writes raises ``NeedsTransactionError`` unless it is marked
    as a unit of work in itself (``whole``), so nothing is ever half done.
    """
    alone = engine.execution_options(**{STANDS_ALONE: True})
    if engine.dialect.name != "sqlite":
        alone = alone.execution_options(isolation_level="AUTOCOMMIT")

    @event.listens_for(alone, "before_execute")
    def refuse_parts(
        _db: Connection, statement: Any, _many: object, _one: object, options: Any
    ) -> None:
        if getattr(statement, "is_dml", False) and not options.get("whole"):
            raise NeedsTransactionError

    return alone


def run_together(alone: Engine) -> Engine:
    """Return the engine for single statements with those of all threads run together, on PostgreSQL."""
    both = {writes: Together(alone) for writes in (False, True)}
    return alone.execution_options(**{TOGETHER: both})


def upgrade(engine: Engine) -> None:
    """Bring the schema up to date; several servers may call it at once."""
    with engine.connect() as connection, _tables_may_be_made_anew(connection):
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _MIGRATION_LOCK})
            connection.commit()
        try:
            config = _config()
            config.attributes["connection"] = connection
            alembic.command.upgrade(config, "head")
            connection.commit()
        finally:
            if connection.dialect.name == "postgresql":
                connection.rollback()
                connection.execute(
                    text("SELECT pg_advisory_unlock(:key)"), {"key": _MIGRATION_LOCK}
                )
                connection.commit()


@contextmanager
def _tables_may_be_made_anew(connection: Connection) -> Iterator[None]:
    """Let SQLite's migrations replace a table that others refer to.

    SQLite changes a constraint by copying the table, and dropping the old one would break every
    reference; the switch works outside a transaction only (sqlite.org, "Making Other Kinds Of Table
    Schema Changes"). The migrations' tests check every reference afterwards.
    """
    if connection.dialect.name != "sqlite":
        yield
        return
    _driver(connection).execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        connection.rollback()
        _driver(connection).execute("PRAGMA foreign_keys=ON")


def is_current(engine: Engine) -> bool:
    """True when the schema is the one this version of the program needs."""
    with engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
    return current == ScriptDirectory.from_config(_config()).get_current_head()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config
