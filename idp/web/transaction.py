"""One transaction a request: committed when the answer is below 500, before the answer leaves.

A handled refusal (4xx) keeps its consequences: the failed attempt is counted, the replayed code's
tokens stay revoked. A crash keeps nothing, and no attribute leaves unless its use entry is
committed.
"""

import flask
from sqlalchemy import Connection, Engine

from accounts.statements import commit
from idp.database import for_reading


def install(app: flask.Flask, engine: Engine) -> None:
    """Give every request a transaction of its own, opened when first needed."""

    @app.after_request
    def finish(response: flask.Response) -> flask.Response:
        connection: Connection | None = flask.g.pop("connection", None)
        if connection is not None:
            try:
                with connection:
                    if response.status_code < 500:
                        commit(connection)
                    else:
                        connection.rollback()
            except BaseException:
                # Another is sent in its place, and what it holds is closed by nobody else.
                response.close()
                raise
        return response

    @app.teardown_appcontext
    def abandon(_error: BaseException | None) -> None:
        connection: Connection | None = flask.g.pop("connection", None)
        if connection is not None:
            connection.close()

    app.extensions["sen.engine"] = engine


def connection() -> Connection:
    """Return the request's connection, in its transaction."""
    if "connection" not in flask.g:
        engine: Engine = flask.current_app.extensions["sen.engine"]
        flask.g.connection = engine.connect()
    opened: Connection = flask.g.connection
    return opened


def release() -> None:
    """Commit what there is and let go of the database, before something slow.

    Comparing a password takes tens of milliseconds; on SQLite every other writer would wait.
    """
    held: Connection | None = flask.g.pop("connection", None)
    if held is not None:
        with held:
            commit(held)


def only_read() -> None:
    """Commit what there is; for the rest of the request the database is only read."""
    release()
    engine: Engine = flask.current_app.extensions["sen.engine"]
    flask.g.connection = for_reading(engine).connect()


def undo() -> None:
    """Take back what this request changed so far; the answer itself may still be a 4xx."""
    held: Connection | None = flask.g.pop("connection", None)
    if held is not None:
        with held:
            held.rollback()
