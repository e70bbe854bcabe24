"""A reader app for simulated cards: what a phone does when a card is held to it."""

import base64
import json
import sqlite3
from typing import Any
from urllib.parse import urlsplit

from accounts.chip.examination import Reading
from connectors.outbound import Outbound
from connectors.simulation.cards import CardIssuer, Chip

_SECONDS = 20.0


def chip_of(db: sqlite3.Connection, issuer: CardIssuer, number: str) -> Chip:
    """Return the chip of the card that somebody of the population has.

    Raises:
        ValueError: there is no such person, or she has no card.
    """
    person = db.execute("SELECT * FROM person WHERE number = ?", (number,)).fetchone()
    card = db.execute("SELECT * FROM card WHERE number = ?", (number,)).fetchone()
    if person is None or card is None:
        raise ValueError("nobody of the population bears this number and has a card")
    return issuer.chip(person, card)


def present(chip: Chip, url: str, code: str) -> tuple[int, dict[str, Any]]:
    """Answer the request with this code at the provider; return status and document of its answer.

    Raises:
        OutboundRefusedError: nobody answers there, or not in time.
        ValueError: what answers is no provider, or knows no such request.
    """
    status, asked = _post(url, "challenge", {"code": code})
    if status != 200:
        return status, asked
    return send(chip.read(_bytes(str(asked["nonce"]))), url, code)


def send(reading: Reading, url: str, code: str) -> tuple[int, dict[str, Any]]:
    """Send a reading; return status and document of the answer."""
    return _post(url, "readings", document(reading, code))


def document(reading: Reading, code: str) -> dict[str, Any]:
    """Return a reading as it travels."""
    files = {f"dg{group}": _text(data) for group, data in reading.groups.items()}
    return {
        "code": code,
        "files": {"sod": _text(reading.security_object), **files},
        "signature": _text(reading.signature),
    }


def _post(url: str, what: str, sent: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    body = json.dumps(sent).encode()
    place = urlsplit(url)
    reply = Outbound(frozenset({place.netloc}), plain_on_loopback=True).exchange(
        "POST",
        f"{url.rstrip('/')}/apply/chip/{what}",
        headers={"Content-Type": "application/json", "Content-Length": str(len(body))},
        body=body,
        seconds=_SECONDS,
    )
    answer = json.loads(reply.body)
    if not isinstance(answer, dict):
        raise ValueError("no provider answers there")
    return reply.status, answer


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
