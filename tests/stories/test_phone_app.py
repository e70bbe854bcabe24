"""A phone beside a computer: its camera reads the computer's screen."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.stories.conftest import CHROMIUM, CHROMIUM_OPTIONS
from tests.stories.site import Site
from tests.stories.visit import Visit

SCREEN = {"width": 640, "height": 480}


@dataclass
class Desk:
    """A computer, and a phone whose camera is pointed at what stands in a file."""

    computer: Visit
    phone: Visit
    picture: Path

    def point_camera(self) -> None:
        """Hold the phone's camera at the computer's screen, and scan."""
        code = self.computer.page.locator(".sen-qr").bounding_box()
        assert code is not None
        clip = {"x": max(code["x"] - 170, 0), "y": max(code["y"] - 80, 0), **SCREEN}
        seen = self.computer.page.screenshot(type="jpeg", quality=90, clip=clip)
        # Motion JPEG is one picture after the other; the device shows them again and again.
        self.picture.write_bytes(seen * 30)
        self.phone.go("/app/scan")
        expect(self.phone.page.locator("#request-form")).to_be_visible()

    def shown_number(self) -> str:
        number = self.computer.page.locator(".sen-number")
        expect(number).to_be_visible()
        return number.inner_text().split()[-1]

    def choose(self, number: str) -> None:
        self.phone.page.locator(f".sen-numbers input[value='{number}']").check()

    def other_number(self, number: str) -> str:
        labels = self.phone.page.locator(".sen-numbers label").all_inner_texts()
        return next(label for label in labels if label != number)


@pytest.fixture
def desk(chromium: Browser, site: Site, tmp_path: Path) -> Iterator[Desk]:
    """Two browsers of one person; no page may upset either."""
    picture = tmp_path / "camera.mjpeg"
    camera = [
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={picture}",
    ]
    browser = chromium.browser_type.launch(
        executable_path=CHROMIUM, args=[*CHROMIUM_OPTIONS, *camera]
    )
    visits = [Visit(browser, site), Visit(browser, site, permissions=["camera"])]
    yield Desk(*visits, picture)
    complaints = [complaint for visit in visits for complaint in visit.unforgiven()]
    browser.close()
    assert not complaints, f"the browser complained: {complaints}"


def test_a_phones_camera_lets_the_computer_in(site: Site, desk: Desk) -> None:
    citizen, phone, computer = site.person("passkey"), desk.phone, desk.computer
    phone.sign_in_to_own_pages(citizen)
    phone.go("/app/")
    phone.page.locator("#app-not-here a").click()
    phone.fill(phone_name="Điện thoại của Sen")
    phone.press("enrol-submit")
    phone.is_on("/app/")
    expect(phone.page.locator("#app-here")).to_be_visible()

    # Another number is chosen than the screen shows: that was the only try.
    computer.begin(site.bank)
    computer.press("qr-begin")
    desk.point_camera()
    desk.choose(desk.other_number(desk.shown_number()))
    phone.press("request-approve")
    phone.sees("Không ai được đăng nhập")
    computer.sees("Không ai được đăng nhập")

    computer.press("qr-again")
    desk.point_camera()
    phone.press("request-decline")
    phone.sees("Không ai được đăng nhập")
    expect(computer.title()).to_have_text("Đã bị từ chối trên điện thoại")

    computer.press("qr-again")
    desk.point_camera()
    phone.press("request-approve")
    expect(phone.page.locator("#app-status")).to_have_text("Hãy chọn con số trước.")
    desk.choose(desk.shown_number())
    phone.look("app-request-chosen")
    phone.press("request-approve")
    phone.sees("tự tiếp tục đến Ngân hàng")
    # The computer goes on by itself.
    computer.is_on("/consent")
    computer.decide()
    computer.is_at(site.bank)
    phone.go("/me/notices")
    phone.sees("Điện thoại của bạn đã chấp thuận đăng nhập vào Ngân hàng")

    phone.go("/app/lock")
    phone.press("lock-confirm")
    phone.sees("Tài khoản của bạn đã bị khóa")
    computer.go("/me")
    computer.is_on("/sign-in")
