"""The published logs: checkpoints and tiles for everybody (C2SP tlog-tiles), and for map auditors whose
entry each is, by pseudonym.
"""

import re

import flask

from consent.ledger.request import is_authorized
from consent.ledger.tiles import ENTRIES, WIDTH, Tile, bundle, unbundle
from consent.ledger.tree import HASH_BYTES
from consent.log_state import STREAM, STREAM_BYTES, LogState
from idp import ledger
from idp.database import for_reading
from idp.web import context

blueprint = flask.Blueprint("ledger", __name__)
_LOG = r"(root|policy|entries/[0-9]{4}-[0-9]{2}/[0-9]{1,4})"
_CHECKPOINT = re.compile(rf"{_LOG}/checkpoint", re.ASCII)
_TILE = re.compile(rf"{_LOG}/(tile/.{{1,60}})", re.ASCII)
_STREAM = re.compile(rf"stream/{_LOG}/([0-9]{{1,12}})\.p/([0-9]{{1,3}})", re.ASCII)
# What a tile holds never changes, and nothing of it is about anybody.
_FOR_EVER = "public, max-age=31536000, immutable"
_MOMENT = "public, max-age=1"
_BYTES = "application/octet-stream"


@blueprint.get("/ledger/<path:path>")
def published(path: str) -> flask.Response:
    """Give out a checkpoint, a tile, or to an auditor a part of the stream."""
    if found := _CHECKPOINT.fullmatch(path):
        return _checkpoint(found[1])
    if (found := _TILE.fullmatch(path)) and (tile := Tile.parse(found[2])):
        return _answer(_tile(found[1], tile), _BYTES, _FOR_EVER)
    if found := _STREAM.fullmatch(path):
        return _stream(found[1], int(found[2]), int(found[3]))
    return flask.abort(404)


@blueprint.get("/ledger/sealed")
def sealed() -> flask.Response:
    """Tell how many uses are sealed, by which authority and until when; whose they are is not told."""
    with for_reading(context.installation().engine).begin() as db:
        found = context.installation().services(db).sealing.all()
    response = flask.jsonify(
        {
            "sealed": sum(not one.is_unsealed for one in found),
            "unsealed": sum(one.is_unsealed for one in found),
            "uses": [
                {
                    "position": one.position,
                    "day": one.day.isoformat(),
                    "authority": one.client_id,
                    "class": one.seal_class,
                    "until": one.until.isoformat(),
                    "commitment": one.commitment,
                    "unsealed": one.is_unsealed,
                }
                for one in found
            ],
        }
    )
    response.headers["Cache-Control"] = _MOMENT
    return response


def _checkpoint(name: str) -> flask.Response:
    with for_reading(context.installation().engine).begin() as db:
        log = LogState(db).find_log(name)
    if log is None:
        flask.abort(404)
    return _answer(log.note.encode(), "text/plain; charset=utf-8", _MOMENT)


def _tile(name: str, tile: Tile) -> bytes:
    with for_reading(context.installation().engine).begin() as db:
        data = LogState(db).tile(name, tile.level, tile.number)
    if tile.level == ENTRIES:
        entries = unbundle(data)[: tile.width]
        return bundle(entries) if len(entries) == tile.width else b""
    part = data[: tile.width * HASH_BYTES]
    return part if len(part) == tile.width * HASH_BYTES else b""


def _stream(name: str, number: int, width: int) -> flask.Response:
    installation = context.installation()
    request = flask.request
    trusted = ledger.policy(installation)
    now = int(installation.clock().timestamp())
    header = request.headers.get("Authorization", "")
    if not is_authorized(trusted, header, request.path, now):
        response = flask.Response("map auditors only\n", 401, content_type="text/plain")
        response.headers["WWW-Authenticate"] = "Sen-Auditor"
        return response
    with for_reading(installation.engine).begin() as db:
        data = LogState(db).tile(name, STREAM, number)
    part = data[: min(width, WIDTH) * STREAM_BYTES]
    return _answer(part, _BYTES, "no-store")


def _answer(body: bytes, kind: str, kept: str) -> flask.Response:
    if not body:
        flask.abort(404)
    response = flask.Response(body, content_type=kind)
    response.headers["Cache-Control"] = kept
    return response
