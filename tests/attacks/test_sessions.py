"""Sessions and cross-site requests (security cases SE)."""

import re
import secrets

import pytest

from accounts.account import LockReason
from idp import dispatch
from tests.support.back_channel import listening
from tests.support.browser import Browser, as_json
from tests.support.world import World


def is_signed_in(browser: Browser) -> bool:
    return browser.open("/me").status == 200


def session_cookie(browser: Browser) -> str:
    value = browser.cookie("sen_session")
    assert value
    return value


def test_se01_signing_in_changes_the_cookie_and_the_old_one_is_useless(world: World) -> None:
    browser = world.browser()
    browser.open("/sign-in")
    planted = secrets.token_hex(32)
    browser.set_cookie("sen_session", planted)
    world.sign_in(browser=browser)
    assert session_cookie(browser) != planted
    browser.set_cookie("sen_session", planted)
    assert not is_signed_in(browser)


def test_se01_a_step_up_changes_the_cookie(world: World) -> None:
    browser = world.sign_in()
    low = session_cookie(browser)
    world.sign_in(how="passkey", browser=browser)
    high = session_cookie(browser)
    browser.set_cookie("sen_session", low)
    assert not is_signed_in(browser)
    browser.set_cookie("sen_session", high)
    assert is_signed_in(browser)


def test_se01_another_person_in_the_same_browser_ends_the_first_ones_session(world: World) -> None:
    first = world.arrive("basic", "openid name")
    tokens, old = first.tokens(), session_cookie(first.browser)
    world.sign_in("minh", browser=first.browser)
    first.browser.set_cookie("sen_session", old)
    assert not is_signed_in(first.browser)
    assert not first.party.is_alive(tokens.access)


def test_se02_cookies_are_host_only_secure_and_unreadable_to_scripts(world: World) -> None:
    browser, person = world.browser(), world.person()
    form = browser.open("/sign-in").form("/sign-in/password")
    page = browser.submit(form, login=person.login, password=person.password)
    lines = page.headers.get_list("set-cookie")
    lines += world.browser().open("/language/en").headers.get_list("set-cookie")
    assert len(lines) >= 2
    for line in lines:
        name, *rest = (part.strip().lower() for part in line.split(";"))
        assert name.startswith("__host-")
        assert {"secure", "httponly", "path=/", "samesite=lax"} <= set(rest)
        assert not [part for part in rest if part.startswith("domain")]


def test_se03_a_cookie_is_dead_after_signing_out(world: World) -> None:
    browser = world.sign_in()
    cookie = session_cookie(browser)
    browser.submit(browser.open("/logout").form("/logout"), "logout-confirm")
    assert browser.cookie("sen_session") in {None, ""}
    browser.set_cookie("sen_session", cookie)
    assert not is_signed_in(browser)


@pytest.mark.parametrize(
    ("amount", "expected"),
    [({"minutes": 14}, True), ({"minutes": 15}, False), ({"hours": 12}, False)],
)
def test_se03_a_cookie_dies_with_time(
    world: World, amount: dict[str, float], expected: bool
) -> None:
    browser = world.sign_in()
    world.tick(**amount)
    assert is_signed_in(browser) is expected


@pytest.mark.parametrize(("how", "minutes"), [("password", 30), ("passkey", 60)])
def test_se03_a_stronger_sign_in_serves_services_longer_but_not_the_own_pages(
    world: World, how: str, minutes: int
) -> None:
    arrival = world.arrive("basic", "openid name", how=how)
    # Using a service does not keep the own pages open.
    for _ in range(2):
        world.tick(minutes=8)
        attempt = arrival.party.begin("openid name", prompt="none")
        answer = arrival.browser.open(attempt.url)
        assert arrival.party.code_from(attempt, answer.location)
    assert arrival.browser.open("/me").location == "/sign-in?next=/me"
    assert arrival.browser.open("/me").status == 303
    world.tick(minutes=minutes)
    attempt = arrival.party.begin("openid name", prompt="none")
    answer = arrival.browser.open(attempt.url)
    assert arrival.party.error_from(attempt, answer.location) == "login_required"


