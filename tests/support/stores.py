"""Databases for tests: one prepared template of each kind, and a fresh copy for each test."""

import json
import secrets
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest
from sqlalchemy import Engine

from accounts.schema import Clock
from idp import clock as system_clock
from idp.database import connect, upgrade
from idp.seed import read_seed
from idp.services import Installation, prepare_keys
from idp.settings import Lifetimes, Settings
from tests.support import cast as people
from tests.support.postgres import SUPERUSER, Postgres, start

SHARED = "shared"
KEEP_ROWS: LiteralString = """
CREATE SCHEMA kept;
DO $$ DECLARE t text; BEGIN
  FOR t IN SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace
    AND relkind IN ('r', 'p') AND NOT relispartition LOOP
    EXECUTE format('CREATE TABLE kept.%I AS TABLE public.%I', t, t);
  END LOOP;
END $$"""
RESTORE_ROWS: LiteralString = """
DO $$ DECLARE t text; BEGIN
  SET LOCAL session_replication_role = replica;
  FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'kept' LOOP
    EXECUTE format('DELETE FROM public.%I', t);
    EXECUTE format('INSERT INTO public.%I SELECT * FROM kept.%I', t, t);
  END LOOP;
END $$"""

KINDS = ("sqlite", "postgresql")
on_one_database = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
"""For what is decided before any database is asked."""
on_the_stricter_database = pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
"""For odd values that may reach a statement: PostgreSQL takes no NUL and no lone surrogate."""
INSTALLATION_SECRET = secrets.token_bytes(48)
"""One for a whole run, because the template's data is sealed with it."""


def settings_for(
    url: str, folder: Path, issuer: str = people.ISSUER, lifetimes: Lifetimes | None = None
) -> Settings:
    return Settings(
        issuer=issuer,
        database_url=url,
        data_dir=folder,
        secret=INSTALLATION_SECRET,
        # Hashing as in production would take half of the tests' time; its strength has its own test.
        password_mib=1,
        lifetimes=lifetimes or Lifetimes(),
    )


def prepare(url: str, folder: Path, cast: people.Cast, clock: Clock = system_clock.now) -> None:
    """Bring an empty database up to date, make its keys and seed the cast."""
    installation = Installation(settings_for(url, folder, cast.issuer), clock=clock)
    try:
        upgrade(installation.engine)
        prepare_keys(installation)
        apply_seed(installation, json.dumps(cast.seed_document(), ensure_ascii=False))
    finally:
        installation.engine.dispose()


def apply_seed(installation: Installation, text: str) -> None:
    """Load a seed file's text as `sen seed` does."""
    seed = read_seed(text, installation.hashing.hash_unchecked, lambda _login: None)
    with installation.engine.begin() as db:
        services = installation.services(db, correlation="seed")
        seed.apply(services, lambda _done, _total: None)
    installation.relying_parties.forget()


@dataclass
class Templates:
    """The prepared databases of this worker, each made when first asked for."""

    folder: Path
    server: "Servers"
    clock: Clock
    cast: people.Cast

    @contextmanager
    def copy(self, kind: str, *, empty: bool = False) -> Iterator[str]:
        """Lend a database for one test and return its URL."""
        if kind == "sqlite":
            # The same address each time, so that its engine serves every test (Engines).
            path = self.folder / (f"{uuid.uuid4().hex}.db" if empty else f"{SHARED}.db")
            if not empty:
                shutil.copyfile(self._sqlite_template(), path)
            yield f"sqlite:///{path}"
            for left in self.folder.glob(f"{path.name}*"):
                left.unlink()
            return
        if not empty:
            yield self._restored_postgres()
            return
        server, name = self.server.postgres, f"t{uuid.uuid4().hex}"
        url = server.create_database(name)
        try:
            yield url
        finally:
            server.drop_database(name)

    def _restored_postgres(self) -> str:
        """Return the worker's one database, put back to how it was seeded.

        Copying the rows back takes a tenth of the time of cloning a database.
        """
        server = self.server.postgres
        url = server.url(SHARED)
        if not self.server.is_prepared:
            server.drop_database(SHARED)
            prepare(server.create_database(SHARED), self.folder, self.cast, self.clock)
            self._script(KEEP_ROWS)
            self.server.is_prepared = True
        self._script(RESTORE_ROWS)
        return url

    def _script(self, script: LiteralString) -> None:
        self.server.beside(SHARED).execute(script)

    def _sqlite_template(self) -> Path:
        path = self.folder / "template.db"
        if not path.exists():
            made = path.with_suffix(".new")
            made.unlink(missing_ok=True)
            prepare(f"sqlite:///{made}", self.folder, self.cast, self.clock)
            engine = connect(f"sqlite:///{made}")
            with engine.connect() as db:
                # One file only: copies must not need the log beside it.
                db.rollback()
                db.connection.driver_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # type: ignore[union-attr]
            engine.dispose()
            made.rename(path)
        return path


class Engines:
    """An engine for each database, kept while its connections come and go: what SQLAlchemy once
    compiled for it need not be compiled again for every test.
    """

    def __init__(self) -> None:
        self._made: dict[str, Engine] = {}

    def of(self, url: str) -> Engine:
        """Return the engine for the database."""
        if url not in self._made:
            self._made[url] = connect(url)
        return self._made[url]

    def rest(self, url: str) -> None:
        """Part from the database when a test is over.

        PostgreSQL stays, with its rows put back, and so do connections to it: each new one is a
        process that first reads the catalog. SQLite's file is another one the next time.
        """
        if self._made[url].dialect.name == "sqlite":
            self._made[url].dispose()

    def dispose(self) -> None:
        for engine in self._made.values():
            engine.dispose()


class Servers:
    """The PostgreSQL server of this worker, started when first needed."""

    def __init__(self) -> None:
        self._postgres: Postgres | None = None
        self._beside: dict[str, psycopg.Connection] = {}
        self.is_prepared = False

    @property
    def postgres(self) -> Postgres:
        if self._postgres is None:
            self._postgres = start()
        return self._postgres

    def beside(self, database: str) -> psycopg.Connection:
        """Return the tests' own connection to a database: a new one would read the whole catalog
        anew, which takes four times as long as putting the rows back.
        """
        if database not in self._beside:
            self._beside[database] = psycopg.connect(
                host=str(self.postgres.folder), user=SUPERUSER, dbname=database, autocommit=True
            )
        return self._beside[database]

    def stop(self) -> None:
        for connection in self._beside.values():
            connection.close()
        if self._postgres is not None:
            self._postgres.stop()
