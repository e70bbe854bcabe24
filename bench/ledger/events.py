"""Measure 16's other half: how soon who withdraws sees that it holds, and the agency knows of it."""

import base64
import json
import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

from flask.testing import FlaskClient

from bench.ledger.world import ISSUER, Citizen, Place, Report, placed
from bench.ledger.writing import granted
from bench.subjects import make_seed
from connectors.outbound import Outbound
from idp import upkeep
from idp.app import create_app
from idp.door import Door

PUSHED, POLLED = "agency-0", "agency-1"
A_SECOND = 4
POLLS_EVERY = 1.0
"""Seconds; an agency may ask as often as it likes, and the events can be no younger than that."""
_LIMIT = 5000
_PATIENCE = 60
_WARMING = 4
"""The first pages compile their templates; a server has shown them before."""
_DONE = b"Withdrawn. The agency can no longer read your data"


def measure_events(report: Report, withdrawals: int, *, postgres: bool) -> None:
    """Withdraw on the page, again and again, beside all of a server's upkeep; half of it at an agency that
    is told by RFC 8935, half at one that asks by RFC 8936.
    """
    with tempfile.TemporaryDirectory() as name, placed(Path(name), postgres=postgres) as place:
        arrived: dict[str, float] = {}
        with _receiver(arrived) as address:
            secret = secrets.token_urlsafe(32)
            _register(place, address, secret)
            app = create_app(installation=place.installation)
            end = upkeep.run_by_itself(place.installation)
            is_over = threading.Event()
            poller = threading.Thread(
                target=_poll, args=(app.test_client(), secret, arrived, is_over)
            )
            poller.start()
            try:
                _withdraw(place, report, app.test_client, withdrawals, arrived)
            finally:
                is_over.set()
                poller.join()
                end()
                door = app.wsgi_app
                assert isinstance(door, Door)
                door.close()


@contextmanager
def _receiver(arrived: dict[str, float]) -> Iterator[str]:
    """Be an agency that takes events; note when each consent's came, just before it is answered."""

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            token = self.rfile.read(int(self.headers["Content-Length"]))
            arrived.setdefault(_consent_in(token.decode()), time.perf_counter())
            self.send_response(202)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_said: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def _consent_in(token: str) -> str:
    part = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    (said,) = claims["events"].values()
    return str(said["consent"])


def _register(place: Place, address: str, secret: str) -> None:
    (party,) = make_seed(1)["relying_parties"]
    ways = {
        PUSHED: {"events_uri": f"http://{address}/events"},
        POLLED: {"events_delivery_method": "urn:ietf:rfc:8936"},
    }
    place.installation.outbound = Outbound(frozenset({address}), plain_on_loopback=True)
    with place.installation.engine.begin() as db:
        registrations = place.installation.services(db).registrations
        for client_id, members in ways.items():
            own = {**party, "client_id": client_id, "client_secret": secret, **members}
            registrations.register(own)
    place.installation.relying_parties.forget()


def _poll(
    client: FlaskClient, secret: str, arrived: dict[str, float], is_over: threading.Event
) -> None:
    pair = f"{quote_plus(POLLED)}:{quote_plus(secret)}".encode()
    headers = {"Authorization": "Basic " + base64.b64encode(pair).decode()}
    taken: list[str] = []
    while not is_over.wait(POLLS_EVERY):
        answer = client.post(
            "/agency/events", json={"ack": taken}, headers=headers, base_url=ISSUER
        )
        sets = answer.get_json()["sets"]
        for token in sets.values():
            arrived.setdefault(_consent_in(token), time.perf_counter())
        taken = list(sets)


def _withdraw(
    place: Place,
    report: Report,
    client_of: Callable[[], FlaskClient],
    withdrawals: int,
    arrived: dict[str, float],
) -> None:
    pressed: dict[str, dict[str, float]] = {PUSHED: {}, POLLED: {}}
    confirmed: list[float] = []
    reader = client_of()
    begun = time.perf_counter()
    for number in range(-_WARMING, withdrawals):
        time.sleep(max(0.0, begun + number / A_SECOND - time.perf_counter()))
        one = place.citizens[number // 2 % len(place.citizens)]
        party = (PUSHED, POLLED)[number % 2]
        consent, _, token = granted(place, one, party)
        moment, took = _press(client_of(), one, consent)
        if number >= 0:
            pressed[party][consent] = moment
            confirmed.append(took)
        headers = {"Authorization": f"Bearer {token}"}
        assert reader.get("/userinfo", base_url=ISSUER, headers=headers).status_code == 401
    expected = {consent for some in pressed.values() for consent in some}
    deadline = time.perf_counter() + _PATIENCE
    while not expected <= arrived.keys() and time.perf_counter() < deadline:
        time.sleep(0.1)
    report.times("16", "withdrawal pressed until the page says that it holds", confirmed, 1000)
    for party, way in (
        (PUSHED, "until the agency took the event (RFC 8935)"),
        (POLLED, f"until it fetched it, asking every {POLLS_EVERY:g} s (RFC 8936)"),
    ):
        took = [
            (arrived[consent] - moment) * 1000
            for consent, moment in pressed[party].items()
            if consent in arrived
        ]
        if took:
            report.times("16", f"pressed {way}", took, _LIMIT)
    missing = len(expected - arrived.keys())
    report.say("16", "events that never came", f"{missing}", "0", met=missing == 0)


def _press(client: FlaskClient, one: Citizen, consent: str) -> tuple[float, float]:
    """Withdraw as a browser does; return when it was pressed, and how long the page took in ms."""
    client.set_cookie("__Host-sen_session", one.cookie, domain="id.example")
    english = {"Accept-Language": "en"}
    page = client.get("/me/consents", base_url=ISSUER, headers=english)
    path = f"/me/consents/{consent}/withdraw"
    assert path.encode() in page.data
    csrf = page.data.split(b'name="csrf_token" value="', 1)[1].split(b'"', 1)[0].decode()
    moment = time.perf_counter()
    answer = client.post(
        path, data={"csrf_token": csrf}, base_url=ISSUER,
        headers={**english, "Origin": ISSUER, "Sec-Fetch-Site": "same-origin"},
    )  # fmt: skip
    took = (time.perf_counter() - moment) * 1000
    assert answer.status_code == 200, answer.status
    assert _DONE in answer.data
    return moment, took
