"""Requests to agencies: asked, confirmed, extended, answered, brought to the authority; on time or late."""

from datetime import UTC, datetime, timedelta

import pytest

from consent.data_use import Channel
from tests.support.browser import Browser
from tests.support.cast import TAX_CODE
from tests.support.mandates import mandate_id
from tests.support.office import Office
from tests.support.relying_party import Answer
from tests.support.stores import KINDS
from tests.support.world import World

WORDS = "Tôi không dùng dịch vụ này vào ngày đó."


@pytest.fixture(params=KINDS[:1])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def reader(world: World) -> Browser:
    """Lan's browser after the portal has read her name and birth date."""
    arrival = world.arrive("portal", "openid name birth")
    arrival.party.userinfo(arrival.tokens().access)
    return arrival.browser


@pytest.fixture
def office(world: World) -> Office:
    made = Office(world)
    made.officer("minh")
    return made


def position(world: World, channel: Channel = Channel.USERINFO) -> int:
    with world.transaction() as services:
        entries = services.use_log.of_subject(world.subject_in(services, "lan"))
    return next(one.position for one in entries if one.use.channel is channel)


def ask(world: World, browser: Browser, right: str = "explain", words: str = "") -> str:
    page = browser.open(f"/me/cases/ask?right={right}&use={position(world)}")
    assert page.status == 200, page.text
    assert browser.submit(page.form("/me/cases/ask"), right=right, words=words).status == 200
    with world.transaction() as services:
        return services.cases.of_person(world.subject_in(services, "lan"))[0].reference


def case_page(world: World, browser: Browser) -> str:
    """Return what the newest case's page says."""
    with world.transaction() as services:
        case = services.cases.of_person(world.subject_in(services, "lan"))[0]
    return browser.open(f"/me/cases/{case.id}").text


def agency(world: World, what: str = "", party: str = "portal", **form: str) -> Answer:
    return world.party(party).ask(f"/agency/cases{what}", form)


def test_an_agency_is_asked_confirms_and_answers(world: World, reader: Browser) -> None:
    reference = ask(world, reader, "object", WORDS)
    (told,) = agency(world).body["cases"]
    assert (told["case"], told["right"], told["words"]) == (reference, "object", WORDS)
    assert (
        told["sub"] == world.arrive("portal", "openid name", browser=reader).tokens().claims["sub"]
    )
    assert set(told["use"]["attributes"]) >= {"name", "birthdate"}
    # Other agencies see nothing of it and can do nothing.
    assert agency(world, party="clinic").body["cases"] == []
    for what in ("/acknowledge", "/answer", "/extend"):
        form = {"case": reference, "finding": "stopped", "text": WORDS, "reason": WORDS}
        assert agency(world, what, "clinic", **form).body["error"] == "invalid_case"
    assert agency(world, "/acknowledge", case=reference).status == 200
    assert agency(world, "/acknowledge", case=reference).status == 409
    assert agency(world, "/answer", case=reference, finding="?", text=WORDS).status == 400
    assert agency(world, "/answer", case=reference, finding="stopped").status == 400
    answered = agency(world, "/answer", case=reference, finding="stopped", text="Đã dừng.")
    assert answered.status == 200
    assert agency(world, "/answer", case=reference, finding="stopped", text=WORDS).status == 409
    assert agency(world).body["cases"] == []
    assert f"request {reference}" in reader.open("/me/notices").text
    page = case_page(world, reader)
    for text in ("Answered", "It has stopped the use", "Đã dừng.", WORDS):
        assert text in page


def test_asking_stands_in_the_record_of_uses(world: World, reader: Browser) -> None:
    ask(world, reader)
    with world.transaction() as services:
        subject = world.subject_in(services, "lan")
        (entry, *_rest) = services.use_log.of_subject(subject)
        assert services.use_log.is_intact(subject)
    assert (entry.use.channel, entry.use.client_id) == (Channel.CASE, "portal")
    assert entry.use.attributes == ("sub",)


def test_the_same_is_asked_once_while_it_waits(world: World, reader: Browser) -> None:
    assert ask(world, reader) == ask(world, reader)
    assert len(agency(world).body["cases"]) == 1


