"""Signing in by QR code: who may scan, approve and pick up, once, and in time (security cases DC)."""

from datetime import timedelta

import pytest

from accounts.levels import AuthenticationMethod
from accounts.notices import NoticeKind
from idp.services import Installation
from idp.web.sign_in.qr import Pace
from tests.support.app_phone import AppPhone, Screen, begin, phone_of, statement_on
from tests.support.at_once import at_once
from tests.support.browser import Browser, as_json
from tests.support.clock import Clock
from tests.support.phone import encoded
from tests.support.world import World, path_of

sqlite_only = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)


def approved(world: World, phone: AppPhone, screen: Screen) -> None:
    phone.decide(phone.scan(screen.frame()), screen.number())
    assert screen.state() == "approved"


def is_signed_in(browser: Browser) -> bool:
    return browser.open("/me").status == 200


def test_a_phone_lets_the_browser_in_that_began_and_the_person_is_told(world: World) -> None:
    phone, party, browser = phone_of(world), world.party(), world.browser()
    attempt = party.begin("openid name offline_access")
    page = browser.visit(attempt.url)
    screen = begin(world, browser, page.form("/sign-in/password").values["interaction"])
    assert as_json(browser.open(f"{screen.path}/status"))["state"] == "waiting"
    # Without scripts the page loads itself anew, well within a frame's five seconds.
    assert '<noscript><meta http-equiv="refresh" content="3"></noscript>' in screen.show().html
    asked = phone.scan(screen.frame())
    for text in ("Sample service portal", "Firefox · Linux", "The same as this phone's"):
        assert text in asked.text
    assert "Approved" in phone.decide(asked, screen.number()).text
    before = browser.cookie("sen_session")
    back = world.walk(browser, browser.follow(screen.redeem()), world.person())
    assert browser.cookie("sen_session") not in {None, before}
    tokens = party.redeem(attempt, party.code_from(attempt, back.location))
    told = party.verified(tokens.id_token).claims
    assert (told["amr"], told["acr"]) == (["swk", "user", "mfa"], "urn:vn:eid:aal:2")
    # What a phone lets in reads nothing on while she is away.
    assert "refresh_token" not in tokens.raw
    assert "approved a sign-in to Sample service portal" in phone.browser.open("/me/notices").text
    assert screen.state() == "redeemed"


def test_dc01_dc02_what_the_code_shows_opens_nothing(world: World) -> None:
    phone, screen, thief = phone_of(world), begin(world), world.browser()
    thief.open("/sign-in")
    unknown = f"/sign-in/qr/{'0' * 32}"
    for path in (screen.path, unknown, f"{screen.path}/status", f"{screen.path}/events"):
        assert thief.open(path).status == 401
    approved(world, phone, screen)
    token = thief.open("/sign-in").form("/sign-in/qr").values["csrf_token"]
    assert thief.post(f"{screen.path}/redeem", {"csrf_token": token}).status == 401
    assert not is_signed_in(thief)
    # A code's address, sent to somebody, takes nothing up.
    assert phone.browser.open(path_of(begin(world).frame())).status == 200
    assert screen.redeem().status == 303
    assert is_signed_in(screen.browser)


def test_dc01_an_approval_is_picked_up_once_and_in_time(world: World) -> None:
    phone, screen = phone_of(world), begin(world)
    approved(world, phone, screen)
    form = screen.show().form(f"{screen.path}/redeem")
    answers = at_once(*[lambda: screen.browser.submit(form).status for _ in range(5)])
    assert sorted(answers)[0] == 303
    assert answers.count(303) == 1, answers
    late = begin(world)
    approved(world, phone, late)
    form = late.show().form(f"{late.path}/redeem")
    world.tick(seconds=61)
    assert late.browser.submit(form).status == 401


