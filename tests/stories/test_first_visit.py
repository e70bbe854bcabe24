"""A citizen's first visit: she activates her account, decides, and sees who used her data."""

from playwright.sync_api import Locator, expect

from tests.stories.site import Site
from tests.stories.telling import in_every_way
from tests.stories.visit import Visit

pytestmark = in_every_way

ASKING = {
    "vi": (
        "Cổng Dịch vụ công Quốc gia (trình diễn) đề nghị sử dụng dữ liệu của bạn",
        "Bên đề nghị",
        "Giải quyết thủ tục hành chính",
        "Luật 91/2025/QH15, Điều 9",
        "trừ khi bạn chọn thời hạn ngắn hơn bên dưới hoặc rút lại sớm hơn",
        "Họ và tên",
        "Ngày sinh",
        "từ Cơ sở dữ liệu quốc gia về dân cư",
    ),
    "en": (
        "National Public Service Portal (demo) asks for your data",
        "Who asks",
        "Handling your public-service request",
        "Law 91/2025/QH15, Article 9",
        "unless you choose a shorter time below or withdraw earlier",
        "Full name",
        "Date of birth",
        "from the national population database",
    ),
}
SENTENCE = {
    "vi": "Trong 30 ngày qua, 2 cơ quan, tổ chức đã sử dụng dữ liệu của bạn 3 lần.",
    "en": "In the last 30 days 2 agencies used your data 3 times.",
}
PLAIN_WORDS = {
    "vi": (
        "Đã đọc dữ liệu của bạn",
        "Đã xác nhận đăng nhập của bạn",
        "Thư điện tử",
        "Sự đồng ý của bạn",
    ),
    "en": ("Read your data", "Signed you in", "E-mail address", "You agreed"),
}
DECLINED = {"vi": "Bạn đã chọn không chia sẻ", "en": "You chose not to share"}
PORTAL_ENDED = {"vi": "đã được đăng xuất", "en": "have been signed out"}


def test_a_citizen_activates_decides_sees_and_withdraws(site: Site, visit: Visit) -> None:
    citizen, page, language = site.person("newcomer"), visit.page, visit.language

    visit.begin(site.portal)
    visit.activate_with_passkey(citizen)

    visit.is_on("/consent")
    visit.sees(*ASKING[language])
    ticks = page.locator("input[name=optional]")
    expect(ticks).to_have_count(3)
    assert not [tick for tick in ticks.all() if tick.is_checked()]
    allow, deny = page.locator("#consent-allow"), page.locator("#consent-deny")
    assert _size(allow.bounding_box()) == _size(deny.bounding_box())
    assert _look(allow) == _look(deny)
    visit.decide(optional=("email",))

    visit.is_at(site.portal)
    shown = visit.received()
    assert shown["name"] == citizen.name
    assert shown["email"] == citizen.email
    assert {"phone_number", "address", "vn_pid"}.isdisjoint(shown)
    sub_at_portal = shown["sub"]
    assert visit.received("id-token")["sub"] == sub_at_portal

    visit.begin(site.bank)
    visit.is_on("/consent")
    visit.decide()
    visit.is_at(site.bank)
    assert visit.received()["vn_pid"] == citizen.number
    assert visit.received()["sub"] != sub_at_portal

    page.goto(site.portal.origin)
    visit.press("read-again")
    assert visit.notice() == "read-again"

    visit.go("/me")
    expect(visit.title()).to_have_text(SENTENCE[language])
    visit.go("/me/uses")
    visit.sees(*PLAIN_WORDS[language], site.portal.name[language], site.bank.name[language])
    assert _readings(visit) == 3

    visit.go("/me/consents")
    expect(page.locator("button[id^=withdraw-]")).to_have_count(2)
    card = page.locator("article", has_text=site.portal.name[language])
    expect(card).to_contain_text(DECLINED[language])
    card.locator("button[id^=withdraw-]").click()
    expect(page.locator("button[id^=withdraw-]")).to_have_count(1)

    visit.learns_that_it_ended(site.portal)
    visit.sees(PORTAL_ENDED[language])
    # The other consent is untouched.
    page.goto(site.bank.origin)
    visit.press("read-again")
    assert visit.received()["name"] == citizen.name


def _readings(visit: Visit) -> int:
    """Count the timeline's entries in which an agency read data."""
    told = visit.page.locator(".sen-use", has_text=PLAIN_WORDS[visit.language][0])
    return told.count()


def _size(box: object) -> tuple[float, float]:
    assert isinstance(box, dict)
    return round(box["width"]), round(box["height"])


def _look(button: Locator) -> str:
    style = "e => { const s = getComputedStyle(e); return s.backgroundColor + s.color + s.fontSize + s.fontWeight }"
    return str(button.evaluate(style))