def test_case_42_whoever_signs_in_next_on_a_shared_computer_gets_nothing_of_the_first(
    world: World,
) -> None:
    with listening(world, "basic") as channel:
        first = world.arrive("basic", "openid name")
        tokens = first.tokens()
        world.tick()
        second = world.arrive("basic", "openid name", person="minh", browser=first.browser,
                              prompt="login")  # fmt: skip
        assert second.tokens().claims["sub"] != tokens.claims["sub"]
        assert second.tokens().claims["sid"] != tokens.claims["sid"]
        assert not first.party.is_alive(tokens.access)
        assert first.party.is_alive(second.tokens().access)
        dispatch.dispatch(world.installation)
        assert [claims["sub"] for claims in channel.checked("basic")] == [tokens.claims["sub"]]
        pages = " ".join(
            first.browser.open(path).text for path in ("/me", "/me/sessions", "/me/notices")
        )
        assert world.person("lan").name not in pages


def test_se03_a_locked_account_is_signed_out_at_once(world: World) -> None:
    browser, account = world.sign_in(), world.account()
    with world.transaction() as services:
        services.accounts.lock(account, LockReason.AUTHORITY_ORDER)
    assert not is_signed_in(browser)
    answer = world.browser().use_passkey(world.person().passkey)
    assert answer.status == 403


FORMS = [
    ("/sign-in/password", {"login": "lan", "password": "x"}),
    ("/sign-in/cancel", {"interaction": "x"}),
    ("/activate", {"login": "tam", "code": "SEN-2345-6789"}),
    ("/activate/password", {"password": "a good new password"}),
    ("/activate/finish", {}),
    ("/acting-for", {"acting_for": "self"}),
    ("/me/consents/x/narrow", {}),
    ("/me/consents/x/renew", {}),
    ("/me/consents/x/confirm", {}),
    ("/me/cases/ask", {"right": "explain", "use": "1"}),
    ("/me/cases/x/escalate", {}),
    ("/me/uses/x/not-me", {}),
    ("/desk/cases/x", {"words": "x"}),
    ("/regulator/find", {"reference": "x"}),
    ("/consent", {"decision": "allow"}),
    ("/me/consents/x/withdraw", {}),
    ("/me/passkeys/x/remove", {}),
    ("/me/password", {"password": "a good new password"}),
    ("/me/sessions/x/end", {}),
    ("/me/sessions/end-others", {}),
    ("/me/details", {"email": "evil@example.vn"}),
    ("/sign-in/code", {"code": "000000"}),
    ("/sign-in/face", {"interaction": "x"}),
    ("/sign-in/card", {"interaction": "x"}),
    ("/sign-in/card/finish", {"interaction": "x"}),
    ("/sign-in/known", {"interaction": "x", "password": "x"}),
    ("/sign-in/step/decline", {"interaction": "x"}),
    ("/me/mandates/give", {"name": "x"}),
    ("/me/download", {"format": "json"}),
    ("/me/uses/proof", {}),
    ("/me/uses/copy", {}),
    ("/me/notices/read", {}),
    ("/me/notices/choices", {"first-use": "nowhere"}),
    ("/me/leave", {}),
    ("/not-me/x", {}),
    ("/lock", {"login": "lan", "position": "1", "code": "0000000000"}),
    ("/me/lock", {}),
    ("/me/recovery/begin", {}),
    ("/me/recovery/cancel", {}),
    ("/me/recovery/chip", {}),
    ("/desk/accounts/x/recover", {"ground": "an identity card was shown"}),
    ("/desk/accounts/x/card", {"ground": "an identity card was shown"}),
    ("/me/incidents/x/settle", {}),
    ("/desk/accounts/x/incidents/x", {"ground": "nothing was found"}),
    ("/desk/accounts/x/contact", {"claim": "email", "value": "evil@example.vn"}),
    ("/desk/contacts/x", {"decision": "confirm"}),
    ("/me/mandates/x/accept", {}),
    ("/me/mandates/x/agree", {"decision": "agree"}),
    ("/me/mandates/x/confirm", {}),
    ("/me/mandates/x/narrow", {}),
    ("/me/mandates/x/revoke", {}),
    ("/me/passkeys/app/begin", {}),
    ("/me/passkeys/app", {"code": "000000"}),
    ("/me/passkeys/app/remove", {}),
    ("/me/passkeys/card", {}),
    ("/me/passkeys/card/remove", {}),
    ("/apply/citizen", {"name": "x"}),
    ("/apply/follow", {"reference": "x"}),
    ("/apply/code", {"reference": "x"}),
    ("/apply/chip", {"reference": "x"}),
    ("/me/applications/x/chip", {}),
    ("/me/applications/level", {}),
    ("/me/applications/organisation", {"name": "x"}),
    ("/me/applications/x/code", {}),
    ("/me/agreements/x", {"decision": "agree"}),
    ("/me/mandates/give", {"type": "proxy", "services": "banking"}),
    ("/me/mandates/x/accept", {}),
    ("/me/mandates/x/agree", {}),
    ("/me/mandates/x/confirm", {}),
    ("/me/mandates/x/narrow", {"services": "banking"}),
    ("/me/mandates/x/revoke", {}),
    ("/sign-in/qr", {"interaction": ""}),
    ("/sign-in/qr/x/redeem", {}),
    ("/app/enrol", {"public_key": "x", "signature": "x"}),
    ("/app/scan", {"frame": "x"}),
    ("/app/code", {"code": "x"}),
    ("/app/code/chip", {}),
    ("/app/code/chip/finish", {}),
    ("/desk/accounts/x/phone", {"ground": "an identity card was shown"}),
    ("/app/requests/x", {"decision": "approve"}),
    ("/app/lock", {}),
    ("/me/passkeys/phones/x/remove", {}),
    ("/desk/search", {"identifier": "lan"}),
    ("/desk/citizen", {"name": "x"}),
    ("/desk/unlocks/x", {"decision": "confirm"}),
    ("/desk/accounts/x/lock", {"reason": "risk", "ground": "x"}),
    ("/desk/accounts/x/unlock", {"reason": "risk", "ground": "x"}),
    ("/desk/applications/x/visit", {"confirmed": "yes"}),
    ("/desk/applications/x/document", {"document": "x"}),
    ("/desk/applications/x/decide", {"decision": "issue"}),
    ("/desk/applications/x/code", {}),
]


