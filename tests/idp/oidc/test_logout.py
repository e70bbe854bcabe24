"""RP-initiated logout (OpenID Connect RP-Initiated Logout 1.0)."""

from urllib.parse import urlencode

import pytest

from tests.support.browser import Browser, Page
from tests.support.world import Arrival, World

BYE = "https://basic.example/bye"


@pytest.fixture
def arrival(world: World) -> Arrival:
    return world.arrive("basic")


@pytest.fixture
def hint(arrival: Arrival) -> str:
    return arrival.tokens().id_token


def log_out(browser: Browser, **parameters: str) -> Page:
    return browser.open(f"/logout?{urlencode(parameters)}")


def is_signed_in(browser: Browser) -> bool:
    return browser.open("/me").status == 200


def test_a_genuine_hint_ends_the_session_and_leads_back_with_the_state(
    world: World, arrival: Arrival, hint: str
) -> None:
    page = log_out(arrival.browser, id_token_hint=hint, post_logout_redirect_uri=BYE, state="a&b=é")
    assert (page.status, page.location) == (303, f"{BYE}?state=a%26b%3D%C3%A9")
    attempt = arrival.party.begin("openid name", prompt="none")
    answer = arrival.browser.open(attempt.url)
    assert arrival.party.error_from(attempt, answer.location) == "login_required"


def test_without_a_state_none_comes_back(arrival: Arrival, hint: str) -> None:
    page = log_out(arrival.browser, id_token_hint=hint, post_logout_redirect_uri=BYE)
    assert page.location == BYE


def test_the_session_and_its_tokens_are_dead_afterwards(arrival: Arrival) -> None:
    tokens = arrival.tokens()
    old = arrival.browser.cookie("sen_session")
    log_out(arrival.browser, id_token_hint=tokens.id_token)
    assert old is not None
    arrival.browser.set_cookie("sen_session", old)
    assert not is_signed_in(arrival.browser)
    assert not arrival.party.is_alive(tokens.access)


def test_an_expired_hint_is_taken(world: World, arrival: Arrival, hint: str) -> None:
    world.tick(minutes=10)
    page = log_out(arrival.browser, id_token_hint=hint, post_logout_redirect_uri=BYE)
    assert page.location == BYE
    assert not is_signed_in(arrival.browser)


def test_the_request_may_come_by_post(arrival: Arrival, hint: str) -> None:
    page = arrival.browser.post(
        "/logout", {"id_token_hint": hint, "post_logout_redirect_uri": BYE, "state": "s"}
    )
    page = arrival.browser.follow(page)
    assert page.location == f"{BYE}?state=s"
    assert not is_signed_in(arrival.browser)


def test_a_post_from_the_relying_partys_page_ends_the_session(arrival: Arrival, hint: str) -> None:
    # The browser sends no SameSite=Lax cookie with it, so the session is not seen at once.
    page = arrival.browser.post_from_elsewhere(
        "/logout", {"id_token_hint": hint, "post_logout_redirect_uri": BYE}, "https://basic.example"
    )
    page = arrival.browser.follow(page)
    assert not is_signed_in(arrival.browser)
    assert page.location == BYE


@pytest.mark.parametrize(
    "uri",
    [
        "https://evil.example/bye",
        "https://clinic.example/bye",
        "https://basic.example/bye/",
        "https://basic.example/bye?more=1",
        "https://basic.example/by",
        "https://basic.example/callback",
    ],
)
def test_ru12_only_a_registered_address_is_followed(arrival: Arrival, hint: str, uri: str) -> None:
    page = log_out(arrival.browser, id_token_hint=hint, post_logout_redirect_uri=uri)
    assert "example" not in page.location.removeprefix(arrival.party.issuer)


def test_ru12_an_address_without_a_hint_is_not_followed(arrival: Arrival) -> None:
    page = log_out(arrival.browser, post_logout_redirect_uri=BYE, client_id="basic")
    assert (page.status, page.location) == (200, "")
    page = arrival.browser.submit(page.form("/logout"), "logout-confirm")
    assert page.location == "/signed-out"
    assert not is_signed_in(arrival.browser)


def test_se08_another_persons_hint_leaves_her_signed_in(world: World, arrival: Arrival) -> None:
    other = world.arrive("basic", person="minh").tokens().id_token
    page = log_out(arrival.browser, id_token_hint=other, post_logout_redirect_uri=BYE)
    assert page.status == 200
    assert page.has_form("/logout")
    assert is_signed_in(arrival.browser)


@pytest.mark.parametrize("how", ["none", "signature", "payload", "other-key"])
def test_a_forged_hint_is_an_error_page(
    world: World, arrival: Arrival, hint: str, how: str
) -> None:
    header, payload, signature = hint.split(".")
    forged = {
        "none": "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0." + payload + ".",
        "signature": f"{header}.{payload}.{signature[:-4]}AAAA",
        "payload": f"{header}.{payload[:-4]}AAAA.{signature}",
        "other-key": world.party("bank").assertion(aud="basic", sub="x", iss=world.issuer),
    }[how]
    page = log_out(arrival.browser, id_token_hint=forged, post_logout_redirect_uri=BYE)
    assert (page.status, page.location) == (400, "")
    assert is_signed_in(arrival.browser)


@pytest.mark.parametrize("parameters", [{}, {"state": "only"}], ids=["nothing", "state"])
def test_a_bare_request_asks_the_person_first(arrival: Arrival, parameters: dict[str, str]) -> None:
    page = log_out(arrival.browser, **parameters)
    assert page.has_form("/logout")
    assert is_signed_in(arrival.browser)
    page = arrival.browser.submit(page.form("/logout"), "logout-stay")
    assert is_signed_in(arrival.browser)


def test_a_bare_request_without_a_session_says_signed_out(world: World) -> None:
    page = world.browser().visit("/logout")
    assert (page.status, page.path) == (200, "/signed-out")


def test_a_hint_and_a_client_id_that_disagree_are_refused(arrival: Arrival, hint: str) -> None:
    page = log_out(
        arrival.browser, id_token_hint=hint, client_id="clinic", post_logout_redirect_uri=BYE
    )
    assert page.status == 400
    assert is_signed_in(arrival.browser)


def test_a_confirmed_logout_follows_the_address_that_the_hint_vouches_for(
    world: World, arrival: Arrival
) -> None:
    other = world.arrive("basic", person="minh").tokens().id_token
    page = log_out(arrival.browser, id_token_hint=other, post_logout_redirect_uri=BYE, state="s")
    page = arrival.browser.submit(page.form("/logout"), "logout-confirm")
    assert page.location == f"{BYE}?state=s"
    assert not is_signed_in(arrival.browser)


def test_the_confirmation_cannot_be_sent_by_another_site(arrival: Arrival) -> None:
    page = log_out(arrival.browser)
    fields = page.form("/logout").values | {"decision": "yes", "csrf_token": "0" * 64}
    assert arrival.browser.post("/logout", fields).status == 403
    assert is_signed_in(arrival.browser)
