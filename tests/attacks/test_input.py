"""Bad input never gives a fault of ours (security cases IN)."""

import json
import time
from urllib.parse import urlencode

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.browser import InProcess, as_json
from tests.support.phone import Phone
from tests.support.stores import on_one_database, on_the_stricter_database
from tests.support.world import World

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
NASTY = ["\0", "\u202e", "\u200b", "'\"<>\\", "é😀", "%", "\r\n", "\ufeff", "{{7*7}}", "../", "\x1b[31m",
         "1" * 5000, "' OR 1=1 --", "\ufffd", "٣", "ﬁ", "ı", "a" * 4000]  # fmt: skip
OAUTH = ["client_id", "redirect_uri", "response_type", "scope", "state", "nonce", "code_challenge",
         "code_challenge_method", "prompt", "max_age", "acr_values", "login_hint", "id_token_hint",
         "ui_locales", "claims", "response_mode", "display", "request"]  # fmt: skip
SHARED = settings(
    deadline=None,
    max_examples=15,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
TEXT = st.one_of(st.sampled_from(NASTY), st.text(max_size=30))


@on_the_stricter_database
@pytest.mark.parametrize("name", OAUTH)
def test_in01_no_parameter_of_an_authorization_request_gives_a_fault(
    world: World, name: str
) -> None:
    browser, party = world.browser(), world.party("basic")
    for value in NASTY:
        query = urlencode({**party.begin().parameters, name: value})
        for page in (browser.open(f"/authorize?{query}"), _posted(world, "/authorize", query)):
            assert page < 500 if isinstance(page, int) else page.status < 500


def _posted(world: World, path: str, body: str) -> int:
    return world.client().post(path, content=body.encode(), headers=FORM).status_code


@given(st.dictionaries(st.sampled_from(OAUTH), TEXT, max_size=6))
@SHARED
def test_in01_no_mixture_of_parameters_gives_a_fault(world: World, changes: dict[str, str]) -> None:
    parameters = {**world.party("basic").begin().parameters, **changes}
    query = urlencode(parameters, errors="replace")
    assert world.browser().open(f"/authorize?{query}").status < 500


@given(
    st.sampled_from(["/token", "/revoke", "/introspect", "/userinfo", "/logout", "/authorize"]),
    st.dictionaries(
        st.sampled_from(["grant_type", "code", "redirect_uri", "code_verifier", "refresh_token",
                         "scope", "token", "token_type_hint", "client_id", "client_secret",
                         "client_assertion", "client_assertion_type", "access_token", "state"]),
        TEXT, max_size=6,
    ),
)  # fmt: skip
@SHARED
def test_in01_no_form_at_an_endpoint_gives_a_fault(
    world: World, path: str, form: dict[str, str]
) -> None:
    assert _posted(world, path, urlencode(form, errors="replace")) < 500


@on_one_database
@pytest.mark.parametrize(
    "query", ["%", "%zz", "%00", "%ff", "%c3%28", "%ed%a0%80", "a=%ff", "&&&&", "=", "a" * 20_000]
)
@pytest.mark.parametrize("path", ["/authorize", "/logout", "/sign-in", "/consent", "/me/uses"])
def test_in01_a_query_that_cannot_be_read_gives_no_fault(
    world: World, path: str, query: str
) -> None:
    assert world.sign_in().open(f"{path}?interaction={query}&{query}").status < 500


@on_one_database
@pytest.mark.parametrize("raw", [b"\xff", b"state=\xc3\x28", b"client_id=\xf0\x9f\x98\x80"])
def test_in01_raw_bytes_in_the_query_give_no_fault(world: World, raw: bytes) -> None:
    request = httpx.Request("GET", f"{world.issuer}/authorize")
    request.url = _RawURL(request.url, b"/authorize?" + raw)  # type: ignore[assignment]
    answer = InProcess(world.app, "127.0.0.1").handle_request(request)
    assert 400 <= answer.status_code < 500


class _RawURL:
    """A URL with bytes in it that httpx would have encoded."""

    def __init__(self, url: httpx.URL, raw_path: bytes) -> None:
        self.raw_path, self.host, self.port, self.scheme = raw_path, url.host, url.port, url.scheme


@pytest.mark.parametrize(
    "value", [str(10**30), "1" * 5000, "-1", "1e3", "é", "0x10", "\0", str(2**63), str(-(2**63))]
)
def test_in01_an_odd_place_in_the_log_gives_no_fault(world: World, value: str) -> None:
    page = world.sign_in().open(f"/me/uses?{urlencode({'before': value})}")
    assert page.status < 500


SIGN_IN = "/sign-in/passkey/verify"
DOCUMENTS = {
    "nothing": "",
    "null": "null",
    "list": "[]",
    "number": "1" * 6000,
    "deep-list": "[" * 100_000,
    "deep-object": '{"a":' * 40_000,
    "surrogate-interaction": '{"interaction": "\\ud800"}',
    "nul-interaction": '{"interaction": "\\u0000"}',
    "surrogate-next": '{"next": "\\ud800", "credential": {}}',
    "wrong-types": '{"interaction": {"a": 1}, "next": [], "credential": "x"}',
    "doubled": '{"credential": {}, "credential": []}',
    "trailing": "{} x",
    "nan": '{"credential": NaN}',
    "bad-utf8": b'{"credential": "\xff"}',
    "huge": '{"credential": {"id": "' + "x" * 200_000 + '"}}',
}


@on_the_stricter_database
@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS.keys())
@pytest.mark.parametrize("path", [SIGN_IN, "/me/passkeys"])
def test_in02_no_json_gives_a_fault(world: World, path: str, document: str | bytes) -> None:
    browser = world.sign_in(how="passkey")
    begun = time.thread_time()
    page = browser._send(
        "POST",
        path,
        content=document,
        headers={"Content-Type": "application/json", "Origin": world.issuer},
    )
    assert 400 <= page.status < 500
    assert time.thread_time() - begun < 2