@sqlite_only
@pytest.mark.parametrize(("seconds", "is_taken"), [(4, True), (5, True), (6, False)])
def test_a_frame_older_than_five_seconds_is_refused(
    world: World, seconds: int, is_taken: bool
) -> None:
    phone, screen = phone_of(world), begin(world)
    world.tick(seconds=30)
    frame = screen.frame()
    world.tick(seconds=seconds)
    page = phone.scan(frame)
    assert (page.status, screen.state()) == ((200, "claimed") if is_taken else (401, "waiting"))


@sqlite_only
def test_frames_are_ours_unaltered_and_no_longer_than_two_minutes(world: World) -> None:
    phone, screen, other = phone_of(world), begin(world), begin(world)
    frame = screen.frame()
    head, id_, seconds, mac = frame.split(".")[-4:]
    stem = frame.removesuffix(f"1.{id_}.{seconds}.{mac}")
    for bad in (
        f"{stem}1.{id_}.{int(seconds) + 1}.{mac}",
        f"{stem}1.{other.id}.{seconds}.{mac}",
        frame[:-1] + ("A" if frame[-1] != "A" else "B"),
        frame.replace(world.issuer, "https://evil.example"),
    ):
        assert phone.scan(bad).status == 401, bad
    world.tick(minutes=11)
    assert phone.browser.open("/app/").status == 200
    late = begin(world)
    world.tick(seconds=121)
    assert phone.scan(late.frame()).status == 401
    assert late.state() == "expired"
    assert head.endswith("1")


def test_the_first_scan_claims_and_both_are_told_of_the_second(world: World) -> None:
    first, second, screen = phone_of(world), phone_of(world, "minh"), begin(world)
    frame = screen.frame()
    asked = first.scan(frame)
    refused = second.scan(frame)
    assert (refused.status, "Another phone was first" in refused.text) == (409, True)
    assert "second phone scanned" in screen.show().text
    # The first phone is shown so before its approval counts.
    number = screen.number()
    again = first.decide(asked, number)
    assert "second phone scanned" in again.text
    assert screen.state() == "claimed"
    first.decide(again, number)
    assert screen.state() == "approved"


def test_many_phones_scan_at_once_and_one_has_it(world: World) -> None:
    phones, screen = (
        [phone_of(world), phone_of(world, "minh"), phone_of(world, "nga")],
        begin(world),
    )
    frame = screen.frame()
    forms = [phone.browser.open("/app/scan").form("/app/scan") for phone in phones]
    answers = at_once(
        *[
            lambda phone=phone, form=form: phone.browser.submit(form, frame=frame).status
            for phone, form in zip(phones, forms, strict=True)
        ]
    )
    assert sorted(answers) == [303, 409, 409]


def test_fifty_approvals_at_once_are_one(world: World) -> None:
    phone, screen = phone_of(world), begin(world)
    asked = phone.scan(screen.frame())
    fields = phone.fields(asked, screen.number())
    answers = at_once(*[lambda: phone.browser.post(asked.path, fields).status for _ in range(50)])
    assert answers.count(303) == 1
    assert answers.count(401) == 49
    with world.transaction() as services:
        told = services.notices.of_subject(world.subject_in(services, "lan"))
    assert [one.kind for one in told].count(NoticeKind.QR_APPROVED) == 1


@sqlite_only
def test_dc07_a_wrong_number_ends_it(world: World) -> None:
    phone, screen = phone_of(world), begin(world)
    asked, number = phone.scan(screen.frame()), screen.number()
    wrong = next(n for n in range(10, 100) if n != number)
    assert "ended" in phone.decide(asked, wrong).text
    assert phone.browser.post(asked.path, phone.fields(asked, number)).status == 401
    assert screen.state() == "failed"


