"""The migrations make exactly the schema that the program declares."""

from datetime import UTC, datetime
from functools import partial
from typing import Any

import alembic.command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import func, inspect, select, text

from accounts.mandates import mandate
from accounts.schema import metadata
from consent.data_use import data_use, entry_of, select_entries
from consent.use_terms import use_terms
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
            opts = {"compare_type": True, "include_object": partial(_is_for, engine.name)}
            context = MigrationContext.configure(db, opts=opts)
            assert compare_metadata(context, metadata) == []
    finally:
        engine.dispose()


def _is_for(dialect: str, found: Any, name: str, kind: str, _old: bool, _other: Any) -> bool:
    """Leave out what is declared for another kind of database, and the parts of a divided table."""
    if kind == "table" and name.startswith("data_use_"):
        return False
    condition = getattr(found, "_ddl_if", None)
    return condition is None or condition.dialect == dialect


def test_upgrading_again_changes_nothing(database_url: str) -> None:
    engine = connect(database_url)
    try:
        upgrade(engine)
        assert is_current(engine)
    finally:
        engine.dispose()


def test_accounts_of_the_first_schema_are_kept(empty_database_url: str) -> None:
    engine = connect(empty_database_url)
    now = "2026-01-02 03:04:05"
    try:
        with engine.connect() as db:
            config = _config()
            config.attributes["connection"] = db
            alembic.command.upgrade(config, "0001")
            db.execute(text("INSERT INTO subject VALUES ('s', 'person', :now)"), {"now": now})
            db.execute(
                text(
                    "INSERT INTO account (id, subject_id, kind, level, state, user_handle, "
                    "issued_at) VALUES ('a', 's', 'citizen', '02', 'active', :handle, :now)"
                ),
                {"now": now, "handle": b"handle"},
            )
            db.execute(text("INSERT INTO account_lock VALUES ('a', 'risk', :now)"), {"now": now})
            db.commit()
        upgrade(engine)
        with engine.connect() as db:
            assert db.execute(text("SELECT state FROM account")).scalars().all() == ["active"]
            assert db.execute(text("SELECT reason FROM account_lock")).scalars().all() == ["risk"]
            if db.dialect.name == "sqlite":
                assert db.execute(text("PRAGMA foreign_key_check")).all() == []
                assert db.execute(text("PRAGMA foreign_keys")).scalar() == 1
    finally:
        engine.dispose()


def test_mandates_of_earlier_schemas_are_kept_without_bounds(empty_database_url: str) -> None:
    engine = connect(empty_database_url)
    now = "2026-01-02 03:04:05"
    try:
        with engine.connect() as db:
            config = _config()
            config.attributes["connection"] = db
            alembic.command.upgrade(config, "0006")
            db.execute(text("INSERT INTO subject VALUES ('s', 'person', :now)"), {"now": now})
            for id_, end in (("lasting", None), ("over", now)):
                db.execute(
                    text(
                        "INSERT INTO mandate (id, type, principal_id, agent_id, source, valid_from, "
                        "valid_to) VALUES (:id, 'legal_rep', 's', 's', 'enterprises', :now, :end)"
                    ),
                    {"id": id_, "now": now, "end": end},
                )
            db.commit()
        upgrade(engine)
        with engine.connect() as db:
            rows = db.execute(select(mandate).order_by(mandate.c.id)).all()
        assert [(row.id, row.state) for row in rows] == [("lasting", "active"), ("over", "revoked")]
        assert [(row.scopes, row.joint, row.confirmed_at) for row in rows] == [
            (["*"], False, None)
        ] * 2
    finally:
        engine.dispose()


def test_uses_of_earlier_schemas_stay_as_they_were(empty_database_url: str) -> None:
    engine = connect(empty_database_url)
    written = {
        "id": "1" * 32, "subject_id": "a" * 32, "position": 1, "at": "2026-01-02 03:04:05.000006+00",
        "client_id": "portal", "channel": "userinfo", "outcome": "released", "subject_role": "primary",
        "attributes": '["name","sub"]', "purpose": "public-service", "purpose_version": 1,
        "legal_basis": "consent", "consent_id": "b" * 32, "grant_id": None, "other_party": "o",
        "correlation": "seed", "detail": '{"register":"population"}', "personal": True,
        "commitment": bytes(range(32)),
    }  # fmt: skip
    others = [{**written, "position": n, "grant_id": "c" * 32, "detail": None} for n in (2, 3)]
    columns, values = ", ".join(written), ", ".join(f":{name}" for name in written)
    old = text(f"INSERT INTO data_use ({columns}) VALUES ({values})")
    if engine.dialect.name == "sqlite":
        for row in (written, *others):
            row["at"] = "2026-01-02 03:04:05.000006"
    try:
        with engine.connect() as db:
            config = _config()
            config.attributes["connection"] = db
            alembic.command.upgrade(config, "0024")
            db.execute(old, [written, *others])
            db.commit()
        upgrade(engine)
        with engine.connect() as db:
            rows = db.execute(select_entries().order_by(data_use.c.position)).all()
            first, second = entry_of(rows[0]), entry_of(rows[1])
            assert db.execute(select(func.count()).select_from(use_terms)).scalar() == 1
        assert (first.id, first.use.subject_id, first.use.consent_id) == (
            "1" * 32, "a" * 32, "b" * 32,
        )  # fmt: skip
        assert first.at == datetime(2026, 1, 2, 3, 4, 5, 6, UTC)
        assert (first.use.grant_id, second.use.grant_id) == (None, "c" * 32)
        assert (first.use.client_id, first.use.attributes) == ("portal", ("name", "sub"))
        assert first.use.detail == {"register": "population"}
        assert first.commitment == bytes(range(32))
        with engine.connect() as db:
            config.attributes["connection"] = db
            alembic.command.downgrade(config, "0024")
            db.commit()
            back = db.execute(text(f"SELECT {columns} FROM data_use ORDER BY position")).all()
        assert [row.id for row in back] == ["1" * 32] * 3
        assert (back[0].subject_id, back[0].client_id, back[0].grant_id) == (
            "a" * 32, "portal", None,
        )  # fmt: skip
        assert bytes(back[0].commitment) == bytes(range(32))
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