@pytest.mark.parametrize("name", ["\ud800", "\0", "\u202e", "x" * 10_000, "", 7, None, {}, "é😀"])
def test_in01_a_passkeys_name_is_kept_as_it_is_or_refused(world: World, name: object) -> None:
    browser = world.sign_in(how="passkey")
    options = as_json(browser.call("/me/passkeys/options"))["publicKey"]
    document = {"credential": Phone(world.issuer).register(options), "name": name}
    page = browser._send(
        "POST",
        "/me/passkeys",
        content=json.dumps(document),
        headers={"Content-Type": "application/json", "Origin": world.issuer},
    )
    assert page.status < 500
    assert browser.open("/me/passkeys").status == 200


FIELDS = ["email", "phone_number", "nickname", "preferred_username", "profile", "picture",
          "website", "zoneinfo", "locale"]  # fmt: skip


@pytest.mark.parametrize("claim", FIELDS)
def test_in01_what_she_says_of_herself_is_kept_exactly_or_refused(world: World, claim: str) -> None:
    browser = world.sign_in()
    form = browser.open("/me/details").form("/me/details")
    for value in NASTY:
        page = browser.submit(form, **{claim: value})
        assert page.status in {200, 422}
        if page.status == 200:
            kept = browser.open("/me/details").form("/me/details").values[claim]
            assert kept == value.strip()


@on_one_database
@pytest.mark.parametrize("claim", FIELDS)
def test_in03_no_text_keeps_the_server_busy(world: World, claim: str) -> None:
    browser = world.sign_in()
    form = browser.open("/me/details").form("/me/details")
    for value in (
        "a" * 100_000,
        "a@" + "a." * 50_000,
        "https://" + "a/" * 50_000,
        "+" + "1 " * 50_000,
    ):
        begun = time.thread_time()
        assert browser.submit(form, **{claim: value}).status in {200, 422}
        assert time.thread_time() - begun < 1.5


@on_one_database
@pytest.mark.parametrize(
    "value", ["<script>alert(1)</script>", "{{7*7}}", '"><svg onload=x>', "${7*7}"]
)
def test_in04_markup_is_shown_as_it_was_typed(world: World, value: str) -> None:
    browser = world.browser()
    page = browser.visit(world.party().begin(login_hint=value, state=value).url)
    assert page.form("/sign-in/password").values["login"] == value
    assert value not in page.html or not value.startswith("<")
    assert "49" not in page.form("/sign-in/password").values["login"]
    person = world.sign_in()
    form = person.open("/me/details").form("/me/details")
    person.submit(form, nickname=value)
    assert person.open("/me/details").form("/me/details").values["nickname"] == value


@on_the_stricter_database
@pytest.mark.parametrize("login", NASTY)
def test_in01_an_odd_login_is_just_wrong(world: World, login: str) -> None:
    browser = world.browser()
    form = browser.open("/sign-in").form("/sign-in/password")
    assert browser.submit(form, login=login, password="x").status == 401
    form = browser.open("/activate").form("/activate")
    assert browser.submit(form, login=login, code=login).status == 401


def test_ca06_odd_interactions_are_over(world: World) -> None:
    for value in NASTY:
        query = urlencode({"interaction": value})
        for path in ("/authorize", "/sign-in", "/consent", "/acting-for", "/activate"):
            assert world.browser().open(f"{path}?{query}").status == 400
