"""A statement whose plan PostgreSQL keeps: planned once, whatever it thinks of it, and nothing else is."""

import pytest
from sqlalchemy import Integer, bindparam, literal, select, text
from sqlalchemy.exc import DBAPIError

from accounts.statements import Statement
from idp.services import Installation

_QUOTIENT = Statement(
    select((literal(84) // bindparam("by", type_=Integer)).label("quotient")), plan_kept=True
)


@pytest.fixture
def kind() -> str:
    """Plans are PostgreSQL's."""
    return "postgresql"


def test_it_is_planned_once_and_others_as_ever(installation: Installation) -> None:
    # Connections outlive tests, so the statement is this test's own.
    doubled = Statement(select((bindparam("of", type_=Integer) * 2).label("twice")), plan_kept=True)
    with installation.engine.begin() as db:
        told = [doubled.first(db, {"of": of}).twice for of in (1, 2, 21)]
        kept = text(
            "SELECT generic_plans, custom_plans FROM pg_prepared_statements "
            "WHERE statement LIKE '%twice%'"
        )
        plans = db.execute(kept).one()
        mode = db.execute(text("SHOW plan_cache_mode")).scalar_one()
    assert told == [2, 4, 42]
    assert tuple(plans) == (3, 0)
    assert mode == "auto"


def test_an_error_is_told_and_the_connection_goes_on(installation: Installation) -> None:
    with installation.engine.connect() as db:
        with pytest.raises(DBAPIError, match="zero") as failed:
            _QUOTIENT.first(db, {"by": 0})
        assert not failed.value.connection_invalidated
        db.rollback()
        assert _QUOTIENT.first(db, {"by": 2}).quotient == 42
        assert db.execute(text("SHOW plan_cache_mode")).scalar_one() == "auto"


def test_a_lost_connection_is_told_as_one(installation: Installation) -> None:
    with installation.engine.connect() as db:
        pid = db.execute(text("SELECT pg_backend_pid()")).scalar_one()
        _QUOTIENT.first(db, {"by": 1})
        with installation.engine.begin() as other:
            other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
        with pytest.raises(DBAPIError) as failed:
            _QUOTIENT.first(db, {"by": 1})
        assert failed.value.connection_invalidated
        db.invalidate()
    with installation.engine.connect() as db:
        assert _QUOTIENT.first(db, {"by": 1}).quotient == 84