def test_an_agency_proves_who_it_is(world: World, reader: Browser) -> None:
    ask(world, reader)
    for path in ("/agency/cases", "/agency/cases/answer"):
        assert world.client().post(path, data={}).status_code == 401
        assert world.client().post(path, data={"client_id": "portal"}).status_code == 401
        assert world.client().post(path, data={"client_id": "app"}).status_code == 401
        assert world.client().get(path).status_code == 405


@pytest.mark.parametrize("words", ["", "abc", "x" * 2001])
def test_an_objection_needs_words_and_what_was_written_stays(
    world: World, reader: Browser, words: str
) -> None:
    page = reader.open(f"/me/cases/ask?right=object&use={position(world)}")
    page = reader.submit(page.form("/me/cases/ask"), right="object", words=words)
    assert page.status == 422
    assert f">{words}</textarea>" in page.html
    assert agency(world).body["cases"] == []


@pytest.mark.parametrize(
    "query", ["use=999", "use=x", "use=", "agency=nobody", "agency=", "use=-1"]
)
def test_only_what_stands_in_the_record_can_be_asked_about(
    world: World, reader: Browser, query: str
) -> None:
    assert reader.open(f"/me/cases/ask?{query}").status == 404
    # Another's place in the chain is one's own use of that number, or nothing.
    other = world.sign_in("minh")
    assert "Sample service portal" not in other.open(f"/me/cases/ask?use={position(world)}").text


def test_a_case_is_nobody_elses(world: World, reader: Browser) -> None:
    ask(world, reader, "complain", WORDS)
    with world.transaction() as services:
        (case,) = services.cases.of_person(world.subject_in(services, "lan"))
    other = world.sign_in("minh")
    token = other.open("/me/details").form("/me/details").values["csrf_token"]
    assert other.open(f"/me/cases/{case.id}").status == 404
    for what in ("escalate", "close"):
        assert other.post(f"/me/cases/{case.id}/{what}", {"csrf_token": token}).status == 404


# Friday, 6 February 2026, and the days before Tết (16 to 20 February off, 14 and 15 a weekend).
@pytest.mark.parametrize(
    ("right", "sent", "confirmed", "answered"),
    [
        # Two working days: Monday and Tuesday. Ten days end on Monday 16, which is Tết: Monday 23.
        ("explain", datetime(2026, 2, 6, 3, tzinfo=UTC), "2026-02-10", "2026-02-23"),
        # Fifteen days end on Saturday 21, in the holidays: Monday 23.
        ("object", datetime(2026, 2, 6, 3, tzinfo=UTC), "2026-02-10", "2026-02-23"),
        # From Friday before Tết two working days are the Monday and Tuesday after it.
        ("complain", datetime(2026, 2, 13, 3, tzinfo=UTC), "2026-02-24", "2026-03-02"),
    ],
)
def test_the_legal_days_mind_weekends_and_tet(
    world: World, right: str, sent: datetime, confirmed: str, answered: str
) -> None:
    world.clock.set(sent)
    arrival = world.arrive("portal", "openid name")
    arrival.party.userinfo(arrival.tokens().access)
    ask(world, arrival.browser, right, WORDS)
    (told,) = agency(world).body["cases"]
    for name, day in (("acknowledge_by", confirmed), ("answer_by", answered)):
        last = datetime.fromisoformat(told[name]).astimezone(UTC) + timedelta(hours=7, seconds=-1)
        assert last.date().isoformat() == day, name


def test_one_extension_with_a_reason_before_it_is_late(world: World, reader: Browser) -> None:
    reference = ask(world, reader, "object", WORDS)
    before = agency(world).body["cases"][0]["answer_by"]
    assert agency(world, "/extend", case=reference).status == 400
    told = agency(world, "/extend", case=reference, reason="Hồ sơ phức tạp.").body
    assert told["answer_by"] > before
    assert agency(world, "/extend", case=reference, reason="Một lần nữa.").status == 409
    assert "Hồ sơ phức tạp." in case_page(world, reader)
    # Where others have to act as well the law gives more from the beginning, and the extension is left.
    world.tick()
    other = ask(world, reader, "complain", WORDS)
    first = agency(world).body["cases"]
    began = next(one["answer_by"] for one in first if one["case"] == other)
    others = {"case": other, "reason": "Bên xử lý dữ liệu phải ngừng.", "through_others": "true"}
    longer = agency(world, "/extend", **others).body["answer_by"]
    assert agency(world, "/extend", **others).status == 409
    assert "Others have to act as well" in case_page(world, reader)
    longest = agency(world, "/extend", case=other, reason="Hồ sơ phức tạp.").body["answer_by"]
    assert began < longer < longest
    late = ask(world, reader)
    world.tick(days=40)
    assert agency(world, "/extend", case=late, reason="Quá muộn rồi.").status == 409


