"""Identity cards in tests: who signs them, their chips, and the app that reads them."""

import base64
from typing import Any

import httpx

from accounts.chip.trust import Trust
from connectors.simulation.cards import CardIssuer, Chip, new_issuer
from connectors.simulation.reader import document
from tests.support.browser import Page
from tests.support.world import World

CARD = {"issued": "2024-02-02", "expiry": "2040-02-02"}
LAN = {
    "personal_number": "999190000001",
    "name": "Nguyễn Thị Hương Lan",
    "birthdate": "1990-04-12",
}


def trusted_issuer(world: World) -> CardIssuer:
    """Have the installation believe an authority, and return who issues cards under it."""
    assert world.clock is not None
    made = new_issuer(world.clock())
    world.installation.card_trust = Trust((made.authority,))
    return made


def chip_of(issuer: CardIssuer, stated: dict[str, str], **card: str) -> Chip:
    person = {
        "number": stated["personal_number"],
        "name": stated["name"],
        "birthdate": stated["birthdate"],
        "sex": "F",
    }
    return issuer.chip(person, {**CARD, **card})


def code_on(world: World, page: Page) -> str:
    """Return the reader app's code that a page shows."""
    code = page.html.split('id="chip-code">')[1].split("<")[0]
    world.secrets.append(code)
    return code


class Reader:
    """A reader app."""

    def __init__(self, world: World) -> None:
        self.client: httpx.Client = world.client("198.51.100.7")
        self.world = world

    def asked(self, code: str) -> dict[str, Any]:
        answer = self.client.post("/apply/chip/challenge", json={"code": code})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def nonce(self, code: str) -> bytes:
        text = self.asked(code)["nonce"]
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

    def send(self, sent: dict[str, Any]) -> httpx.Response:
        self.world.secrets += list(sent.get("files", {}).values())
        return self.client.post("/apply/chip/readings", json=sent)

    def hold(self, chip: Chip, code: str) -> httpx.Response:
        return self.send(document(chip.read(self.nonce(code)), code))
