"""What people are told of uses: once, as they chose, and nothing that would slow a release down."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from accounts.legal_clock import HANOI
from accounts.notice_choices import Choices, Topic, Where
from accounts.notices import By, Notice, NoticeKind
from consent.data_use import Channel
from idp import consent_care, delivery, following, use_notices
from idp.following import follow
from idp.ledger import Keeper
from idp.retention import purge
from tests.support.at_once import at_once
from tests.support.browser import Browser
from tests.support.stores import on_one_database
from tests.support.world import Arrival, World

ABOUT_USES = {
    NoticeKind.FIRST_USE, NoticeKind.NEW_DATA, NoticeKind.UNUSUAL_USE, NoticeKind.DIGEST,
    NoticeKind.WITHDRAWAL_MOVED,
}  # fmt: skip


@pytest.fixture
def keeper(world: World) -> Iterator[Keeper]:
    """Everything before is followed; it is ten in the morning."""
    made = Keeper()
    at(world, 10)
    made(world.installation)
    follow(world.installation)
    yield made
    made.close()


def at(world: World, hour: int, days: int = 1) -> datetime:
    """Go on to the hour of a later day in Viet Nam."""
    assert world.clock is not None
    then = (world.clock() + timedelta(days=days)).astimezone(HANOI).replace(hour=hour, minute=1)
    world.clock.set(then)
    return then


def told(world: World, keeper: Keeper, login: str = "lan") -> list[Notice]:
    """Have everything published and followed; return what she was told of uses, oldest first."""
    keeper(world.installation)
    follow(world.installation)
    with world.transaction() as services:
        found = services.notices.of_subject(world.subject_in(services, login))
    return [one for one in reversed(found) if one.kind in ABOUT_USES]


def kinds(found: list[Notice]) -> list[str]:
    return [one.kind.value for one in found]


def of_kind(found: list[Notice], kind: NoticeKind) -> list[Notice]:
    return [one for one in found if one.kind is kind]


def read(arrival: Arrival, times: int = 1) -> None:
    for _ in range(times):
        arrival.party.userinfo(arrival.tokens().access)


def test_a_first_use_and_new_data_are_told_once(world: World, keeper: Keeper) -> None:
    read(world.arrive("portal", "openid name birth"), 3)
    first = told(world, keeper)
    assert [(one.kind, one.facts["client_id"], one.by) for one in first] == [
        (NoticeKind.FIRST_USE, "portal", None)
    ]
    # Two servers at once, and again: nothing twice.
    read(world.arrive("clinic", "openid email", browser=world.browser()))
    keeper(world.installation)
    assert sum(at_once(*[partial(follow, world.installation)] * 2)) > 0
    assert kinds(told(world, keeper)) == ["first-use", "first-use"]
    at(world, 11)
    read(world.arrive("portal", "openid name email", browser=world.browser()))
    newest = told(world, keeper)[-1]
    assert newest.kind is NoticeKind.NEW_DATA
    assert "email" in newest.facts["attributes"].split()
    page = world.sign_in("lan").open("/me/notices").text
    assert "Sample service portal read data that it had not read before: E-mail" in page


def test_a_follower_that_dies_tells_nothing_twice_and_loses_nothing(
    world: World, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    read(world.arrive("portal", "openid name"))
    keeper(world.installation)
    tell = use_notices.tell

    def die(*arguments: Any) -> None:
        tell(*arguments)
        raise OSError("the machine is gone")

    monkeypatch.setattr(following.use_notices, "tell", die)
    with pytest.raises(OSError, match="gone"):
        follow(world.installation)
    monkeypatch.undo()
    assert kinds(told(world, keeper)) == ["first-use"]


@on_one_database
def test_old_uses_are_counted_and_told_to_nobody(world: World, keeper: Keeper) -> None:
    read(world.arrive("portal", "openid name"))
    at(world, 10, days=3)
    assert told(world, keeper) == []
    read(world.arrive("portal", "openid name", browser=world.browser()))
    assert told(world, keeper) == []


@on_one_database
def test_many_uses_and_uses_at_night_are_unusual_once_a_day(world: World, keeper: Keeper) -> None:
    arrival = world.arrive("portal", "openid name offline_access")
    read(arrival, 18)
    assert kinds(told(world, keeper)) == ["first-use"]
    read(arrival, 30)
    (unusual,) = of_kind(told(world, keeper), NoticeKind.UNUSUAL_USE)
    assert (unusual.facts["why"], unusual.by) == ("burst", By.EMAIL)
    at(world, 3, days=2)
    refreshed = arrival.party.refresh(arrival.tokens().refresh)
    arrival.party.userinfo(refreshed.body["access_token"])
    unusual = of_kind(told(world, keeper), NoticeKind.UNUSUAL_USE)[-1]
    assert unusual.facts["why"] == "night"
    # Who signs in at night is not surprised by it.
    read(world.arrive("clinic", "openid email", browser=world.browser()))
    assert sorted(kinds(told(world, keeper))) == [*["first-use"] * 2, *["unusual-use"] * 2]


def register(world: World, client_id: str, **members: Any) -> None:
    with world.transaction() as services:
        services.registrations.register({**world.cast.relying_parties[client_id], **members})


def details(**members: Any) -> str:
    return json.dumps([{"type": "vn_personal_data_use", "purpose": "public-service",
                        "attributes": ["birthdate"], **members}])  # fmt: skip


def test_a_country_is_told_once_and_before_she_agrees(world: World, keeper: Keeper) -> None:
    types = ["vn_personal_data_use"]
    register(world, "clinic", country="FR")
    register(world, "tax", country="SG")
    register(world, "portal", authorization_details_types=types)
    browser = world.browser()
    attempt = world.party("clinic").begin("openid email")
    page = browser.follow(
        world.sign_in_on(browser, browser.visit(attempt.url), world.person(), "password")
    )
    assert "It is established abroad, and your data go there: France." in page.text
    browser.open("/language/vi?next=/me")
    page = browser.visit(attempt.url)
    assert "đặt ở nước ngoài và dữ liệu của bạn được chuyển đến đó: Pháp." in page.text
    read(world.arrive("clinic", "openid email", browser=world.browser()), 3)
    found = told(world, keeper)
    assert sorted(kinds(found)) == ["first-use", "unusual-use"]
    (unusual,) = of_kind(found, NoticeKind.UNUSUAL_USE)
    assert (unusual.facts["why"], unusual.facts["countries"]) == ("abroad", "FR")
    # At home nothing is told of it, until the data go on to somebody abroad; each country once.
    for more in ({}, {"recipients": ["tax"]}, {"recipients": ["tax", "clinic"]}):
        at(world, 11)
        read(
            world.arrive(
                "portal", "openid name", browser=world.browser(),
                authorization_details=details(**more),
            )
        )  # fmt: skip
    abroad = of_kind(told(world, keeper), NoticeKind.UNUSUAL_USE)[1:]
    assert sorted((one.facts["client_id"], one.facts["countries"]) for one in abroad) == [
        ("portal", "FR"), ("portal", "SG"),
    ]  # fmt: skip
    lan = world.sign_in("lan")
    text = lan.open("/me/notices").text
    assert "used data in an unusual way: your data go abroad: Singapore" in text
    lan.open("/language/vi?next=/me")
    assert "dữ liệu của bạn được chuyển ra nước ngoài: Singapore" in lan.open("/me/notices").text
    assert world.clock is not None
    world.clock.set((world.clock().replace(day=1) + timedelta(days=32)).replace(day=1, hour=9))
    assert use_notices.tell_months(world.installation) == 1
    (digest,) = of_kind(told(world, keeper), NoticeKind.DIGEST)
    assert (digest.facts["agencies"], digest.facts["abroad"]) == ("2", "1")
    assert "trong đó 1 ở nước ngoài" in world.sign_in("lan", browser=lan).open("/me/notices").text


@on_one_database
def test_a_transfer_that_an_agency_reports_is_told_whoever_got_it(
    world: World, keeper: Keeper
) -> None:
    read(world.arrive("portal", "openid name"))
    with world.transaction() as services:
        log = services.use_log
        release = log.of_subject(world.subject_in(services, "lan"), limit=1)[0].use
        for action, recipient in (("share", "tax"), ("transfer", "some-clinic-abroad")):
            log.record(
                replace(
                    release,
                    channel=Channel.RP_REPORTED,
                    detail={
                        "action": action,
                        "recipient": recipient,
                        "actor": "a",
                        "cites": "f" * 32,
                        "done_at": world.installation.clock().isoformat(),
                    },
                )
            )
    (unusual,) = of_kind(told(world, keeper), NoticeKind.UNUSUAL_USE)
    assert (unusual.facts["why"], unusual.facts["countries"]) == ("abroad", "ZZ")
    assert "your data go abroad: Unknown Region" in world.sign_in("lan").open("/me/notices").text


@on_one_database
def test_an_agency_that_owes_a_case_and_names_none_is_told(world: World, keeper: Keeper) -> None:
    types = ["vn_personal_data_use"]
    register(
        world, "portal", authorization_details_types=types, case_reference_expected=True
    )  # fmt: skip
    stated = details(case_reference="H26-1")
    read(world.arrive("portal", "openid name", authorization_details=stated))
    assert kinds(told(world, keeper)) == ["first-use"]
    at(world, 11)
    for _ in range(2):
        read(world.arrive("portal", "openid name", browser=world.browser()), 2)
    (unusual,) = of_kind(told(world, keeper), NoticeKind.UNUSUAL_USE)
    assert (unusual.facts["why"], unusual.by) == ("no-case", By.EMAIL)
    text = world.sign_in("lan").open("/me/notices").text
    assert "without the number of a case, which it should state" in text
    # Whoever never said that it has cases is told of by nothing.
    read(world.arrive("clinic", "openid email", browser=world.browser()))
    assert len(of_kind(told(world, keeper), NoticeKind.UNUSUAL_USE)) == 1


@on_one_database
def test_the_month_is_told_once_it_is_over(world: World, keeper: Keeper) -> None:
    at(world, 10)
    begin = world.clock() if world.clock else None
    assert begin is not None
    read(world.arrive("portal", "openid name"), 2)
    keeper(world.installation)
    follow(world.installation)
    assert use_notices.tell_months(world.installation) == 0
    assert world.clock is not None
    next_month = (begin.replace(day=1) + timedelta(days=32)).replace(day=1)
    # Nobody is woken.
    world.clock.set(next_month.replace(hour=6))
    assert use_notices.tell_months(world.installation) == 0
    world.clock.set(next_month.replace(hour=9))
    assert use_notices.tell_months(world.installation) == 1
    assert use_notices.tell_months(world.installation) == 0
    (digest,) = of_kind(told(world, keeper), NoticeKind.DIGEST)
    assert digest.facts == {
        "month": begin.strftime("%Y-%m"), "agencies": "1", "uses": "2",
    }  # fmt: skip


@on_one_database
def test_she_chooses_what_and_where(world: World, keeper: Keeper) -> None:
    lan = world.sign_in("lan")
    form = lan.open("/me/notices/choices").form("/me/notices/choices")
    assert lan.submit(form, **{"first-use": "nonsense"}).status == 400
    page = lan.submit(form, **{"first-use": "nowhere", "new-data": "text-message"})
    assert "Saved." in page.text
    read(world.arrive("portal", "openid name"))
    assert told(world, keeper) == []
    at(world, 10)
    read(world.arrive("portal", "openid email", browser=world.browser()))
    (new,) = told(world, keeper)
    assert (new.by, new.address) == (By.TEXT_MESSAGE, "+84900000001")
    # What she chose, and what is remembered for it, is hers to read, and goes with the rest.
    with world.transaction() as services:
        from idp.personal_record import PersonalRecord  # noqa: PLC0415

        facts = PersonalRecord(services, world.subject_in(services, "lan")).facts()
    assert facts["notice_choices"][0]["topics"]["first-use"] == "nowhere"
    assert [one["client_id"] for one in facts["agencies_seen"]] == ["portal"]
    world.tick(days=366 * 6)
    assert purge(world.installation)["agencies seen"] >= 1


@on_one_database
def test_a_withdrawals_steps_are_told(world: World, keeper: Keeper) -> None:
    for party in ("portal", "clinic"):
        world.arrive(party, "openid email", browser=world.browser()).tokens()
    lan = world.sign_in("lan")
    for _ in range(2):
        page = lan.open("/me/consents")
        form = next(one for one in page.forms if one.action.endswith("/withdraw"))
        lan.submit(form)
    (waiting,) = world.party("portal").ask("/agency/withdrawals", {}).body["withdrawals"]
    stopped = {"consent": waiting["consent"]}
    assert world.party("portal").ask("/agency/withdrawals/confirm", stopped).status == 200
    world.tick(days=40)
    assert consent_care.care(world.installation) == 1
    assert consent_care.care(world.installation) == 0
    steps = of_kind(told(world, keeper), NoticeKind.WITHDRAWAL_MOVED)
    assert [(one.facts["client_id"], one.facts["what"]) for one in steps] == [
        ("portal", "stopped"), ("clinic", "late"),
    ]  # fmt: skip
    assert "it has not confirmed it by the legal day" in world.sign_in().open("/me/notices").text


class Messenger:
    """Takes messages."""

    def __init__(self) -> None:
        self.taken: list[Any] = []

    def send(self, message: Any) -> None:
        self.taken.append(message)


@on_one_database
def test_discreet_mode_says_nothing_and_lets_her_leave(world: World, keeper: Keeper) -> None:
    messenger = Messenger()
    world.installation.messengers = {By.EMAIL: messenger, By.TEXT_MESSAGE: messenger}  # type: ignore[dict-item]
    lan: Browser = world.sign_in("lan")
    assert not lan.open("/me/uses").has_form("/me/leave")
    assert "<title>Uses of your data - Sen ID</title>" in lan.open("/me/uses").html
    with world.transaction() as services:
        services.notice_choices.choose(
            world.subject_in(services, "lan"),
            Choices(dict.fromkeys(Topic, Where.EMAIL), is_discreet=True),
        )
    read(world.arrive("portal", "openid name"))
    assert kinds(told(world, keeper)) == ["first-use"]
    delivery.deliver(world.installation)
    assert messenger.taken
    for message in messenger.taken:
        # In her own language, which her account tells.
        assert message.subject == "Thông báo mới"
        assert message.text == f"Bạn có thông báo mới. {world.issuer}/me/notices"
    page = lan.open("/me/uses")
    assert "<title>Sen ID</title>" in page.html
    gone = lan.submit(page.form("/me/leave"))
    assert gone.headers["Refresh"] == f"0; url={world.installation.settings.leave_to}"
    assert gone.headers["Clear-Site-Data"] == '"cache"'
    assert "Sen" not in gone.html
    # While the other page is awaited, browsers ask a page without an icon's address for one.
    assert '<link rel="icon" href="data:,">' in gone.html
    assert "img-src 'self' data:;" in gone.headers["Content-Security-Policy"]
    assert lan.open("/me/uses").location.startswith("/sign-in")
