"""The record of uses as people read it: narrowed, folded, one by one, by agency and by month."""

import csv
import io
from datetime import timedelta

import pytest

from tests.support.browser import Browser
from tests.support.mandates import mandate_id
from tests.support.stores import KINDS
from tests.support.world import World

EVIL = '=HYPERLINK("http://evil.example";"Phòng, khám")'


@pytest.fixture(params=KINDS[:1])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def used(world: World) -> Browser:
    """Lan's browser, after the portal read three times and the clinic once."""
    portal = world.arrive("portal", "openid name birth")
    tokens = portal.tokens()
    for _ in range(3):
        portal.party.userinfo(tokens.access)
    world.tick(days=2)
    clinic = world.arrive("clinic", "openid email", browser=world.browser())
    clinic.party.userinfo(clinic.tokens().access)
    return clinic.browser


def test_what_happened_again_and_again_is_one_item(used: Browser) -> None:
    page = used.open("/me/uses?agency=portal&channel=userinfo")
    assert page.html.count('class="sen-use"') == 1
    assert "3 times" in page.text
    assert page.html.count("/me/uses/") >= 3


@pytest.mark.parametrize(
    ("query", "portal", "clinic"),
    [
        ("agency=portal", True, False),
        ("attribute=birthdate", True, False),
        ("attribute=email", False, True),
        ("purpose=healthcare", False, True),
        ("channel=userinfo&agency=clinic", False, True),
        ("outcome=refused", False, False),
        ("basis=statutory-function", False, False),
        # What makes no sense does not narrow.
        ("channel=x&since=x&until=9999-99-99&attribute=sub", True, True),
        ("since=0001-01-01&until=9999-12-31", True, True),
        ("agency=nobody", False, False),
        ("agency=%27%20or%201%3D1--", False, False),
    ],
)
def test_the_address_narrows(used: Browser, query: str, portal: bool, clinic: bool) -> None:
    page = used.open(f"/me/uses?{query}")
    assert page.status == 200
    timeline = page.html.split('class="sen-narrow', 1)[1].split("</form>", 1)[1]
    assert ("Sample service portal" in timeline) is portal
    assert ("Phòng khám Mẫu" in timeline) is clinic
    # What Sen ID itself did rests on the law, and no agency's name brings it up.
    is_empty = "agency=" in query and not (portal or clinic)
    assert ("Nothing in this record fits" in page.text) is (is_empty or "refused" in query)


def test_a_day_of_hanoi_narrows(world: World, used: Browser) -> None:
    day = (world.clock() + timedelta(hours=7)).date().isoformat()
    page = used.open(f"/me/uses?since={day}&until={day}")
    timeline = page.html.split("</form>", 1)[1]
    assert "Phòng khám Mẫu" in timeline
    assert "3 times" not in timeline


def test_one_use_tells_all_of_it_and_anothers_is_not_there(world: World, used: Browser) -> None:
    with world.transaction() as services:
        entry = services.use_log.of_subject(world.subject_in(services, "lan"), limit=1)[0]
    page = used.open(f"/me/uses/{entry.position}")
    assert page.status == 200
    for told in (entry.id, entry.commitment.hex(), entry.use.correlation, "Medical care"):
        assert told in page.html
    assert used.open("/me/uses/999999").status == 404
    assert used.open("/me/uses/x").status == 404
    with world.transaction() as services:
        hers = services.use_log.of_subject(world.subject_in(services, "minh"), limit=1)[0]
    minh = world.sign_in("minh")
    assert entry.id not in minh.open(f"/me/uses/{entry.position}").html
    assert hers.id not in used.open(f"/me/uses/{hers.position}").html


def test_an_agency_on_its_own_page(used: Browser) -> None:
    page = used.open("/me/agencies")
    assert "Sample service portal" in page.text
    page = used.open("/me/agency?id=portal")
    assert "What it may read" in page.text
    assert "Date of birth" in page.text
    assert used.open("/me/agency?id=nobody").status == 404
    used.submit(next(form for form in page.forms if form.action.endswith("/withdraw")))
    assert "Nothing on your consent" in used.open("/me/agency?id=portal").text


def test_months_are_drawn_and_told(used: Browser) -> None:
    page = used.open("/me/months")
    assert page.html.count('<svg class="sen-chart"') == 2
    assert page.html.count("<table") == 2
    # Every figure of a picture stands in its table too.
    assert "Sample service portal" in page.text
    assert "Date of birth" in page.text


@pytest.mark.parametrize("path", ["/me/uses", "/me/agencies", "/me/months"])
def test_an_organisations_record_is_read_by_who_stands_for_it(world: World, path: str) -> None:
    mandate = mandate_id(world, "lan")
    arrival = world.arrive("portal", "openid represent organization", acting_for=mandate)
    arrival.party.userinfo(arrival.tokens().access)
    assert "Hoa Sen" in arrival.browser.open(f"{path}?of={mandate}").text
    # Another's mandate shows one's own record.
    assert "Hoa Sen" not in world.sign_in("minh").open(f"{path}?of={mandate}").text


def copy(browser: Browser, query: str = "") -> list[list[str]]:
    page = browser.open(f"/me/uses/copy{query}")
    done = browser.submit(page.form("/me/uses/copy"))
    assert done.status == 200
    assert done.headers["Content-Type"] == "text/csv; charset=utf-8; header=present"
    assert done.html.startswith("\ufeff")
    assert done.html.count("\r\n") == done.html.count("\n")
    return list(csv.reader(io.StringIO(done.html[1:]), strict=True))


def test_the_uses_are_taken_along_as_a_table(world: World, used: Browser) -> None:
    with world.transaction() as services:
        services.registrations.register(
            {**world.cast.relying_parties["clinic"], "client_name": EVIL}
        )
    lan = world.sign_in("lan")
    head, *rows = copy(lan)
    assert head[:3] == ["Number", "Time", "Agency"]
    numbers = [int(row[0]) for row in rows]
    # The copy itself is the newest use.
    assert rows[0][4] == "Gave you a copy of your data"
    assert numbers == list(range(len(rows), 0, -1))
    # As in the address, so in the file.
    _, *narrowed = copy(lan, "?agency=portal&channel=userinfo")
    assert [row[2] for row in narrowed] == ["Sample service portal"] * 3
    assert all("Date of birth" in row[6] for row in narrowed)
    # No cell is a formula, and quotes and commas stay in their cell.
    _, *clinic = copy(lan, "?agency=clinic")
    assert {row[2] for row in clinic} == {f"'{EVIL}"}
    # Who signed in long ago proves anew who she is, and comes back to what she had narrowed.
    world.tick(minutes=6)
    form = lan.open("/me/uses/copy?agency=clinic").form("/me/uses/copy")
    assert lan.submit(form).query["next"] == "/me/uses/copy?agency=clinic"


def test_an_organisations_uses_are_taken_along_under_two_entries(world: World) -> None:
    mandate = mandate_id(world, "lan")
    world.arrive("portal", "openid represent organization", acting_for=mandate).tokens()
    _, *rows = copy(world.sign_in("lan"), f"?of={mandate}")
    assert rows[0][4] == "Gave out a copy of the organisation's data"
    assert rows[0][11] == world.person("lan").name
    with world.transaction() as services:
        (newest, *_) = services.use_log.of_subject(world.subject_in(services, "lan"))
    assert (newest.use.channel.value, newest.use.purpose) == ("export", "own-copy")