def test_se04_every_form_of_ours_is_in_this_list(world: World) -> None:
    # What relying parties and their visitors' browsers post has proofs of its own.
    foreign = {"/token", "/userinfo", "/revoke", "/introspect", "/authorize", "/logout"}
    foreign |= {f"/agency/cases{step}" for step in ("", "/acknowledge", "/extend", "/answer")}
    foreign |= {"/agency/withdrawals", "/agency/withdrawals/confirm"}
    foreign |= {"/agency/consents", "/agency/grants", "/agency/grants/revoke", "/agency/events"}
    foreign |= {
        "/agency/receipts",
        "/agency/receipts/held",
        "/ledger/audits",
        "/ledger/audits/x/draw",
        "/ledger/audits/x/result",
        "/agency/uses",
    }
    # A card's reader app has no session of anybody's: its requests name a code that it was given.
    foreign |= {"/apply/chip/challenge", "/apply/chip/readings"}
    json = {"/sign-in/passkey/options", "/sign-in/passkey/verify", "/activate/passkey/options",
            "/activate/passkey", "/me/passkeys/options", "/me/passkeys",
            "/app/enrol/options", "/app/enrol/passkey", "/unlock/passkey", "/me/recovery/options", "/me/recovery/passkey"}  # fmt: skip
    posts = {
        re.sub(r"<[^>]+>", "x", re.sub(r"<any\(\"?(\w+)[^>]*>", r"\1", rule.rule))
        for rule in world.app.url_map.iter_rules()
        if {"POST", "PUT", "PATCH", "DELETE"} & (rule.methods or set())
    }
    assert posts == {path for path, _ in FORMS} | foreign | json


# The token is judged before any database is asked.
@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("path", "fields"), FORMS, ids=[path for path, _ in FORMS])
def test_se04_a_form_without_this_browsers_own_token_is_refused(
    world: World, path: str, fields: dict[str, str]
) -> None:
    victim, attacker = world.sign_in("lan"), world.sign_in("minh")
    own = victim.open("/me/details").form("/me/details").values["csrf_token"]
    others = attacker.open("/me/details").form("/me/details").values["csrf_token"]
    for token in ("", others, "0" * 64, own[:-1], own + "0", "é", "\0"):
        assert victim.post(path, fields | {"csrf_token": token}).status == 403
    for origin in ("https://evil.example", "null", world.issuer + ".evil.example",
                   world.issuer.replace("https", "http")):  # fmt: skip
        headers = {"Origin": origin}
        assert victim.post(path, fields | {"csrf_token": own}, headers).status == 403
    for site in ("cross-site", "same-site"):
        headers = {"Sec-Fetch-Site": site}
        assert victim.post(path, fields | {"csrf_token": own}, headers).status == 403
    assert is_signed_in(victim)