@sqlite_only
def test_dc09_the_first_decision_stands(world: World) -> None:
    phone, screen = phone_of(world), begin(world)
    asked, number = phone.scan(screen.frame()), screen.number()
    assert "Declined" in phone.decide(asked, number, approve=False).text
    assert phone.browser.post(asked.path, phone.fields(asked, number)).status == 401
    assert screen.state() == "declined"
    other = begin(world)
    asked = phone.scan(other.frame())
    fields = phone.fields(asked, other.number())
    phone.browser.post(asked.path, fields)
    assert phone.browser.post(asked.path, fields | {"decision": "decline"}).status == 401
    assert other.state() == "approved"
    # Replayed at another sign-in, the signature is worth nothing.
    third = begin(world)
    page = phone.scan(third.frame())
    replay = fields | {"number": str(third.number())}
    assert phone.browser.post(page.path, replay).status == 403
    assert third.state() == "claimed"


@sqlite_only
def test_dc08_only_a_phone_just_signed_in_with_its_passkey_approves(world: World) -> None:
    phone, screen = phone_of(world), begin(world)
    asked = phone.scan(screen.frame())
    fields = phone.fields(asked, screen.number())
    cookie = phone.browser.cookie("sen_session")
    weak = world.sign_in(browser=world.browser())
    page = weak.open("/app/scan")
    assert (page.status, page.location) == (303, "/sign-in?next=/app/scan")
    token = weak.open("/me/details").form("/me/details").values["csrf_token"]
    refused = weak.post(asked.path, fields | {"csrf_token": token})
    assert refused.location == "/sign-in?next=/app/scan"
    assert weak.open(asked.path).location == "/sign-in?next=/app/scan"
    assert "only after signing in with a passkey" in weak.open(page.location).text
    # Another session of the same person, however strong, has not scanned it.
    strong = world.sign_in(how="passkey")
    token = strong.open("/me/details").form("/me/details").values["csrf_token"]
    assert strong.post(asked.path, fields | {"csrf_token": token}).status == 401
    # Nor does anybody without the phone's key.
    with_other_key = AppPhone(phone.browser).fields(asked, screen.number())
    assert phone.browser.post(asked.path, with_other_key).status == 403
    assert phone.browser.cookie("sen_session") == cookie
    assert screen.state() == "claimed"
    world.tick(minutes=16)
    page = phone.browser.post(asked.path, fields)
    assert "/sign-in" in page.location or page.status == 403
    assert screen.state() == "expired"


@sqlite_only
def test_an_approval_goes_on_in_another_process_and_not_after_a_minute(
    world: World, installation: Installation
) -> None:
    phone, screen = phone_of(world), begin(world)
    asked = phone.scan(screen.frame())
    number, frame = screen.number(), screen.frame()
    # Another process holds nothing but the settings and the database.
    other = Installation(installation.settings, clock=installation.clock)
    with other.engine.begin() as db:
        known = other.services(db).qr_sign_ins
        found = known.find(screen.id)
        assert found is not None
        assert found.number == number
        assert known.address_of(known.frame(found)) == frame
    other.engine.dispose()
    world.tick(seconds=61)
    assert phone.browser.post(asked.path, phone.fields(asked, number)).status == 401
    assert screen.state() == "expired"


@sqlite_only
def test_dc10_dc12_scans_starts_declines_and_polls_are_limited(world: World) -> None:
    phone, browser = phone_of(world), world.browser()
    screen = begin(world, browser)
    statuses = [browser.open(f"{screen.path}/status").status for _ in range(3)]
    assert statuses == [200, 429, 429]
    world.tick()
    assert browser.open(f"{screen.path}/status").status == 200
    for _ in range(5):
        assert phone.scan("1." + "0" * 32 + ".1." + "A" * 22).status == 401
    assert phone.scan(screen.frame()).status == 429
    world.tick(minutes=11)
    form = browser.open("/sign-in").form("/sign-in/qr")
    assert not browser.open("/sign-in?next=/app/").has_form("/sign-in/qr")
    answers = [browser.submit(form).status for _ in range(21)]
    assert answers == [303] * 20 + [429]
    mine = world.browser()
    for _ in range(3):
        shown = begin(world, mine)
        phone.decide(phone.scan(shown.frame()), 10, approve=False)
    assert mine.submit(mine.open("/sign-in").form("/sign-in/qr")).status == 429
    assert begin(world).state() == "waiting"


