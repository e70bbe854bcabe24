"""Notices reach addresses: by a real SMTP server, and by a gateway for text messages."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import Message as Letter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope

from accounts.attributes import Source
from accounts.notices import By, NoticeKind
from connectors.errors import MessageRefusedError
from connectors.messages import MailServer, Message, TextGateway
from connectors.outbound import Outbound
from idp import delivery
from idp.delivery import deliver
from tests.support.world import World

SENDER = "thong-bao@id.sen.example"
DELIVERED = {"delivered": 1, "postponed": 0, "given up": 0}
POSTPONED = {"delivered": 0, "postponed": 1, "given up": 0}
GIVEN_UP = {"delivered": 0, "postponed": 0, "given up": 1}
NOTHING = {"delivered": 0, "postponed": 0, "given up": 0}


@dataclass
class Inbox:
    """What an SMTP server took; ``answer`` is what it says to each recipient."""

    answer: str = "250 OK"
    taken: list[Envelope] = field(default_factory=list)

    async def handle_RCPT(  # noqa: N802 - the server's name for it
        self, _server: Any, _session: Any, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if self.answer.startswith("2"):
            envelope.rcpt_tos.append(address)
        return self.answer

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Envelope) -> str:  # noqa: N802
        self.taken.append(envelope)
        return "250 OK"

    def letters(self) -> list[Letter]:
        return [message_from_bytes(one.content or b"") for one in self.taken]  # type: ignore[arg-type]


@contextmanager
def mail(world: World) -> Iterator[Inbox]:
    inbox = Inbox()
    controller = Controller(inbox, hostname="127.0.0.1", port=free_port())
    controller.start()
    server = MailServer("127.0.0.1", controller.port, SENDER, is_plain=True)
    world.installation.messengers = {By.EMAIL: server}
    try:
        yield inbox
    finally:
        controller.stop()


@contextmanager
def gateway(world: World, status: int = 202) -> Iterator[list[tuple[str, Any]]]:
    taken: list[tuple[str, Any]] = []

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            taken.append((self.headers.get("Authorization", ""), json.loads(body)))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_said: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    place = f"127.0.0.1:{server.server_address[1]}"
    outbound = Outbound(frozenset({place}), plain_on_loopback=True)
    world.installation.messengers = {
        By.TEXT_MESSAGE: TextGateway(f"http://{place}/messages", outbound, "a-gateway-token")
    }
    try:
        yield taken
    finally:
        server.shutdown()
        server.server_close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def tell(world: World, by: By = By.EMAIL, address: str = "lan@example.vn") -> None:
    subject = world.subject()
    with world.transaction() as services:
        facts = {"claim": "email", "before": "lan@example.vn", "after": "new@example.vn"}
        services.notices.tell(subject, NoticeKind.CONTACT_CHANGED, facts, by=by, address=address)


def state(world: World, language: str) -> None:
    """Have her say in which language she reads."""
    subject = world.subject()
    with world.transaction() as services:
        own = services.held.of_subject(subject)[Source.SELF].values
        services.held.hold(subject, Source.SELF, {**own, "locale": language})


def test_a_letter_says_what_happened_and_nothing_of_the_person(world: World) -> None:
    # In which language she reads is not known.
    state(world, "")
    with mail(world) as inbox:
        tell(world)
        assert deliver(world.installation) == DELIVERED
        assert deliver(world.installation) == NOTHING
        (letter,) = inbox.letters()
    assert (letter["To"], letter["From"]) == ("lan@example.vn", SENDER)
    assert letter["Auto-Submitted"] == "auto-generated"
    assert letter["Message-ID"].endswith("@id.sen.example>")
    payload = letter.get_payload(decode=True)
    assert isinstance(payload, bytes)
    text = payload.decode()
    assert "đã được thay đổi" in text
    assert "was changed" in text
    assert f"{world.issuer}/me/notices" in text
    for private in ("new@example.vn", "Lan", "999"):
        assert private not in text


@pytest.mark.parametrize("language", ["vi", "en"])
@pytest.mark.parametrize("how", ["switch", "service", "stated"])
def test_letters_come_in_the_language_that_the_person_chose(
    world: World, how: str, language: str
) -> None:
    if how == "switch":
        browser = world.sign_in()
        browser.open(f"/language/{'vi' if language == 'en' else 'en'}?next=/me")
        browser.open(f"/language/{language}?next=/me")
        # Another site's link is no choice of hers.
        other = "vi" if language == "en" else "en"
        browser.open(f"/language/{other}", **{"Sec-Fetch-Site": "cross-site"})
    elif how == "service":
        world.arrive(ui_locales=f"fr {language}-XX")
    else:
        state(world, f"{language}_XX")
    with world.transaction() as services:
        services.db.exec_driver_sql("DELETE FROM person_notice")
    with mail(world) as inbox:
        tell(world)
        deliver(world.installation)
        (letter,) = inbox.letters()
    with gateway(world) as texts:
        tell(world, By.TEXT_MESSAGE, "+84912345678")
        deliver(world.installation)
    payload = letter.get_payload(decode=True)
    assert isinstance(payload, bytes)
    subject_line = str(make_header(decode_header(letter["Subject"])))
    for text in (payload.decode(), texts[0][1]["text"]):
        assert ("đã được thay đổi" in text, "was changed" in text) == (
            language == "vi", language == "en",
        )  # fmt: skip
    assert ("thông báo" in subject_line) is (language == "vi")
    assert ("notice" in subject_line) is (language == "en")


def test_a_new_way_to_sign_in_is_told_to_her_address(world: World) -> None:
    with mail(world) as inbox:
        browser = world.sign_in(how="passkey")
        assert deliver(world.installation) == DELIVERED
        browser.submit(browser.open("/me/passkeys").form("/me/passkeys/card"))
        assert deliver(world.installation) == DELIVERED
        assert [letter["To"] for letter in inbox.letters()] == ["lan@example.vn"] * 2
    assert "a code card was made" in browser.open("/me/notices").text


def test_a_server_that_is_away_is_asked_again_and_given_up_after_a_day_and_a_half(
    world: World,
) -> None:
    world.installation.messengers = {
        By.EMAIL: MailServer("127.0.0.1", free_port(), SENDER, is_plain=True)
    }
    tell(world)
    waited = timedelta()
    for patience in delivery._PATIENCE:
        assert deliver(world.installation) == POSTPONED
        assert deliver(world.installation) == NOTHING
        world.tick(seconds=patience.total_seconds())
        waited += patience
    assert deliver(world.installation) == GIVEN_UP
    world.tick(days=30)
    assert deliver(world.installation) == NOTHING
    assert timedelta(days=1) < waited < timedelta(days=2)
    # On her own pages it stands all the same.
    assert "E-mail" in world.sign_in().open("/me/notices").text


def test_it_arrives_once_the_server_is_back(world: World) -> None:
    with mail(world) as inbox:
        inbox.answer = "451 later"
        tell(world)
        assert deliver(world.installation) == POSTPONED
        inbox.answer = "250 OK"
        world.tick(minutes=1)
        assert deliver(world.installation) == DELIVERED
        assert len(inbox.taken) == 1


@pytest.mark.parametrize("address", ["no@body.example", "x@y\r\nBcc: all@evil.example", "lan"])
def test_what_can_never_arrive_is_not_tried_again(world: World, address: str) -> None:
    with mail(world) as inbox:
        inbox.answer = "550 no such person"
        tell(world, address=address)
        assert deliver(world.installation) == GIVEN_UP
        assert inbox.taken == []


def test_of_several_processes_one_sends(world: World) -> None:
    with mail(world) as inbox:
        for _ in range(5):
            tell(world)
        threads = [threading.Thread(target=deliver, args=(world.installation,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({letter["Message-ID"] for letter in inbox.letters()}) == len(inbox.taken) == 5


def test_a_process_that_died_while_sending_lets_another_send(world: World) -> None:
    tell(world)
    with world.transaction() as services:
        now = world.installation.clock()
        assert services.notices.claim(By, now, now + timedelta(minutes=5))
    with mail(world) as inbox:
        assert deliver(world.installation) == NOTHING
        world.tick(minutes=5)
        assert deliver(world.installation) == DELIVERED
        assert len(inbox.taken) == 1


def test_a_text_message_goes_through_the_gateway(world: World) -> None:
    with gateway(world) as taken:
        tell(world, By.TEXT_MESSAGE, "+84900000001")
        assert deliver(world.installation) == DELIVERED
    ((authorization, sent),) = taken
    assert authorization == "Bearer a-gateway-token"
    assert sent["to"] == "+84900000001"
    assert world.issuer in sent["text"]


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(400, GIVEN_UP), (422, GIVEN_UP), (401, POSTPONED), (429, POSTPONED), (503, POSTPONED)],
)
def test_what_the_gateway_refuses(world: World, status: int, outcome: dict[str, int]) -> None:
    with gateway(world, status) as taken:
        tell(world, By.TEXT_MESSAGE, "+84900000001")
        assert deliver(world.installation) == outcome
        assert len(taken) == 1


def test_without_a_server_nothing_is_lost(world: World) -> None:
    tell(world)
    assert deliver(world.installation) == NOTHING
    with mail(world):
        assert deliver(world.installation) == DELIVERED


def test_a_password_is_never_sent_without_tls(world: World) -> None:
    with mail(world) as inbox:
        server = world.installation.messengers[By.EMAIL]
        assert isinstance(server, MailServer)
        strict = MailServer("127.0.0.1", server.port, SENDER, user="sen", password="x")
        message = Message("a" * 32, "lan@example.vn", "x", "x", world.installation.clock())
        with pytest.raises(MessageRefusedError) as refused:
            strict.send(message)
        assert not refused.value.is_final
        assert inbox.taken == []
