"""For operators: liveness, readiness and metrics."""

import time
from functools import lru_cache
from pathlib import Path

import flask
import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Histogram, multiprocess
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from idp import audit
from idp.database import is_current
from idp.web import context

blueprint = flask.Blueprint("operations", __name__)

# Labels are endpoint names and statuses, never anything a client sends.
_REQUESTS = Counter("sen_requests_total", "Requests answered", ["endpoint", "method", "status"])
_SECONDS = Histogram("sen_request_seconds", "Time to answer", ["endpoint"])
_METHODS = frozenset({"GET", "POST", "HEAD", "OPTIONS"})


@blueprint.get("/healthz")
def healthz() -> flask.Response:
    """Say that the process lives."""
    return flask.jsonify(status="alive")


@blueprint.get("/readyz")
def readyz() -> flask.Response:
    """Say whether requests can be served: database there, schema current, keys made."""
    installation = context.installation()
    try:
        with installation.engine.connect() as db:
            db.execute(text("SELECT 1"))
        ready = is_current(installation.engine) and installation.keys.has_keys()
    except SQLAlchemyError:
        ready = False
    response = flask.jsonify(status="ready" if ready else "not-ready")
    response.status_code = 200 if ready else 503
    return response


@blueprint.get("/metrics")
def metrics() -> flask.Response:
    """Expose the counters of all workers for Prometheus."""
    registry = CollectorRegistry()
    folder = flask.current_app.config["METRICS_DIR"]
    if folder and Path(folder).is_dir():
        multiprocess.MultiProcessCollector(registry, path=str(folder))  # type: ignore[no-untyped-call]
    else:
        registry = prometheus_client.REGISTRY
    return flask.Response(
        prometheus_client.generate_latest(registry),
        content_type=prometheus_client.CONTENT_TYPE_LATEST,
    )


@lru_cache(maxsize=1024)
def _children(endpoint: str, method: str, status: int) -> tuple[Counter, Histogram]:
    return _REQUESTS.labels(endpoint, method, str(status)), _SECONDS.labels(endpoint)


def count(endpoint: str, method: str, status: int, seconds: float, correlation: str) -> None:
    """Count one answered request and write its line into the log."""
    requests, time_taken = _children(endpoint, method if method in _METHODS else "other", status)
    requests.inc()
    time_taken.observe(seconds)
    audit.note_request(endpoint, method, status, seconds, correlation)


def install(app: flask.Flask) -> None:
    """Count and log every request."""

    @app.before_request
    def begin() -> None:
        flask.g.began = time.perf_counter()

    @app.after_request
    def finish(response: flask.Response) -> flask.Response:
        request = flask.request
        seconds = time.perf_counter() - flask.g.get("began", time.perf_counter())
        endpoint = request.endpoint or "none"
        if endpoint != "static":
            count(
                endpoint,
                request.method,
                response.status_code,
                seconds,
                flask.g.get("correlation", ""),
            )
        return response