def test_f20_a_crowd_of_pages_is_told_to_wait_the_longer_the_larger_it_is(clock: Clock) -> None:
    pace, now = Pace(least=timedelta(milliseconds=400), a_second=10), clock()
    waits = [pace.wait((b"browser", str(page)), now) for page in range(40)]
    assert waits[:10] == [0] * 10
    assert (waits[10], waits[39]) == (2, 16)
    later = now + timedelta(seconds=1)
    assert [pace.wait((b"browser", str(page)), later) for page in range(11)] == [0] * 10 + [16]
    calm = now + timedelta(seconds=3)
    assert [pace.wait((b"browser", str(page)), calm) for page in range(11)] == [0] * 10 + [2]


@sqlite_only
def test_one_open_sign_in_an_account(world: World) -> None:
    phone, first, second = phone_of(world), begin(world), begin(world)
    phone.scan(first.frame())
    phone.scan(second.frame())
    assert (first.state(), second.state()) == ("failed", "claimed")
    # What is over is pushed once, and the stream ends.
    for _ in range(2):
        pushed = first.browser.open(f"{first.path}/events")
        assert pushed.headers["Content-Type"].startswith("text/event-stream")
        assert pushed.html == 'data: {"state":"failed","disturbed":false}\n\n'


@sqlite_only
def test_what_a_phone_lets_in_may_not_change_or_open_everything(world: World) -> None:
    phone, screen = phone_of(world), begin(world)
    approved(world, phone, screen)
    screen.redeem()
    browser = screen.browser
    token = browser.open("/me/details").form("/me/details").values["csrf_token"]
    for path in ("/me/passkeys/card", "/me/passkeys/app/begin", "/me/password", "/app/enrol",
                 f"/me/passkeys/phones/{'0' * 32}/remove", "/me/download",
                 "/me/mandates/give", f"/me/mandates/{'0' * 32}/revoke"):  # fmt: skip
        page = browser.post(path, {"csrf_token": token, "password": "ba bông sen hồng"})
        assert page.location.startswith("/sign-in?next="), path
    page = browser.post("/me/details", {"csrf_token": token, "email": "evil@example.vn"})
    assert "evil@example.vn" not in browser.open("/me/details").html
    assert browser.open("/app/scan").location.startswith("/sign-in")
    # Sensitive data waits for the passkey in this browser.
    page = browser.visit(world.party().begin("openid name insurance").url)
    assert "only after signing in with a passkey" in page.text
    assert browser.visit(world.party().begin("openid name").url).has_form("/consent")


@sqlite_only
def test_a_stronger_session_is_not_weakened(world: World) -> None:
    phone, browser = phone_of(world), world.browser()
    first = browser.visit(world.party().begin("openid name").url)
    interaction = first.form("/sign-in/password").values["interaction"]
    screen = begin(world, browser, interaction)
    approved(world, phone, screen)
    redeem = screen.show().form(f"{screen.path}/redeem")
    world.sign_in(how="passkey", browser=browser)
    token = browser.open("/me/details").form("/me/details").values["csrf_token"]
    page = browser.post(redeem.action, redeem.values | {"csrf_token": token})
    assert page.status == 303
    account = world.account()
    with world.transaction() as services:
        held = services.sessions.of_account(account)
    assert all(AuthenticationMethod.PHONE not in one.methods for one in held)