def test_what_is_late_goes_to_the_authority_which_closes_it(
    world: World, office: Office, reader: Browser
) -> None:
    ask(world, reader)
    with world.transaction() as services:
        (case,) = services.cases.of_person(world.subject_in(services, "lan"))
    assert not reader.open(f"/me/cases/{case.id}").has_form(f"/me/cases/{case.id}/escalate")
    world.tick(days=30)
    lan = world.sign_in("lan")
    page = lan.open(f"/me/cases/{case.id}")
    assert "Late" in page.text
    assert lan.submit(page.form(f"/me/cases/{case.id}/escalate")).status == 200
    minh = world.sign_in("minh", how="passkey")
    assert case.reference in minh.open("/desk/cases").text
    page = minh.open(f"/desk/cases/{case.id}")
    assert minh.submit(page.form(f"/desk/cases/{case.id}"), words="").status == 422
    assert minh.submit(page.form(f"/desk/cases/{case.id}"), words="Đã nhắc cơ quan.").status == 303
    assert minh.submit(page.form(f"/desk/cases/{case.id}"), words="Lần nữa.").status == 404
    assert "Đã nhắc cơ quan." in lan.open(f"/me/cases/{case.id}").text
    # The officer's look is a use.
    with world.transaction() as services:
        entries = services.use_log.of_subject(world.subject_in(services, "lan"))
    assert Channel.STAFF_VIEW in {one.use.channel for one in entries}


def test_what_sen_id_did_is_answered_at_the_desk(world: World, office: Office) -> None:
    lan = world.sign_in("lan")
    page = lan.open(f"/me/cases/ask?right=explain&use={position(world, Channel.ISSUING)}")
    lan.submit(page.form("/me/cases/ask"), right="explain")
    with world.transaction() as services:
        (case,) = services.cases.of_person(world.subject_in(services, "lan"))
    minh = world.sign_in("minh", how="passkey")
    form = minh.open(f"/desk/cases/{case.id}").form(f"/desk/cases/{case.id}")
    assert minh.submit(form, finding="explained", words="Theo Nghị định 69.").status == 303
    assert "Theo Nghị định 69." in lan.open(f"/me/cases/{case.id}").text


def test_who_stands_for_an_organisation_asks_for_it(world: World) -> None:
    mandate = mandate_id(world, "lan")
    arrival = world.arrive("portal", "openid represent organization", acting_for=mandate)
    arrival.party.userinfo(arrival.tokens().access)
    with world.transaction() as services:
        company = services.subjects.find_organisation(TAX_CODE) or ""
        place = services.use_log.of_subject(company, limit=1)[0].position
    page = arrival.browser.open(f"/me/cases/ask?use={place}&of={mandate}")
    assert arrival.browser.submit(page.form("/me/cases/ask"), right="explain").status == 200
    with world.transaction() as services:
        (case,) = services.cases.of_person(company)
        assert case.opened_by == world.subject_in(services, "lan")


def test_a_use_that_was_not_hers_ends_everything(world: World, reader: Browser) -> None:
    tokens = world.arrive("portal", "openid name", browser=reader).tokens()
    page = reader.open(f"/me/uses/{position(world)}/not-me")
    done = reader.submit(page.form(f"/me/uses/{position(world)}/not-me"))
    assert "Everything has ended" in done.text
    assert reader.open("/me").status == 303
    assert not world.party("portal").is_alive(tokens.access)
    # What Sen ID itself did comes from no sign-in.
    lan = world.sign_in("lan", how="passkey")
    assert lan.open(f"/me/uses/{position(world, Channel.ISSUING)}/not-me").status == 404
    assert "A use of your data" in lan.open("/me/incidents").text


def test_asking_has_a_limit(world: World, reader: Browser) -> None:
    statuses = []
    for _ in range(21):
        page = reader.open(f"/me/cases/ask?use={position(world)}")
        statuses.append(reader.submit(page.form("/me/cases/ask"), right="explain").status)
    assert statuses == [200] * 20 + [429]
