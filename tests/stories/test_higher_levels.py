"""A citizen before her camera: a service that asks for authentication level 3."""

from pathlib import Path

from playwright.sync_api import Browser, expect

from connectors.simulation.faces import capture
from tests.stories.conftest import CHROMIUM, CHROMIUM_OPTIONS
from tests.stories.site import Site
from tests.stories.visit import Visit

LEVEL_3 = "urn:vn:eid:aal:3"


def test_her_camera_takes_a_citizen_from_level_2_to_3(
    chromium: Browser, site: Site, tmp_path: Path
) -> None:
    citizen, film = site.person("passkey"), tmp_path / "camera.mjpeg"
    site.knows(citizen)
    drawing = chromium.new_page(viewport={"width": 640, "height": 480})
    face = tmp_path / "face.png"
    face.write_bytes(capture(citizen.number))
    drawing.goto(face.as_uri())
    # The device of the debugging protocol spreads the tones of a film, as of video's narrower range.
    drawing.add_style_tag(content="img { filter: contrast(86%) }")
    # Motion JPEG is one picture after the other; the device shows them again and again.
    film.write_bytes(drawing.screenshot(type="jpeg", quality=92) * 30)
    drawing.close()
    camera = [
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={film}",
    ]
    browser = chromium.browser_type.launch(
        executable_path=CHROMIUM, args=[*CHROMIUM_OPTIONS, *camera]
    )
    here = Visit(browser, site, permissions=["camera"])
    here.sign_in_to_own_pages(citizen)
    here.ask(site.portal, acr_values=LEVEL_3)
    here.is_on("/sign-in/face")
    expect(here.page.locator("#face-video")).to_be_visible()
    here.look("sign-in-face-camera")
    here.press("face-take")
    here.is_on("/consent")
    here.go("/me/uses")
    here.sees("Xác minh đúng là bạn đang đăng nhập", "Ảnh chân dung trên thẻ")
    complaints = here.unforgiven()
    browser.close()
    assert not complaints, f"the browser complained: {complaints}"
