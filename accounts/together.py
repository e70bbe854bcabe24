"""Single statements of several threads, run together on PostgreSQL.

Whoever comes while nothing is under way has its statement run at once. What is asked for meanwhile
waits and goes next, all of it as one pipeline: one round trip, one transaction, one wait for the disk.
See docs/decisions/0028.
"""

import os
import select
import threading
from collections.abc import Hashable, Sequence
from typing import Any

from psycopg import Error as PsycopgError
from psycopg import OperationalError
from psycopg.pq import ConnStatus, ExecStatus
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

MOST = 16
"""So many statements run together at most."""
_SETTINGS = (
    # Of whoever had the connection before.
    "DEALLOCATE ALL",
    # What is locked for longer is waited for by its own thread: nobody else's locks are held
    # meanwhile, and no two servers wait for one another for ever.
    "SET lock_timeout = '100ms'",
)
_FINE = {ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK}


class NotTogetherError(Exception):
    """A statement failed, or one that ran with it, so nothing of it was done."""


class Call:
    """A prepared statement to run: its name and text, and its parameters as libpq takes them.

    Of those that share ``apart`` one is run in a turn: the next would find changed what it rests on.
    """

    __slots__ = ("_turn", "apart", "formats", "is_over", "name", "result", "sql", "values")

    def __init__(
        self,
        name: bytes,
        sql: bytes,
        values: list[bytes | None],
        formats: list[int],
        apart: Hashable = None,
    ) -> None:
        self.name = name
        self.sql = sql
        self.values = values
        self.formats = formats
        self.apart = apart
        self.result: Any = None
        self.is_over = False
        self._turn = threading.Lock()
        self._turn.acquire()

    def wait(self) -> None:
        """Sleep until the call is over, or its thread is to lead."""
        self._turn.acquire()

    def wake(self) -> None:
        """Let the call's thread go on."""
        self._turn.release()


class Together:
    """Runs calls on one connection of its own. Safe to share between threads, made for it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._waiting: list[Call] = []
        self._is_running = False
        self._driver: Any = None
        self._prepared: set[bytes] = set()

    def run(self, call: Call) -> Any:
        """Run the call, alone or with others, and return libpq's result, which is fine and durable.

        Raises:
            NotTogetherError: it has to be run anew, where it stands alone.
        """
        with self._lock:
            self._waiting.append(call)
            leads, self._is_running = not self._is_running, True
        if not leads:
            call.wait()
        if not call.is_over:
            self._lead()
        if call.result is None:
            raise NotTogetherError
        return call.result

    def close(self) -> None:
        """Close the connection, while no call is under way; the next call opens another."""
        held, self._driver = self._driver, None
        self._prepared.clear()
        if held is not None:
            held.close()

    def _lead(self) -> None:
        """Run what waits, the caller's own call first of it; then let the next thread lead."""
        # Threads that wait for Python's lock ask for what they are about to ask first, as long as there
        # are any: it goes along. (To sleep, even for no time at all, costs fifty times as much.)
        known = 0
        while known < (count := len(self._waiting)) < MOST:
            known = count
            os.sched_yield()
        with self._lock:
            calls, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
        try:
            self._answer(_apart(calls))
        except BaseException as error:
            self.close()
            if not isinstance(error, (PsycopgError, SQLAlchemyError)):
                raise
        finally:
            with self._lock:
                following = self._waiting[0] if self._waiting else None
                self._is_running = following is not None
            for call in calls:
                call.is_over = True
            if following is not None:
                following.wake()
            for call in calls[1:]:
                call.wake()

    def _answer(self, calls: list[Call]) -> None:
        if self._driver is None:
            self._driver = _connected(self._engine)
        libpq = self._driver.pgconn
        for call in calls:
            if call.name not in self._prepared:
                if not _all_well(libpq, [libpq.prepare(call.name, call.sql)]):
                    raise PsycopgError("a statement could not be prepared")
                self._prepared.add(call.name)
        if len(calls) == 1:
            only = calls[0]
            results = [libpq.exec_prepared(only.name, only.values, only.formats, result_format=1)]
        else:
            results = pipelined(libpq, calls)
        if _all_well(libpq, results):
            for call, result in zip(calls, results, strict=True):
                call.result = result


class OnDemand:
    """Stands for a connection without transactions of which most requests need nothing but the
    statements that run together; for anything else it takes one from the pool.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._db: Connection | None = None
        self.dialect = engine.dialect

    def get_execution_options(self) -> Any:
        """Return the options of its connections."""
        return self._engine.get_execution_options()

    def in_transaction(self) -> bool:
        """True, as none need be begun."""
        return True

    def take(self) -> Connection | None:
        """Return what was taken, if anything was, and forget it."""
        taken, self._db = self._db, None
        return taken

    def __getattr__(self, name: str) -> Any:  # noqa: D105
        if self._db is None:
            self._db = self._engine.connect()
        return getattr(self._db, name)


def _connected(engine: Engine) -> Any:
    """Return a connection of the driver's, in autocommit and with settings of its own, so that it
    never goes back to the pool.
    """
    pooled = engine.raw_connection()
    driver: Any = pooled.driver_connection
    pooled.detach()
    driver.autocommit = True
    for setting in _SETTINGS:
        driver.execute(setting)
    return driver


def _apart(calls: list[Call]) -> list[Call]:
    """Return the calls that may share a transaction, the first of each that may not."""
    taken: set[Hashable] = set()
    chosen = []
    for call in calls:
        if call.apart is None or call.apart not in taken:
            taken.add(call.apart)
            chosen.append(call)
    return chosen


def pipelined(libpq: Any, calls: Sequence[Call]) -> list[Any]:
    """Run the calls in one round trip, and one transaction; return every result: one of each call, if all
    went well.
    """
    ready = select.poll()
    ready.register(libpq.socket, select.POLLIN)
    libpq.nonblocking = 1
    libpq.enter_pipeline_mode()
    for call in calls:
        libpq.send_query_prepared(call.name, call.values, call.formats, result_format=1)
    libpq.pipeline_sync()
    while libpq.flush():
        ready.modify(libpq.socket, select.POLLIN | select.POLLOUT)
        ready.poll()
        libpq.consume_input()
    ready.modify(libpq.socket, select.POLLIN)
    found: list[Any] = []
    while True:
        # Waited for here: libpq's own waiting would hold Python's lock, and with it whoever is to
        # give what is waited for.
        while libpq.is_busy():
            ready.poll()
            libpq.consume_input()
        result = libpq.get_result()
        if result is None:
            continue
        if result.status == ExecStatus.PIPELINE_SYNC:
            break
        found.append(result)
        if libpq.status != ConnStatus.OK:
            break
    libpq.exit_pipeline_mode()
    libpq.nonblocking = 0
    return found


def _all_well(libpq: Any, results: list[Any]) -> bool:
    """True when every statement did what it says.

    Raises:
        OperationalError: the connection is lost.
    """
    if libpq.status != ConnStatus.OK:
        raise OperationalError("the connection is lost")
    return all(result.status in _FINE for result in results)
