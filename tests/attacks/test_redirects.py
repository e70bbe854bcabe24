"""Redirects (security cases RU): nothing ever leaves for an address that was not registered."""

from urllib.parse import quote, urlencode

import pytest

from tests.support.world import World


@pytest.fixture
def kind() -> str:
    """What is judged here is judged before any database is asked, so one kind will do."""
    return "sqlite"


GOOD = "https://portal.example/callback"

LOOSE = {
    "RU01-path": GOOD + "/extra",
    "RU01-query": GOOD + "?a=b",
    "RU01-fragment": GOOD + "#",
    "RU01-dots": GOOD + "/../callback",
    "RU01-encoded-dots": "https://portal.example/%2e%2e/callback",
    "RU01-semicolon": "https://portal.example/..;/callback",
    "RU02-case": "https://PORTAL.example/callback",
    "RU02-trailing-dot": "https://portal.example./callback",
    "RU02-port": "https://portal.example:443/callback",
    "RU02-user": "https://portal.example@evil.example/callback",
    "RU02-backslash": "https://evil.example\\portal.example/callback",
    "RU02-tab": "https://portal.example/call\tback",
    "RU02-newline": "https://portal.example/callback\n",
    "RU02-one-slash": "https:/portal.example/callback",
    "RU03-http": "http://portal.example/callback",
    "RU03-scheme": "ftp://portal.example/callback",
    "RU03-javascript": "javascript:alert(1)//portal.example/callback",
    "RU09-full-width": "https://ｐｏｒｔａｌ.example/callback",
    "RU09-punycode": "https://xn--portl-mta.example/callback",
    "RU09-cyrillic": "https://роrtal.example/callback",
    "other-party": "https://basic.example/callback",
    "empty": "",
    "prefix": "https://portal.example/callbac",
    "subdomain": "https://portal.example.evil.example/callback",
}


def is_a_page(world: World, query: str, method: str = "GET") -> bool:
    browser = world.browser()
    if method == "GET":
        page = browser.open(f"/authorize?{query}")
    else:
        page = browser._send(
            "POST",
            "/authorize",
            content=query.encode(),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )
    assert 400 <= page.status < 500
    assert not page.location
    assert "Invalid request" in page.text
    return True


@pytest.mark.parametrize("uri", LOOSE.values(), ids=LOOSE.keys())
def test_an_address_that_is_nearly_registered_gets_a_page(world: World, uri: str) -> None:
    party = world.party()
    assert world.browser().open(party.begin().url).status == 303
    query = urlencode(party.begin(redirect_uri=uri).parameters)
    assert is_a_page(world, query)
    assert is_a_page(world, query, "POST")


@pytest.mark.parametrize(
    "port_like",
    [
        "http://127.0.0.1:8080@evil.example/callback",
        "http://127.0.0.1:65536/callback",
        "http://127.0.0.1:/callback",
        "http://127.0.0.1:1x/callback",
        "http://localhost:8080/callback",
        "https://127.0.0.1:8080/callback",
        "http://127.0.0.1:8080/callback?x=1",
        "http://127.0.0.1.evil.example:8080/callback",
        "http://127.0.0.1:8080/other",
        "vn.example.app:/callback/x",
        "vn.example.app.evil:/callback",
    ],
)
def test_ru02_only_the_port_of_a_loopback_address_may_vary(world: World, port_like: str) -> None:
    assert is_a_page(world, urlencode(world.party("app").begin(redirect_uri=port_like).parameters))


@pytest.mark.parametrize(
    "pair", [(GOOD, "https://evil.example"), ("https://evil.example", GOOD), (GOOD, GOOD)]
)
def test_ru04_two_addresses_get_a_page(world: World, pair: tuple[str, str]) -> None:
    parameters = world.party().begin(redirect_uri=None).parameters
    doubled = urlencode([*parameters.items(), *(("redirect_uri", uri) for uri in pair)])
    assert is_a_page(world, doubled)


@pytest.mark.parametrize("party", ["portal", "basic"])
def test_ru05_a_missing_address_gets_a_page(world: World, party: str) -> None:
    assert is_a_page(world, urlencode(world.party(party).begin(redirect_uri=None).parameters))


@pytest.mark.parametrize(
    "changes",
    [
        {"response_type": "nonsense"},
        {"scope": "nonsense"},
        {"response_type": None},
        {"client_id": None},
        {"client_id": "nobody"},
        {"prompt": "none"},
        {"request_uri": "https://evil.example/r"},
    ],
    ids="-".join,
)
def test_ru06_another_fault_never_opens_the_way_to_a_foreign_address(
    world: World, changes: dict[str, str | None]
) -> None:
    asked: dict[str, str | None] = {"redirect_uri": "https://evil.example/", **changes}
    parameters = world.party().begin(**asked).parameters  # type: ignore[arg-type]
    assert is_a_page(world, urlencode(parameters))


ELSEWHERE = ["//evil.example", "/\\evil.example", "/%09/evil.example", "https:evil.example",
             "https://evil.example/me", "/me/../../evil", "/me//evil.example", "javascript:alert(1)",
             "/me\r\nLocation: https://evil.example", "/authorize?client_id=x", "me", "/me?x=//e"]  # fmt: skip


@pytest.mark.parametrize("target", ELSEWHERE)
def test_ru11_after_signing_in_the_way_leads_to_our_own_pages_only(
    world: World, target: str
) -> None:
    browser, person = world.browser(), world.person("hoa")
    form = browser.open(f"/sign-in?next={quote(target, safe='')}").form("/sign-in/password")
    page = browser.submit(form, login=person.login, password=person.password, next=target)
    assert (page.status, page.location) == (303, "/me")


@pytest.mark.parametrize("target", ["/me/uses", "/me/end-others"])
def test_ru11_a_page_of_her_own_is_returned_to(world: World, target: str) -> None:
    browser, person = world.browser(), world.person("hoa")
    form = browser.open(f"/sign-in?next={target}").form("/sign-in/password")
    page = browser.submit(form, login=person.login, password=person.password)
    assert page.location == target


@pytest.mark.parametrize("target", ELSEWHERE)
def test_ru11_a_passkey_sign_in_leads_to_our_own_pages_only(world: World, target: str) -> None:
    browser = world.browser()
    answer = browser.use_passkey(world.person().passkey, next_=target)
    assert answer.html.strip() == '{"location":"/me"}'


@pytest.mark.parametrize(
    "target", ["//evil.example", "/\\evil", "https://evil.example", "/a//b@evil", "/\t/evil"]
)
def test_ru11_choosing_a_language_stays_here(world: World, target: str) -> None:
    page = world.browser().open(f"/language/en?next={quote(target, safe='')}")
    assert page.location == "/"


def test_ru13_posted_credentials_are_never_sent_on(world: World) -> None:
    browser, person = world.browser(), world.person()
    page = browser.visit(world.party().begin().url)
    form = page.form("/sign-in/password")
    assert browser.submit(form, login=person.login, password=person.password).status == 303