@sqlite_only
def test_a_phone_is_enrolled_after_its_passkey_and_proves_its_key(world: World) -> None:
    weak = AppPhone(world.sign_in())
    assert weak.browser.open("/app/enrol").location == "/sign-in?next=/app/enrol"
    browser = world.sign_in(how="passkey")
    phone, stranger = AppPhone(browser), AppPhone(browser)
    page = browser.open("/app/enrol")
    form = page.form("/app/enrol")
    for point, signature in (
        (phone.point, stranger.sign(statement_on(page))),
        (phone.point, phone.sign("something else")),
        (b"\x04" + bytes(64), phone.sign(statement_on(page))),
        (b"", ""),
    ):
        sent = signature if isinstance(signature, str) else ""
        assert browser.submit(form, public_key=encoded(point), signature=sent).status == 403
    assert phone.enrol().location == "/app/"
    assert phone.enrol().status == 403
    world.tick()
    for _ in range(4):
        assert AppPhone(browser).enrol().status == 303
    assert AppPhone(browser).enrol().status == 403
    ways = browser.open("/me/passkeys")
    remove = next(f for f in ways.forms if "/phones/" in f.action)
    assert browser.submit(remove).location == "/me/passkeys"
    assert "app was removed" in browser.open("/me/notices").text
    # Removed, it approves nothing any more.
    screen = begin(world)
    asked = phone.scan(screen.frame())
    assert browser.post(asked.path, phone.fields(asked, screen.number())).status == 403
    world.tick(minutes=6)
    assert browser.open("/app/enrol").location == "/sign-in?next=/app/enrol"


@sqlite_only
def test_on_a_phone_the_app_is_opened_instead_and_only_in_the_same_network(world: World) -> None:
    phone = phone_of(world)
    client = world.client("203.0.113.7")
    client.headers["User-Agent"] = "Mozilla/5.0 (Android 16; Mobile) Firefox/140.0"
    browser = Browser(client, world.issuer)
    screen = begin(world, browser)
    page = screen.show()
    assert "<svg" not in page.html
    assert screen.number()
    world.tick(seconds=40)
    switch = f"/app/switch/{screen.frame().rsplit('/', 1)[1]}"
    form = phone.browser.open(switch).form("/app/scan")
    assert "Another" not in page.text
    elsewhere = phone.browser.submit(form)
    assert (elsewhere.status, screen.state()) == (403, "waiting")
    near = world.client("203.0.113.7")
    near.cookies = phone.browser.client.cookies
    phone.browser.client = near
    world.tick(seconds=20)
    asked = phone.browser.follow(phone.browser.submit(form))
    phone.decide(asked, screen.number())
    assert screen.redeem().status == 303


@sqlite_only
def test_the_account_is_locked_from_the_app_at_once(world: World) -> None:
    phone, desktop = phone_of(world), world.sign_in()
    waiting = begin(world)
    approved(world, phone, waiting)
    form = phone.browser.open("/app/lock").form("/app/lock")
    assert "Your account is locked" in phone.browser.submit(form).text
    assert not is_signed_in(phone.browser)
    assert not is_signed_in(desktop)
    assert waiting.redeem().status == 401
    assert world.browser().use_passkey(world.person().passkey).status == 403


@sqlite_only
def test_the_app_can_be_installed_and_keeps_nothing_of_a_person(world: World) -> None:
    browser = world.sign_in(how="passkey")
    page = browser.open("/app/")
    assert "manifest-src 'self'" in page.headers["Content-Security-Policy"]
    assert "camera=()" in page.headers["Permissions-Policy"]
    assert "camera=(self)" in browser.open("/app/scan").headers["Permissions-Policy"]
    manifest = as_json(browser.open("/app/manifest.webmanifest"))
    assert (manifest["start_url"], manifest["scope"]) == ("/app/scan", "/app/")
    for icon in manifest["icons"]:
        assert browser.open(icon["src"]).status == 200
    worker = browser.open("/app/worker.js").html
    assert "/app/offline" in worker
    offline = browser.open("/app/offline")
    assert offline.status == 200
    assert world.person().name not in offline.html
