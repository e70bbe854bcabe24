"""A relying party's back-channel logout address: a real HTTP server that keeps what it was sent."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from connectors.outbound import Outbound
from tests.support.world import World

EVENT = "http://schemas.openid.net/event/backchannel-logout"


@dataclass
class BackChannel:
    """``status`` is what it answers."""

    world: World
    place: str = ""
    status: int = 200
    sent: list[str] = field(default_factory=list)
    events: list[bytes] = field(default_factory=list)
    """Security event tokens, as they came."""

    def checked(self, client_id: str) -> list[dict[str, Any]]:
        """Return the claims of every token sent, checked as Back-Channel Logout 1.0 §2.6 demands."""
        return [self._checked(token, client_id) for token in self.sent]

    def _checked(self, token: str, client_id: str) -> dict[str, Any]:
        party = self.world.party(client_id)
        read = party.verified(token)
        claims: dict[str, Any] = read.claims
        assert read.header["typ"] == "logout+jwt"
        assert read.header["alg"] == party.registration.get("id_token_signed_response_alg", "ES256")
        assert (claims["iss"], claims["aud"]) == (self.world.issuer, client_id)
        assert claims["events"] == {EVENT: {}}
        assert claims["jti"]
        assert "nonce" not in claims
        now = self.world.installation.clock().timestamp()
        assert claims["iat"] <= now < claims["exp"] <= now + 120
        return claims


@contextmanager
def listening(world: World, *parties: str, what: str = "logout") -> Iterator[BackChannel]:
    """Have the relying parties registered with an address that is really there, for logout tokens or
    for events, or for both.
    """
    channel = BackChannel(world)

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers["Content-Type"] == "application/secevent+jwt":
                channel.events.append(body)
            else:
                form = parse_qs(body.decode())
                channel.sent += form["logout_token"]
                world.secrets.extend(form["logout_token"])
            self.send_response(channel.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_said: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    channel.place = f"127.0.0.1:{server.server_address[1]}"
    world.installation.outbound = Outbound(frozenset({channel.place}), plain_on_loopback=True)
    members: dict[str, Any] = {}
    if what != "logout":
        members |= {"events_uri": f"http://{channel.place}/events"}
    if what != "events":
        members |= {
            "backchannel_logout_uri": f"http://{channel.place}/logged-out",
            "backchannel_logout_session_required": True,
        }
    with world.transaction() as services:
        for client_id in parties:
            services.registrations.register({**world.cast.relying_parties[client_id], **members})
    try:
        yield channel
    finally:
        server.shutdown()
        server.server_close()
