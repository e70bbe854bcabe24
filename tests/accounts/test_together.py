"""Statements of several threads in one pipeline: each gets its own answer, and all are done or none.

A statement that sleeps keeps the connection busy, so that what is asked for meanwhile goes together.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import text

from accounts.together import Call, NotTogetherError, Together
from idp.services import Installation


@pytest.fixture
def kind() -> str:
    """Pipelines are libpq's."""
    return "postgresql"


@pytest.fixture
def together(installation: Installation) -> Iterator[Together]:
    with installation.engine.begin() as db:
        db.execute(text("CREATE TABLE pair (key INTEGER PRIMARY KEY, transaction TEXT NOT NULL)"))
    made = Together(installation.engine)
    yield made
    made.close()
    with installation.engine.begin() as db:
        db.execute(text("DROP TABLE pair"))


def sleep(seconds: float) -> Call:
    return Call(b"sleep", b"SELECT pg_sleep($1::float8)", [str(seconds).encode()], [0])


def insert(key: int, apart: object = None) -> Call:
    sql = b"INSERT INTO pair VALUES ($1::int, pg_current_xact_id()::text) RETURNING transaction"
    return Call(b"insert", sql, [b"%d" % key], [0], apart)


def run_at_once(together: Together, calls: list[Call]) -> list[Any]:
    """Return what became of the calls, asked for while the connection was busy."""

    def run(call: Call) -> Any:
        try:
            return together.run(call).get_value(0, 0)
        except NotTogetherError:
            return "not together"

    with ThreadPoolExecutor(len(calls) + 1) as threads:
        threads.submit(together.run, sleep(0.4))
        time.sleep(0.1)
        return list(threads.map(run, calls))


def keys(installation: Installation) -> list[int]:
    with installation.engine.connect() as db:
        return list(db.execute(text("SELECT key FROM pair ORDER BY key")).scalars())


def test_what_waits_goes_together_and_each_gets_its_own_answer(together: Together) -> None:
    doubles = [Call(b"double", b"SELECT ($1::int * 2)::text", [b"%d" % n], [0]) for n in range(8)]
    assert run_at_once(together, doubles) == [b"%d" % (2 * n) for n in range(8)]


def test_what_the_connection_was_used_for_before_is_forgotten(
    together: Together, installation: Installation
) -> None:
    with installation.engine.connect() as db:
        prepared = db.connection.driver_connection.pgconn.prepare(b"insert", b"SELECT 0")  # type: ignore[union-attr]
        assert prepared.error_message == b""
    together.run(insert(1))
    assert keys(installation) == [1]


def test_writes_that_go_together_are_one_transaction(
    together: Together, installation: Installation
) -> None:
    found = run_at_once(together, [insert(key) for key in range(6)])
    assert len(set(found)) == 1
    assert keys(installation) == [*range(6)]


def test_one_that_fails_undoes_all_and_the_next_go_well(
    together: Together, installation: Installation
) -> None:
    together.run(insert(3))
    assert run_at_once(together, [insert(key) for key in range(6)]) == ["not together"] * 6
    assert keys(installation) == [3]
    assert "not together" not in run_at_once(together, [insert(key) for key in range(10, 14)])


def test_of_those_that_must_be_apart_one_goes_at_a_time(
    together: Together, installation: Installation
) -> None:
    calls = [insert(0, "a"), insert(1, "a"), insert(2, "b"), insert(3)]
    found = run_at_once(together, calls)
    assert sorted(one == "not together" for one in found) == [False, False, False, True]
    assert len(keys(installation)) == 3


def test_nobody_waits_long_for_a_row_that_somebody_else_has_locked(
    together: Together, installation: Installation
) -> None:
    """Else a batch, holding the locks of many, could wait for one who waits for one of these."""
    together.run(insert(1))
    update = b"UPDATE pair SET transaction = '' WHERE key = 1"
    with installation.engine.begin() as db:
        db.execute(text("SELECT key FROM pair FOR UPDATE"))
        began = time.monotonic()
        with pytest.raises(NotTogetherError):
            together.run(Call(b"update", update, [], []))
        assert time.monotonic() - began < 5
    assert together.run(Call(b"update", update, [], [])).command_tuples == 1


def test_a_lost_connection_is_opened_anew(together: Together, installation: Installation) -> None:
    pid = together.run(Call(b"pid", b"SELECT pg_backend_pid()::text", [], [])).get_value(0, 0)
    with installation.engine.begin() as db:
        db.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": int(pid)})
    with pytest.raises(NotTogetherError):
        together.run(insert(1))
    together.run(insert(1))
    assert keys(installation) == [1]
