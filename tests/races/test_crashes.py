"""What was acknowledged survives kill -9 (F01 and F02 in small)."""

import threading
import time
from dataclasses import dataclass, field

import httpx

from tests.support.cast import Cast
from tests.support.relying_party import RelyingPartyClient
from tests.support.server import Server
from tests.support.world import World

BUSY_SECONDS = 2.0


@dataclass
class Ledger:
    """What the outside world was told, kept by the tester."""

    codes: list[tuple[str, str]] = field(default_factory=list)
    """Every code that was redeemed, with its verifier."""
    releases: int = 0
    consents: set[str] = field(default_factory=set)
    rotated: list[str] = field(default_factory=list)
    failures: int = 0


class Visitor(threading.Thread):
    """Signs in again and again, reads, refreshes, and notes whatever was acknowledged."""

    def __init__(self, world: World, ledger: Ledger, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self._world = world
        self._stop_asked = stop
        self.ledger = ledger
        self._party = RelyingPartyClient(
            world.client(), world.issuer, world.cast.relying_parties["basic"]
        )
        self._browser = world.browser()

    def run(self) -> None:
        while not self._stop_asked.is_set():
            try:
                self._once()
            except (httpx.HTTPError, AssertionError, KeyError):
                self.ledger.failures += 1
                time.sleep(0.05)

    def _once(self) -> None:
        world, party, browser = self._world, self._party, self._browser
        attempt = party.begin("openid name offline_access")
        page = world.walk(browser, browser.visit(attempt.url), world.person("lan"), how="passkey")
        code = party.code_from(attempt, page.location)
        self.ledger.consents.add("basic")
        answer = party.try_redeem(attempt, code)
        assert answer.status == 200
        self.ledger.codes.append((code, attempt.verifier))
        self.ledger.releases += 1
        assert party.userinfo(answer.body["access_token"]).status == 200
        self.ledger.releases += 1
        refreshed = party.refresh(answer.body["refresh_token"])
        assert refreshed.status == 200
        self.ledger.rotated.append(answer.body["refresh_token"])
        self.ledger.releases += 1


def entries(world: World) -> int:
    with world.transaction() as services:
        subject = world.subject_in(services, "lan")
        assert services.use_log.is_intact(subject)
        return len(
            [
                entry
                for entry in services.use_log.of_subject(subject, limit=100_000)
                if entry.use.client_id == "basic"
            ]
        )


def under_load(world: World, disturb: list[object]) -> Ledger:
    """Run visitors for a while and call each disturbance in the midst of it."""
    stop, ledger = threading.Event(), Ledger()
    visitors = [Visitor(world, Ledger(), stop) for _ in range(4)]
    for visitor in visitors:
        visitor.start()
    for act in disturb:
        time.sleep(BUSY_SECONDS / len(disturb))
        act()  # type: ignore[operator]
    time.sleep(0.3)
    stop.set()
    for visitor in visitors:
        visitor.join(timeout=30)
        ledger.codes += visitor.ledger.codes
        ledger.rotated += visitor.ledger.rotated
        ledger.consents |= visitor.ledger.consents
        ledger.releases += visitor.ledger.releases
        ledger.failures += visitor.ledger.failures
    return ledger


def nothing_is_lost(world: World, ledger: Ledger, before: int) -> None:
    assert ledger.codes
    assert entries(world) - before >= ledger.releases
    with world.transaction() as services:
        given = services.consents.of_subject(world.subject_in(services, "lan"))
    assert ledger.consents <= {consent.client_id for consent in given}
    party = world.party("basic")
    for code, verifier in ledger.codes[-20:]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": party.redirect_uri,
            "code_verifier": verifier,
        }
        assert party.ask("/token", form).body["error"] == "invalid_grant"
    for token in ledger.rotated[-20:]:
        assert party.refresh(token).body["error"] == "invalid_grant"


def test_f01_a_killed_worker_loses_nothing_that_was_acknowledged(
    live: World, server: tuple[Server, Cast]
) -> None:
    running, _ = server
    before = entries(live)
    ledger = under_load(live, [running.kill_a_worker, running.kill_a_worker])
    nothing_is_lost(live, ledger, before)
    assert live.arrive("basic", "openid name").tokens()


def test_f02_killing_everything_loses_nothing_that_was_acknowledged(
    live: World, server: tuple[Server, Cast]
) -> None:
    running, _ = server
    before = entries(live)

    def restart() -> None:
        running.kill()
        running.start()

    ledger = under_load(live, [restart])
    nothing_is_lost(live, ledger, before)
    assert live.arrive("basic", "openid name").tokens()
