"""A stolen phone: a stranger signs in with it, its owner says "not me", and comes back without it."""

import re
from collections.abc import Callable

from aiosmtpd.controller import Controller
from playwright.sync_api import expect

from connectors.messages import MailServer
from tests.idp.test_delivery import Inbox, free_port
from tests.stories.site import Site
from tests.stories.visit import Visit

SENDER = "thong-bao@id.sen.example"
SAFE = "Tài khoản của bạn tạm thời đã an toàn"
SETTLED = "Đã kết thúc. Các sự đồng ý của bạn có hiệu lực trở lại."


def link_in_the_letter(site: Site, address: str) -> str:
    inbox = Inbox()
    controller = Controller(inbox, hostname="127.0.0.1", port=free_port())
    controller.start()
    try:
        server = MailServer("127.0.0.1", controller.port, SENDER, is_plain=True)
        # One round sends so many only, and other stories' letters may wait before hers.
        while site.deliver(server)["delivered"]:
            pass
    finally:
        controller.stop()
    letters = [letter for letter in inbox.letters() if letter["To"] == address]
    body = letters[-1].get_payload(decode=True)
    assert isinstance(body, bytes)
    found = re.search(r"(/not-me/\S+)", body.decode())
    assert found
    return found[1]


def use_code(visit: Visit, password: str, login: str, codes: list[str]) -> None:
    visit.fill(login=login, password=password)
    visit.press("login-submit")
    hint = visit.page.locator("#code-hint").inner_text()
    number = re.search(r"Mã số (\d+)|số (\d+)|(\d+)", hint)
    assert number
    visit.fill(code=codes[int(next(filter(None, number.groups()))) - 1])
    visit.press("code-submit")


def test_a_stolen_phone_is_answered_and_its_owner_comes_back(
    site: Site, enter: Callable[..., Visit]
) -> None:
    citizen = site.person("passkey")
    # While she still has the phone: a password, a card of codes, and a sign-in at the bank.
    computer = enter()
    computer.sign_in_to_own_pages(citizen)
    computer.go("/me/passkeys")
    computer.fill(new_password=citizen.password)
    computer.press("password-submit")
    computer.press("card-make")
    codes = [text.replace(" ", "") for text in computer.page.locator("ol li").all_inner_texts()]
    assert len(codes) == 20
    computer.begin(site.bank)
    computer.decide()
    computer.is_at(site.bank)
    expect(computer.page.locator("#userinfo")).to_be_visible()

    stranger = enter().take_authenticator(citizen, used=50)
    stranger.sign_in_to_own_pages(citizen)

    # At a borrowed computer she reads her mail.
    borrowed = enter()
    borrowed.go(link_in_the_letter(site, citizen.email))
    borrowed.look("not-me")
    borrowed.press("not-me-confirm")
    borrowed.sees(SAFE)
    borrowed.look("not-me-done")
    stranger.go("/me")
    stranger.is_on("/sign-in")
    # The bank was told by itself, and signed her out too.
    for _ in range(40):
        computer.page.goto(site.bank.origin)
        if not computer.page.locator("#userinfo").count():
            break
        computer.page.wait_for_timeout(500)
    expect(computer.page.locator("#sign-in")).to_be_visible()

    # Without the phone: two ways that are left, and three days.
    borrowed.go("/recover")
    borrowed.page.locator("main a[href='/sign-in?next=/me/recovery']").first.click()
    use_code(borrowed, citizen.password, citizen.login, codes)
    borrowed.is_on("/me/recovery")
    borrowed.look("recovery")
    borrowed.press("recovery-begin")
    borrowed.look("recovery-waiting")
    site.end_waiting_times()
    borrowed.take_authenticator()
    borrowed.go("/me/recovery")
    borrowed.look("recovery-ready")
    borrowed.press("passkey-recover")
    borrowed.is_on("/me/passkeys")
    borrowed.go("/me/notices")
    borrowed.look("notices-after-recovery")
    borrowed.go("/me/incidents")
    borrowed.look("incidents")
    borrowed.page.locator("button[id^=settle-]").click()
    expect(borrowed.page.locator("body")).to_contain_text(SETTLED)

    # The stolen phone opens nothing any more.
    stranger.tolerate_status(403)
    stranger.use_passkey()
    expect(stranger.page.locator("#passkey-status.sen-status--error")).to_be_visible()
    borrowed.go("/me/lock")
    borrowed.look("own-lock")
    borrowed.press("lock-confirm")
    borrowed.is_on("/locked")
    borrowed.go("/unlock")
    borrowed.press("passkey-unlock")
    borrowed.is_on("/me")
