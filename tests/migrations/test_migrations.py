"""The migrations make exactly the schema that the program declares."""

import alembic.command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect

from accounts.schema import metadata
from idp.database import _config, connect, is_current, upgrade


def test_an_empty_database_is_brought_up_to_date(empty_database_url: str) -> None:
    engine = connect(empty_database_url)
    try:
        assert not is_current(engine)
        upgrade(engine)
        assert is_current(engine)
        assert set(metadata.tables) <= set(inspect(engine).get_table_names())
    finally:
        engine.dispose()


def test_the_schema_is_the_one_the_models_declare(empty_database_url: str) -> None:
    engine = connect(empty_database_url)
    try:
        upgrade(engine)
        with engine.connect() as db:
            context = MigrationContext.configure(db, opts={"compare_type": True})
            assert compare_metadata(context, metadata) == []
    finally:
        engine.dispose()


def test_upgrading_again_changes_nothing(database_url: str) -> None:
    engine = connect(database_url)
    try:
        upgrade(engine)
        assert is_current(engine)
    finally:
        engine.dispose()


def test_the_way_back_leaves_nothing_behind(empty_database_url: str) -> None:
    engine = connect(empty_database_url)
    try:
        upgrade(engine)
        config = _config()
        with engine.connect() as db:
            config.attributes["connection"] = db
            alembic.command.downgrade(config, "base")
            db.commit()
        assert set(inspect(engine).get_table_names()) <= {"alembic_version"}
    finally:
        engine.dispose()
