"""What must happen once happens once, however many ask at the same moment (F03-F05, TK02, RF02)."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

import httpx
import pytest
from sqlalchemy import func, select

from consent.data_use import data_use
from consent.decisions import consent
from tests.support.browser import connect
from tests.support.relying_party import ASSERTION_TYPE
from tests.support.world import World

T = TypeVar("T")
THREADS = 40


def at_once(times: int, act: Callable[[httpx.Client], T], address: str) -> list[T]:
    """Do the same many times, from many threads that begin together."""
    threads = min(times, THREADS)
    gate = Barrier(threads)

    def work(share: int) -> list[T]:
        with connect(address, address) as client:
            client.get("/healthz")
            gate.wait(timeout=30)
            return [act(client) for _ in range(share)]

    shares = [times // threads + (n < times % threads) for n in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        return [one for part in pool.map(work, shares) for one in part]


def test_tk02_one_code_redeemed_200_times_at_once_wins_once_and_dies(live: World) -> None:
    arrival = live.arrive("basic", "openid name offline_access")
    code = arrival.code
    headers, _ = arrival.party.authentication()
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": arrival.party.redirect_uri,
        "code_verifier": arrival.attempt.verifier,
    }
    answers = at_once(
        200, lambda client: client.post("/token", data=form, headers=headers), live.issuer
    )
    assert Counter(answer.status_code for answer in answers) == {200: 1, 400: 199}
    (won,) = (answer.json() for answer in answers if answer.status_code == 200)
    assert {a.json()["error"] for a in answers if a.status_code == 400} == {"invalid_grant"}
    arrival.party.seen += [won["access_token"], won["refresh_token"], won["id_token"]]
    assert not arrival.party.is_alive(won["access_token"])
    assert arrival.party.refresh(won["refresh_token"]).body["error"] == "invalid_grant"


def test_rf02_one_refresh_token_used_100_times_at_once_leaves_no_second_chain(live: World) -> None:
    arrival = live.arrive("basic", "openid name offline_access")
    tokens = arrival.tokens()
    headers, _ = arrival.party.authentication()
    form = {"grant_type": "refresh_token", "refresh_token": tokens.refresh}
    answers = at_once(
        100, lambda client: client.post("/token", data=form, headers=headers), live.issuer
    )
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses == {200: 1, 400: 99}
    for answer in answers:
        if answer.status_code == 200:
            new = answer.json()["refresh_token"]
            arrival.party.seen.append(new)
            assert arrival.party.refresh(new).body["error"] == "invalid_grant"


def test_ca06_one_assertion_used_50_times_at_once_is_taken_once(live: World) -> None:
    bank = live.party("bank")
    form = {
        "token": "sen_at_x",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": bank.assertion(),
    }
    answers = at_once(50, lambda client: client.post("/introspect", data=form), live.issuer)
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses[200] == 1
    assert set(statuses) <= {200, 401, 429}


def test_cs02_one_decision_sent_50_times_at_once_is_one_record(live: World) -> None:
    browser, party = live.browser(), live.party("clinic")
    page = browser.visit(party.begin("openid email phone").url)
    page = browser.follow(live.sign_in_on(browser, page, live.person("minh"), "password"))
    form = page.form("/consent")
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in browser.client.cookies.jar)
    fields = form.values | {"decision": "allow"}
    answers = at_once(
        50,
        lambda client: client.post(
            "/consent", data=fields, headers={"Cookie": cookies, "Accept-Language": "en"}
        ),
        live.issuer,
    )
    assert {answer.status_code for answer in answers} <= {303, 400}
    with live.transaction() as services:
        subject = live.subject_in(services, "minh")
        given = [c for c in services.consents.of_subject(subject) if c.client_id == "clinic"]
    assert len(given) == 1


def test_one_passkey_assertion_sent_30_times_at_once_signs_in_once(live: World) -> None:
    from tests.support.browser import as_json  # noqa: PLC0415

    browser = live.browser()
    options = as_json(browser.call("/sign-in/passkey/options"))["publicKey"]
    document = {"credential": live.person().passkey.sign(options)}
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in browser.client.cookies.jar)
    answers = at_once(
        30,
        lambda client: client.post(
            "/sign-in/passkey/verify", json=document, headers={"Cookie": cookies}
        ),
        live.issuer,
    )
    assert Counter(answer.status_code for answer in answers) == {200: 1, 403: 29}


@pytest.mark.parametrize("times", [80])
def test_one_persons_parallel_releases_make_one_gapless_chain(live: World, times: int) -> None:
    tokens = live.arrive("basic", "openid name").tokens()
    bearer = {"Authorization": f"Bearer {tokens.access}"}
    with live.transaction() as services:
        subject = live.subject_in(services, "lan")
        before = services.db.execute(
            select(func.count()).select_from(data_use).where(data_use.c.subject_id == subject)
        ).scalar_one()
    answers = at_once(times, lambda client: client.get("/userinfo", headers=bearer), live.issuer)
    assert Counter(answer.status_code for answer in answers) == {200: times}
    with live.transaction() as services:
        entries = services.use_log.of_subject(subject, limit=before + times + 1)
        assert len(entries) == before + times
        assert services.use_log.is_intact(subject)
        assert services.db.execute(select(func.count()).select_from(consent)).scalar_one()


def test_ten_wrong_passwords_at_once_count_as_ten(live: World) -> None:
    forms = []
    for _ in range(20):
        browser = live.browser()
        values = browser.open("/sign-in").form("/sign-in/password").values
        cookies = "; ".join(
            f"{cookie.name}={cookie.value}" for cookie in browser.client.cookies.jar
        )
        forms.append((values | {"login": "hoa", "password": "wrong"}, cookies))
    turns = iter(forms)

    def guess(client: httpx.Client) -> int:
        fields, cookies = next(turns)
        answer = client.post("/sign-in/password", data=fields, headers={"Cookie": cookies})
        return answer.status_code

    assert set(at_once(20, guess, live.issuer)) <= {401, 429}
    browser = live.browser()
    form = browser.open("/sign-in").form("/sign-in/password")
    assert browser.submit(form, login="hoa", password=live.person("hoa").password).status == 429
