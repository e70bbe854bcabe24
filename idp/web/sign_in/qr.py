"""Signing in by QR code, in the browser that begins: the moving code, the number, picking it up.

The page works without scripts: it then loads itself anew every three seconds. With them the next frame
is pushed by server-sent events, or asked for once a second. A stream of events holds one of the
process's few threads, so only one is open at a time and for twenty seconds; everybody else asks.
"""

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

import flask
import orjson

from idp.database import for_reading
from idp.login.errors import LoginError, SignInRefusedError, TooManyFailuresError
from idp.login.flow import SignIn
from idp.login.qr import QrSignIns, QrState, Wanted
from idp.oidc import wire
from idp.services import Installation
from idp.web import context, errors, forms, journey
from idp.web.drawing import qr_code

blueprint = flask.Blueprint("qr", __name__)
STREAMS: Final = 1
_STREAM_SECONDS = 20
_LONGEST_WAIT = 30
_streams = threading.BoundedSemaphore(STREAMS)
PACED = "sen.paced"
"""In the environment of a request that was counted before Flask."""
_KEPT_NOWHERE = {"Cache-Control": "no-store", "Vary": "Cookie"}
_OPEN = (QrState.CREATED, QrState.SHOWN)


class Pace:
    """Keeps pages from asking faster than the frames move, and all of them together from taking the
    time in which others sign in. Each process counts for itself: what it protects is its own time.
    """

    def __init__(self, *, least: timedelta, a_second: int, most_known: int = 20_000) -> None:
        self._least = least
        self._a_second = a_second
        self._most_known = most_known
        self._last: OrderedDict[tuple[bytes, str], datetime] = OrderedDict()
        self._second = self._asked = self._asked_before = 0
        self._lock = threading.Lock()

    def wait(self, who: tuple[bytes, str], now: datetime) -> int:
        """Return for how many seconds this page has to wait before it asks again; 0 lets it ask.

        The more are refused, the longer each waits, so that refusals do not take the time either.
        """
        with self._lock:
            last = self._last.get(who)
            if last is not None and timedelta(0) <= now - last < self._least:
                return 1
            second = int(now.timestamp())
            if second != self._second:
                self._asked_before = self._asked if second == self._second + 1 else 0
                self._second, self._asked = second, 0
            self._asked += 1
            if self._asked > self._a_second:
                crowd = max(self._asked, self._asked_before) / self._a_second
                return min(_LONGEST_WAIT, math.ceil(crowd**2))
            self._last[who] = now
            self._last.move_to_end(who)
            if len(self._last) > self._most_known:
                self._last.popitem(last=False)
            return 0


_pace = Pace(least=timedelta(milliseconds=400), a_second=50)


@blueprint.post("/sign-in/qr")
def begin() -> flask.Response:
    """Begin, for the parked request or for a page of her own."""
    form = flask.request.form
    under_way = journey.find(form.get("interaction", ""))
    try:
        begun = context.services().qr_sign_ins.begin(
            _wanted(under_way, forms.local_page(form.get("next", ""))),
            context.visitor(),
            same_device=context.is_phone(),
        )
    except TooManyFailuresError as error:
        body = journey.sign_in_page(under_way, error=error.code)
        return flask.Response(body, errors.words(error.code).status)
    return journey.see_other(f"/sign-in/qr/{begun.id}")


@blueprint.get("/sign-in/qr/<id_>")
def show(id_: str) -> str:
    """Show the code, then the number, then the way on."""
    known = context.services().qr_sign_ins
    found = known.of_browser(id_, context.visitor().binding)
    under_way = None
    if found.wanted.interaction_id and found.state in {*_OPEN, QrState.CLAIMED, QrState.APPROVED}:
        under_way = journey.take_up(found.wanted.interaction_id)
    known.note_shown(found)
    draws = found.state in _OPEN and not found.same_device
    return flask.render_template(
        "sign_in/qr.html",
        sign_in=found,
        state="waiting" if found.state in _OPEN else found.state.value,
        picture=qr_code(known.address_of(known.frame(found))) if draws else None,
        app_href=f"/app/switch/{known.frame(found)}",
        relying_party=under_way.shown() if under_way else None,
        interaction=found.wanted.interaction_id,
        next=found.wanted.next,
        back_href=journey.go_on(found.wanted.interaction_id, otherwise="/sign-in"),
    )


