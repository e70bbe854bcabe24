"""Logs: no secret, no person, one line an event (security case LG01)."""

import io
import json
import subprocess
import sys

import pytest
import structlog

from idp import audit
from tests.support.world import World


def told(log: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


@pytest.mark.parametrize(
    "key",
    ["password", "client_secret", "access_token", "code", "cookie", "Authorization", "assertion",
     "credential", "code_verifier", "state", "nonce", "login", "personal_number", "passport", "name",
     "email", "phone_number", "id_token_hint"],
)  # fmt: skip
def test_a_value_that_could_be_secret_is_taken_out(log: io.StringIO, key: str) -> None:
    structlog.get_logger("sen").info("event", **{key: "very private"})
    assert "very private" not in log.getvalue()
    assert told(log)[0][key] == audit.REDACTED


def test_control_characters_cannot_forge_a_line(log: io.StringIO) -> None:
    structlog.get_logger("sen").info("event", browser='a\r\n{"level":"x"}\x1b[31m\x00\x85b')
    assert len(log.getvalue().splitlines()) == 1
    assert not {"\r", "\x1b", "\x00", "\x85"} & set(str(told(log)[0]["browser"]))


def test_long_values_are_cut(log: io.StringIO) -> None:
    structlog.get_logger("sen").info("event", path="x" * 10_000)
    assert len(log.getvalue()) < 1000


def test_lg01_a_whole_journey_leaves_no_secret_in_the_log(world: World, log: io.StringIO) -> None:
    arrival = world.arrive("portal", "openid name pid offline_access", how="passkey")
    tokens = arrival.tokens()
    for action in (arrival.party.userinfo, arrival.party.introspect):
        action(tokens.access)
    arrival.party.refresh(tokens.refresh)
    arrival.party.refresh(tokens.refresh)
    world.party("bank").introspect(tokens.access)
    form = world.browser().open("/sign-in").form("/sign-in/password")
    world.browser().post("/sign-in/password", form.values | {"login": "lan", "password": "guess"})
    arrival.browser.open("/me", **{"User-Agent": "evil\x1b[31m"})
    assert log.getvalue()
    # Every secret of the journey is looked for when the world is closed.
    assert len(world.every_secret()) > 20


def test_lg03_what_matters_to_safety_is_an_event(world: World, log: io.StringIO) -> None:
    arrival = world.arrive("basic", "openid name offline_access")
    tokens = arrival.tokens()
    guess = world.browser()
    form = guess.open("/sign-in").form("/sign-in/password")
    guess.submit(form, login="lan", password="wrong")
    arrival.party.try_redeem(arrival.attempt, arrival.code)
    arrival.party.call("/introspect", {"token": "x"}, {"Authorization": "Basic eDp5"})
    page = arrival.browser.open("/me/consents")
    arrival.browser.submit(next(f for f in page.forms if f.action.endswith("/withdraw")))
    arrival.browser.submit(arrival.browser.open("/logout").form("/logout"), "logout-confirm")
    assert tokens
    kinds = {str(line["event"]) for line in told(log) if line.get("audit") == "security"}
    assert {"sign-in.completed", "sign-in.refused", "consent.withdrawn", "signed-out",
            "client-authentication.refused"} <= kinds  # fmt: skip


def test_lg03_the_reuse_of_a_code_or_refresh_token_is_an_event(
    world: World, log: io.StringIO
) -> None:
    arrival = world.arrive("basic", "openid name offline_access")
    tokens = arrival.tokens()
    arrival.party.refresh(tokens.refresh)
    arrival.party.refresh(tokens.refresh)
    other = world.arrive("clinic", "openid email")
    other.tokens()
    other.party.try_redeem(other.attempt, other.code)
    security = [line for line in told(log) if line.get("audit") == "security"]
    text = json.dumps(security)
    assert "refresh" in text
    assert "code" in text


def test_a_server_writes_the_line_of_every_request_before_it_ends() -> None:
    script = (
        "from idp import audit\n"
        "audit.configure_logging()\n"
        "audit.gather_requests()\n"
        "for number in range(500):\n"
        "    audit.note_request('discovery.jwks', 'GET', 200, 0.001, f'{number:032x}')\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60
    )
    lines = [json.loads(line) for line in ended.stderr.splitlines()]
    assert [int(line["correlation"], 16) for line in lines] == list(range(500))
