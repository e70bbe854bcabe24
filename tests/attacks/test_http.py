"""HTTP itself (security cases HT)."""

import pytest

from tests.support.world import World


@pytest.fixture
def kind() -> str:
    """What is judged here is judged before any database is asked, so one kind will do."""
    return "sqlite"


SPOOFED = {
    "Host": "evil.example",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "http",
    "X-Forwarded-For": "203.0.113.9",
    "X-Forwarded-Prefix": "/evil",
    "X-Forwarded-Port": "1",
    "Forwarded": "for=203.0.113.9;host=evil.example;proto=http",
    "X-Real-IP": "203.0.113.9",
    "X-Original-URL": "/me",
    "X-Rewrite-URL": "/me",
    "Front-End-Https": "off",
}


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/jwks", "/about"])
def test_ht01_spoofed_headers_change_no_byte_of_public_documents(world: World, path: str) -> None:
    browser = world.browser()
    plain = browser.open(path).html
    for name, value in SPOOFED.items():
        assert browser.open(path, **{name: value}).html == plain, name


@pytest.mark.parametrize("name", SPOOFED)
def test_ht01_spoofed_headers_change_no_redirect_and_no_issuer(world: World, name: str) -> None:
    party, browser = world.party("basic"), world.arrive("basic").browser
    attempt = party.begin("openid name")
    page = browser.open(attempt.url, **{name: SPOOFED[name]})
    assert party.code_from(attempt, page.location)


def test_ht01_a_spoofed_address_does_not_escape_the_limits(world: World) -> None:
    browser = world.browser()
    form = browser.open("/sign-in").form("/sign-in/password")
    statuses = [
        browser.post(
            "/sign-in/password",
            form.values | {"login": f"nobody{n}", "password": "x"},
            {"X-Forwarded-For": f"203.0.113.{n % 250}", "X-Real-IP": f"203.0.113.{n % 250}"},
        ).status
        for n in range(101)
    ]
    assert statuses[-1] == 429


def test_ht01_sessions_show_the_address_that_really_called(world: World) -> None:
    browser, person = world.browser("192.0.2.1"), world.person()
    form = browser.open("/sign-in").form("/sign-in/password")
    fields = form.values | {"login": person.login, "password": person.password}
    browser.post("/sign-in/password", fields, {"X-Forwarded-For": "203.0.113.9"})
    assert "192.0.2.0/24" in browser.open("/me/sessions").text


@pytest.mark.parametrize("method", ["TRACE", "PUT", "DELETE", "PATCH", "CONNECT", "FOO"])
@pytest.mark.parametrize("path", ["/token", "/authorize", "/me", "/jwks", "/sign-in/password"])
def test_ht03_other_methods_are_refused(world: World, method: str, path: str) -> None:
    assert world.client().request(method, path).status_code in {403, 405}


@pytest.mark.parametrize(
    "path",
    ["//token", "/token/", "/TOKEN", "/token;x", "/admin/..;/token", "/%2e/token", "/./token",
     "/static/../token", "/static/%2e%2e/app.py", "/static/..%2f..%2fapp.py", "//me", "/me/",
     "/ME", "/me%00", "/me/..;/me", "/.git/config", "/%2e%2e/%2e%2e/etc/passwd"],
)  # fmt: skip
def test_ht03_a_path_written_otherwise_is_another_path(world: World, path: str) -> None:
    client = world.sign_in().client
    answer = client.get(f"{world.issuer}{path}")
    # httpx itself resolves dot segments, as browsers do; Werkzeug reads slashes in front as one.
    if str(answer.request.url.path) in {"/me", "/token", "//me", "//token"}:
        plain = "/" + answer.request.url.path.lstrip("/")
        assert answer.status_code == client.get(plain).status_code
    else:
        assert answer.status_code == 404


def test_ht04_a_body_that_is_too_large_is_refused(world: World) -> None:
    for path in ("/token", "/authorize", "/sign-in/password", "/sign-in/passkey/verify"):
        answer = world.client().post(
            path,
            content=b"a=" + b"x" * 3_000_000,
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )
        assert answer.status_code == 413


@pytest.mark.parametrize("path", ["/token", "/sign-in/password", "/logout"])
def test_ht04_a_hundred_thousand_fields_are_refused(world: World, path: str) -> None:
    answer = world.client().post(
        path,
        content=b"&a" * 100_000,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert 400 <= answer.status_code < 500


def test_ht04_a_multipart_body_with_many_parts_is_refused(world: World) -> None:
    files = [("f", (str(n), b"x")) for n in range(500)]
    answer = world.client().post("/sign-in/password", files=files)
    assert 400 <= answer.status_code < 500


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "https://id.sen.example.evil.example"]
)
def test_ht05_no_other_site_may_read_with_credentials(world: World, origin: str) -> None:
    client = world.sign_in().client
    for rule in world.app.url_map.iter_rules():
        path = rule.rule.split("<")[0].rstrip("/") or "/"
        for method in ("GET", "OPTIONS"):
            answer = client.request(
                method,
                path,
                headers={"Origin": origin, "Access-Control-Request-Method": "POST"},
            )
            assert "Access-Control-Allow-Credentials" not in answer.headers
            allowed = answer.headers.get("Access-Control-Allow-Origin")
            assert allowed in ({None, "*"} if path in PUBLIC else {None}), path


PUBLIC = {"/jwks", "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"}


@pytest.mark.parametrize(
    "path", ["/", "/sign-in", "/me", "/nope", "/jwks", "/token", "/static/nope.css", "/healthz"]
)
def test_every_answer_has_the_security_headers(world: World, path: str) -> None:
    headers = world.browser().open(path).headers
    policy = headers["Content-Security-Policy"]
    for part in ("default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"):
        assert part in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] in {"no-referrer", "same-origin"}
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["X-Frame-Options"] == "DENY"
    age = int(headers["Strict-Transport-Security"].split("max-age=")[1].split(";")[0])
    assert age >= 31_536_000


def test_every_answer_of_the_door_has_the_security_headers_too(world: World) -> None:
    arrival = world.arrive("basic", "openid name")
    tokens = arrival.tokens()
    answers = [
        arrival.party.userinfo(tokens.access),
        arrival.party.introspect(tokens.access),
        arrival.party.try_redeem(arrival.attempt, "x"),
    ]
    for answer in answers:
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_sign_in_page_lets_its_forms_lead_to_the_relying_party_only(world: World) -> None:
    page = world.browser().visit(world.party().begin().url)
    policy = page.headers["Content-Security-Policy"]
    assert "form-action 'self' https://portal.example" in policy


def test_an_error_shows_nothing_of_the_inside(world: World) -> None:
    for path in (
        "/nope",
        "/authorize",
        "/consent?interaction=x",
        "/token",
        "/logout?state=a&state=b",
    ):
        page = world.browser().open(path)
        assert 400 <= page.status < 500
        for word in ("Traceback", "sqlalchemy", "werkzeug", ".py", "site-packages"):
            assert word not in page.html