@blueprint.get("/sign-in/qr/<id_>/status")
def status(id_: str) -> flask.Response:
    """Return where it stands, with the present frame while it waits."""
    installation, binding = context.installation(), context.visitor().binding
    # The door has counted what it let through.
    waiting = None if PACED in flask.request.environ else told_to_wait(installation, id_, binding)
    try:
        answer = waiting or standing(context.services().qr_sign_ins, id_, binding)
    except LoginError as error:
        return errors.problem(error.code)
    return context.respond(answer)


def told_to_wait(installation: Installation, id_: str, binding: bytes) -> wire.Response | None:
    """Return the answer for a page that asks too soon, or while too many ask; None lets it ask."""
    seconds = _pace.wait((binding, id_), installation.clock())
    return wire.Response(429, {**_KEPT_NOWHERE, "Retry-After": str(seconds)}) if seconds else None


def standing(known: QrSignIns, id_: str, binding: bytes) -> wire.Response:
    """Return where the sign-in of this browser stands, as JSON.

    Raises:
        QrGoneError: it began none with this id.
    """
    body = orjson.dumps(_status(known, id_, binding))
    return wire.Response(200, {**_KEPT_NOWHERE, "Content-Type": "application/json"}, body)


@blueprint.get("/sign-in/qr/<id_>/events")
def events(id_: str) -> flask.Response:
    """Push the frames for a while; 204, which ends the browser's asking, where no thread is free."""
    installation, binding = context.installation(), context.visitor().binding
    try:
        context.services().qr_sign_ins.of_browser(id_, binding)
    except LoginError as error:
        return errors.problem(error.code)
    if not _streams.acquire(blocking=False):
        return flask.Response(status=204)
    response = flask.Response(
        _stream(installation, id_, binding), content_type="text/event-stream; charset=utf-8"
    )
    response.headers["X-Accel-Buffering"] = "no"
    response.call_on_close(_streams.release)
    return response


@blueprint.post("/sign-in/qr/<id_>/redeem")
def redeem(id_: str) -> flask.Response:
    """Sign the person in whose phone approved it, in the browser that began."""
    services, visitor, current = context.services(), context.visitor(), context.session()
    approved = services.qr_sign_ins.redeem(id_, visitor)
    interaction_id = approved.wanted.interaction_id
    under_way = journey.find(interaction_id)
    is_asked = under_way is None or isinstance(under_way.next_step(), SignIn)
    try:
        started = services.sign_in.by_phone(
            approved.account_id or "", visitor, current, is_asked=is_asked
        )
    except SignInRefusedError as error:
        body = journey.sign_in_page(under_way, error=error.code)
        return flask.Response(body, errors.words(error.code).status)
    if started is not None:
        context.signed_in(started)
    return journey.see_other(journey.go_on(interaction_id, otherwise=approved.wanted.next))


def _wanted(under_way: journey.Journey | None, next_: str) -> Wanted:
    if under_way is None:
        return Wanted(next=next_)
    request = under_way.interaction.request
    return Wanted(
        client_id=request.client_id,
        interaction_id=under_way.interaction.id,
        next=next_,
        scope=request.scope,
        claims=(*request.required, *request.optional),
        purpose=under_way.relying_party.purpose,
        level=" ".join(request.acr_values),
    )


def _status(known: QrSignIns, id_: str, binding: bytes) -> dict[str, Any]:
    found = known.of_browser(id_, binding)
    document: dict[str, Any] = {
        "state": "waiting" if found.state in _OPEN else found.state.value,
        "disturbed": found.is_disturbed,
    }
    if found.state in _OPEN and not found.same_device:
        document |= qr_code(known.address_of(known.frame(found)))
    return document


def _stream(installation: Installation, id_: str, binding: bytes) -> Iterator[bytes]:
    until = time.monotonic() + _STREAM_SECONDS
    while time.monotonic() < until:
        with for_reading(installation.engine).connect() as db:
            try:
                document = _status(installation.services(db).qr_sign_ins, id_, binding)
            except LoginError:
                return
        yield b"data: " + orjson.dumps(document) + b"\n\n"
        if document["state"] not in {"waiting", QrState.CLAIMED.value}:
            return
        time.sleep(1)