@pytest.mark.parametrize(
    "path",
    ["/sign-in/passkey/options", "/sign-in/passkey/verify", "/me/passkeys/options", "/me/passkeys"],
)
def test_se04_json_from_elsewhere_or_in_disguise_is_refused(world: World, path: str) -> None:
    browser = world.sign_in()
    assert browser.call(path, {}, Origin="https://evil.example").status == 403
    assert browser.call(path, {}, **{"Sec-Fetch-Site": "cross-site"}).status == 403
    disguised = browser._send("POST", path, content=b"{}", headers={"Content-Type": "text/plain"})
    assert disguised.status in {403, 415}


def test_se05_nobody_can_be_signed_in_from_another_site(world: World) -> None:
    browser = world.browser()
    page = browser.post_from_elsewhere(
        "/sign-in/password",
        {"login": "minh", "password": world.person("minh").password},
        "https://evil.example",
    )
    assert page.status == 403
    assert not is_signed_in(browser)


def test_se05_an_image_of_the_logout_address_signs_nobody_out(world: World) -> None:
    browser = world.sign_in()
    browser.open("/logout", **{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "image"})
    assert is_signed_in(browser)


@pytest.mark.parametrize("value", ["", "0" * 64, "a" * 63, "A" * 64, "é" * 64, "' OR 1=1 --"])
def test_se07_a_made_up_cookie_opens_nothing(world: World, value: str) -> None:
    browser = world.browser()
    page = browser._send("GET", "/me", headers={"Cookie": f"__Host-sen_session={value}".encode()})
    assert page.status == 303
    assert "/sign-in" in page.location


@pytest.mark.parametrize(
    "path",
    ["/me", "/me/uses", "/me/consents", "/me/passkeys", "/me/sessions", "/me/details", "/sign-in"],
)
def test_se09_pages_of_a_person_are_kept_nowhere(world: World, path: str) -> None:
    browser = world.sign_in()
    for page in (browser.open(path), browser._send("HEAD", path)):
        assert page.status == 200
        assert page.headers["Cache-Control"] == "no-store"
        assert "Cookie" in page.headers["Vary"]


@pytest.mark.parametrize("header", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])
def test_se09_a_method_cannot_be_overridden(world: World, header: str) -> None:
    browser = world.sign_in()
    page = browser.open("/me/sessions/end-others", **{header: "POST"})
    assert page.status == 405
    assert browser.open("/me?_method=DELETE").status == 200


def test_two_sign_ins_in_two_tabs_do_not_disturb_one_another(world: World) -> None:
    browser, party = world.browser(), world.party()
    attempts = [party.begin("openid name") for _ in range(2)]
    pages = [browser.visit(attempt.url) for attempt in attempts]
    for attempt, page in zip(attempts, pages, strict=True):
        # The first tab's sign-in made the second tab's form stale, so its page is loaded again.
        back = world.walk(browser, browser.visit(page.url), world.person())
        assert party.redeem(attempt, party.code_from(attempt, back.location))


def test_an_interaction_belongs_to_its_browser(world: World) -> None:
    page = world.browser().visit(world.party().begin().url)
    interaction = page.form("/sign-in/password").values["interaction"]
    thief = world.sign_in("minh")
    for path in ("/authorize", "/sign-in", "/consent", "/acting-for"):
        stolen = thief.open(f"{path}?interaction={interaction}")
        assert (stolen.status, stolen.location) == (400, "")


def test_a_passkey_sign_in_cannot_end_in_anothers_interaction(world: World) -> None:
    page = world.browser().visit(world.party().begin().url)
    interaction = page.form("/sign-in/password").values["interaction"]
    answer = world.browser().use_passkey(world.person("minh").passkey, interaction)
    assert answer.status == 400
    assert "location" not in as_json(answer)
