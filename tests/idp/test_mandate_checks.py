"""A register's word older than a day is asked for again before anybody acts upon it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from accounts.attributes import Source
from accounts.legal_clock import comes_of_age
from accounts.mandates import MandateType
from connectors.protocol import Answer, Query, Unavailable
from consent.data_use import Channel, SubjectRole, UseEntry
from tests.support.browser import Browser, Page
from tests.support.cast import COMPANY, TAX_CODE
from tests.support.mandates import hold, mandate_id, organisation, state, strong
from tests.support.office import Office
from tests.support.stores import KINDS
from tests.support.world import World

SCOPE = "openid name represent organization"
SINCE = datetime(2026, 11, 20, 3, 4, tzinfo=UTC)


@pytest.fixture(params=KINDS[:1])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Silent:
    """A register that is down, and what it was asked meanwhile."""

    def __init__(self) -> None:
        self.asked: list[Query] = []

    def look_up(self, query: Query, entry: str, now: datetime) -> Answer:
        assert entry
        self.asked.append(query)
        return Unavailable("enterprises", "no-answer", SINCE)


@pytest.fixture
def office(world: World) -> Office:
    made = Office(world)
    made.knows_company(TAX_CODE, COMPANY, "lan")
    return made


def choose(world: World, mandate: str, login: str = "lan") -> tuple[Browser, Page]:
    """Sign in at the portal, a day later, and choose whom to act for."""
    world.tick(hours=25)
    browser = world.browser()
    page = browser.visit(world.party("portal").begin(SCOPE).url)
    page = browser.follow(world.sign_in_on(browser, page, world.person(login), "passkey"))
    form = page.form("/acting-for")
    return browser, browser.follow(browser.submit(form, acting_for=mandate))


def pulls(world: World, subject: str) -> list[UseEntry]:
    with world.transaction() as services:
        entries = services.use_log.of_subject(subject)
        assert services.use_log.is_intact(subject)
    return [one for one in entries if one.use.channel is Channel.CONNECTOR_PULL]


def silence(world: World, source: Source) -> Silent:
    registers: dict[Source, Any] = dict(world.installation.registers)
    registers[source] = silent = Silent()
    world.installation.registers = registers  # type: ignore[assignment]
    return silent


def test_a_confirmed_representative_goes_on_and_the_company_sees_the_asking(
    world: World, office: Office
) -> None:
    mandate = mandate_id(world, "lan")
    _, page = choose(world, mandate)
    assert page.has_form("/consent")
    (entry,) = pulls(world, organisation(world))
    assert entry.use.subject_role is SubjectRole.ORGANISATION
    assert entry.use.other_party == world.subject("lan")
    # Asked just now, it is not asked again.
    browser = world.browser()
    page = browser.visit(world.party("portal").begin(SCOPE).url)
    page = browser.follow(world.sign_in_on(browser, page, world.person(), "passkey"))
    page = browser.follow(browser.submit(page.form("/acting-for"), acting_for=mandate))
    assert page.has_form("/consent")
    assert len(pulls(world, organisation(world))) == 1


def test_who_is_named_no_more_cannot_act_and_those_below_wait(world: World, office: Office) -> None:
    mandate = mandate_id(world, "lan")
    admin = hold(world, strong(world, "lan"), "minh", "org_admin", mandate, services=("*",))
    office.knows_company(TAX_CODE, COMPANY, "nga")
    # Asked about the one on whom his mandate rests, whoever chooses.
    _, page = choose(world, admin, "minh")
    assert page.status == 422
    assert "does not confirm" in page.text
    assert [state(world, one) for one in (mandate, admin)] == ["revoked", "suspended"]
    with world.transaction() as services:
        (head,) = services.mandates.heads_of(services.subjects.find_organisation(TAX_CODE) or "")
        assert head.agent_id == world.subject_in(services, "nga")


def test_a_register_that_is_down_is_named_and_she_goes_on_as_herself(
    world: World, office: Office
) -> None:
    silent = silence(world, Source.ENTERPRISES)
    browser, page = choose(world, mandate_id(world, "lan"))
    assert page.status == 422
    assert "The business registration database has not been available since" in page.text
    assert "20 November 2026" in page.text
    assert silent.asked[0].represented == TAX_CODE
    page = browser.follow(browser.submit(page.form("/acting-for"), acting_for="self"))
    assert page.has_form("/consent")
    assert COMPANY not in page.text
    assert state(world, mandate_id(world, "lan")) == "active"


def test_what_the_register_said_today_needs_no_register(world: World, office: Office) -> None:
    silent = silence(world, Source.ENTERPRISES)
    world.tick(hours=25)
    company = organisation(world)
    with world.transaction() as services:
        people = {world.subject_in(services, "lan")}
        services.mandating.follow_representatives(company, people, "enterprises")
    browser = world.browser()
    page = browser.visit(world.party("portal").begin(SCOPE).url)
    page = browser.follow(world.sign_in_on(browser, page, world.person(), "passkey"))
    chosen = mandate_id(world, "lan")
    page = browser.follow(browser.submit(page.form("/acting-for"), acting_for=chosen))
    assert page.has_form("/consent")
    assert silent.asked == []


@pytest.mark.parametrize(
    ("stated", "becomes", "goes_on"),
    [
        (("lan", "minh"), "active", True),
        (("minh",), "revoked", False),
        ((), "active", False),
    ],
    ids=["still", "another", "nobody"],
)
def test_a_parent_is_asked_about_at_the_population_register(
    world: World, office: Office, stated: tuple[str, ...], becomes: str, *, goes_on: bool
) -> None:
    hoa = world.person("hoa")
    office.knows_citizen(
        {"personal_number": hoa.number, "name": hoa.name, "birthdate": hoa.birthdate},
        parents=[world.person(one).number for one in stated],
    )
    child, parent = world.subject("hoa"), world.subject("lan")
    with world.transaction() as services:
        services.mandates.grant(
            MandateType.PARENT, child, parent, "population", comes_of_age("2016-01-01")
        )
    mandate = mandate_id(world, "lan", "parent")
    _, page = choose(world, mandate)
    assert page.has_form("/consent") is goes_on
    assert state(world, mandate) == becomes
    (entry,) = pulls(world, child)
    assert entry.use.attributes == ("parents",)


def test_what_a_document_proved_is_not_asked_of_a_register(world: World, office: Office) -> None:
    child, parent = world.subject("hoa"), world.subject("lan")
    with world.transaction() as services:
        services.mandates.grant(MandateType.GUARDIAN, child, parent, "document", None)
    _, page = choose(world, mandate_id(world, "lan", "guardian"))
    assert page.has_form("/consent")
    assert pulls(world, child) == []
