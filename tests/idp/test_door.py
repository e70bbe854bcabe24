"""The hot door and Flask's own views give the same answers."""

import re
import threading

import httpx
import pytest
from sqlalchemy import QueuePool

from idp.door import Door
from tests.support.app_phone import begin
from tests.support.browser import InProcess
from tests.support.relying_party import basic
from tests.support.world import World

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def both(world: World, method: str, path: str, **request: object) -> list[httpx.Response]:
    """Send the same through the door and past it."""
    door = world.app.wsgi_app
    assert isinstance(door, Door)
    answers = [_sent(InProcess(world.app, "127.0.0.1"), world, method, path, **request)]
    past = InProcess(door._behind, "127.0.0.1")  # type: ignore[arg-type]
    answers.append(_sent(past, world, method, path, **request))
    return answers


def _sent(
    transport: InProcess, world: World, method: str, path: str, **request: object
) -> httpx.Response:
    with httpx.Client(base_url=world.issuer, transport=transport) as client:
        return client.request(method, path, **request)  # type: ignore[arg-type]


def shape(answer: httpx.Response) -> tuple[int, str, dict[str, str]]:
    changing = (
        r'sen_(at|rt|ac)_[\w-]+|"(exp|iat)":\d+|eyJ[\w.-]+|code=[\w-]+|"[0-9a-f]{32}";c="[\w-]{43}"'
    )
    kept = {
        name: re.sub(changing, "…", value)
        for name, value in answer.headers.items()
        if name not in {"vary", "set-cookie", "content-length", "date"}
    }
    return answer.status_code, re.sub(changing, "…", answer.text), kept


PORTAL = {"Authorization": basic("portal", "a-test-secret-of-32-characters-xx")}
REQUESTS = [
    ("GET", "/jwks", {}),
    ("GET", "/.well-known/openid-configuration", {}),
    ("GET", "/userinfo", {}),
    ("GET", "/userinfo", {"headers": {"Authorization": "Bearer sen_at_x"}}),
    ("GET", "/userinfo", {"headers": {"Authorization": "Bearer é".encode()}}),
    ("POST", "/userinfo", {"data": {"access_token": "x"}}),
    ("POST", "/token", {"data": {"grant_type": "password"}}),
    ("POST", "/token", {"data": {"grant_type": "refresh_token"}, "headers": PORTAL}),
    ("POST", "/token", {"json": {}}),
    ("POST", "/token", {"content": b"", "headers": FORM}),
    ("POST", "/token?x=1", {"data": {"grant_type": "x"}}),
    ("POST", "/introspect", {"data": {"token": "x"}, "headers": PORTAL}),
    ("POST", "/introspect", {"data": {"token": "x"}}),
    ("POST", "/revoke", {"data": {"token": "x"}, "headers": PORTAL}),
    ("POST", "/revoke", {"data": {"token": "x", "token_type_hint": "y"}, "headers": PORTAL}),
    ("GET", "/token", {}),
    ("PUT", "/userinfo", {}),
    ("GET", "/authorize", {}),
    ("GET", "/authorize?client_id=portal", {}),
    ("GET", "/authorize?client_id=nobody&redirect_uri=x", {}),
]


@pytest.mark.parametrize(
    ("method", "path", "request_"),
    REQUESTS,
    ids=[f"{m} {p} {n}" for n, (m, p, _) in enumerate(REQUESTS)],
)
def test_the_same_request_has_the_same_answer(
    world: World, method: str, path: str, request_: dict[str, object]
) -> None:
    through, past = both(world, method, path, **request_)
    if path.startswith("/authorize"):
        # A page; both come from Flask, but for the reference it shows.
        assert through.status_code == past.status_code
        return
    assert shape(through) == shape(past)


def test_a_live_token_has_the_same_userinfo_and_introspection(world: World) -> None:
    arrival = world.arrive("basic", "openid profile offline_access")
    tokens = arrival.tokens()
    bearer = {"Authorization": f"Bearer {tokens.access}"}
    through, past = both(world, "GET", "/userinfo", headers=bearer)
    assert shape(through) == shape(past)
    header = arrival.party.authentication()[0]
    through, past = both(
        world, "POST", "/introspect", data={"token": tokens.access}, headers=header
    )
    assert shape(through) == shape(past)


def test_a_person_who_is_signed_in_gets_the_same_redirect(world: World) -> None:
    arrival = world.arrive("basic", "openid name")
    attempt = arrival.party.begin("openid name")
    path = attempt.url.removeprefix(world.issuer)
    cookies = "; ".join(f"{c.name}={c.value}" for c in arrival.browser.client.cookies.jar)
    through, past = both(world, "GET", path, headers={"Cookie": cookies})
    for answer in (through, past):
        assert arrival.party.code_from(attempt, answer.headers["Location"])
    assert through.status_code == past.status_code == 303


def test_a_thread_that_ends_gives_its_connections_back(world: World) -> None:
    pool = world.installation.engine.pool
    assert isinstance(pool, QueuePool)
    asked = {"data": {"token": "x"}, "headers": PORTAL}

    def use_both_connections() -> None:
        assert both(world, "POST", "/introspect", **asked)[0].status_code == 200
        query = {"Cookie": f"__Host-sen_session={'0' * 64}"}
        assert both(world, "GET", "/authorize?client_id=portal", headers=query)[0].status_code

    use_both_connections()
    kept = pool.checkedout()
    # More threads than the pool has connections, one after the other, as a server's come and go.
    for _ in range(20):
        thread = threading.Thread(target=use_both_connections)
        thread.start()
        thread.join()
        assert pool.checkedout() == kept


@pytest.mark.parametrize(
    "cookie",
    ["", "__Host-sen_session={};", "a=b; __Host-sen_session={}; c=d", "x__Host-sen_session={}",
     "sen_session={}", "__Host-sen_session={}0", "__Host-sen_session=0; __Host-sen_session={}"],
)  # fmt: skip
def test_both_read_the_cookie_alike(world: World, cookie: str) -> None:
    arrival = world.arrive("basic", "openid name")
    value = arrival.browser.cookie("sen_session")
    attempt = arrival.party.begin("openid name", prompt="none")
    path = attempt.url.removeprefix(world.issuer)
    through, past = both(world, "GET", path, headers={"Cookie": cookie.format(value)})
    answers = ["code=" in answer.headers["Location"] for answer in (through, past)]
    assert answers[0] == answers[1]


def test_a_page_with_a_code_hears_the_same_from_both(world: World) -> None:
    screen, stranger = begin(world), world.browser()
    stranger.open("/sign-in")
    for browser, status in ((screen.browser, 200), (stranger, 401)):
        name, value = next((one.name, one.value) for one in browser.client.cookies.jar
                           if one.name.endswith("browser"))  # fmt: skip
        request = {"headers": {"Cookie": f"{name}={value}"}}
        door = world.app.wsgi_app
        assert isinstance(door, Door)
        answers = []
        for way in (world.app, door._behind):
            world.tick()
            transport = InProcess(way, "127.0.0.1")  # type: ignore[arg-type]
            answers.append(_sent(transport, world, "GET", f"{screen.path}/status", **request))
            # Within the same second it is told to wait, whichever way it comes.
            again = _sent(transport, world, "GET", f"{screen.path}/status", **request)
            assert (again.status_code, again.headers["Retry-After"]) == (429, "1")
        assert [one.status_code for one in answers] == [status, status]
        assert answers[0].headers["Content-Type"] == answers[1].headers["Content-Type"]
        for one in answers:
            assert (one.headers["Cache-Control"], one.headers["Vary"]) == ("no-store", "Cookie")
