"""Acting for an organisation: the person stays the subject, and both see it in their logs."""

import json

import pytest

from accounts.mandates import MandateType
from accounts.subject import IdentifierType, check_organisation_number
from consent.data_use import PROVIDER, SubjectRole
from tests.support.browser import Browser
from tests.support.cast import COMPANY, TAX_CODE
from tests.support.world import Arrival, World

SCOPE = "openid name represent organization offline_access"


def mandate_id(world: World) -> str:
    with world.transaction() as services:
        (mandate,) = services.mandates.held_by(world.subject_in(services, "lan"))
    return mandate.id


def company(world: World) -> str:
    with world.transaction() as services:
        found = services.subjects.find(IdentifierType.TAX_CODE, TAX_CODE)
    assert found is not None
    return found


@pytest.fixture
def arrival(world: World) -> Arrival:
    return world.arrive("portal", SCOPE, acting_for=mandate_id(world))


def test_the_answer_tells_who_acts_and_for_whom(world: World, arrival: Arrival) -> None:
    tokens = arrival.tokens()
    told = arrival.party.userinfo(tokens.access).body
    for answer in (tokens.claims, told):
        represents = answer["represents"]
        assert (represents["sub"], represents["name"]) == (TAX_CODE, COMPANY)
        assert represents["mandate_type"] == "legal_rep"
        assert represents["iss"] == world.issuer
    assert told["sub"] == tokens.claims["sub"]
    assert told["name"] == world.person().name
    assert (told["organization_name"], told["tax_code"]) == (COMPANY, TAX_CODE)


def test_the_subject_is_the_same_person_in_either_role(world: World, arrival: Arrival) -> None:
    own = world.arrive("portal", SCOPE, browser=world.browser()).tokens()
    assert own.claims["sub"] == arrival.tokens().claims["sub"]
    assert "represents" not in own.claims


def test_in_her_own_name_nothing_of_the_organisation_is_told(world: World) -> None:
    tokens = world.arrive("portal", SCOPE, acting_for="self").tokens()
    told = world.party("portal").userinfo(tokens.access).body
    assert not {"represents", "organization_name", "tax_code"} & set(told)


def test_the_organisations_own_number_is_told_when_asked_for(world: World) -> None:
    asked = json.dumps({"userinfo": {"organization_eid": {"essential": True}}})
    arrival = world.arrive("portal", SCOPE, acting_for=mandate_id(world), claims=asked)
    told = arrival.party.userinfo(arrival.tokens().access).body
    check_organisation_number(told["organization_eid"])
    own = world.arrive("portal", SCOPE, acting_for="self", claims=asked, browser=world.browser())
    assert "organization_eid" not in own.party.userinfo(own.tokens().access).body


def test_both_logs_have_an_entry_each_about_their_own(world: World, arrival: Arrival) -> None:
    arrival.tokens()
    organisation = company(world)
    with world.transaction() as services:
        person = world.subject_in(services, "lan")
        own = services.use_log.of_subject(person)[0].use
        theirs = services.use_log.of_subject(organisation)[0].use
        assert services.use_log.is_intact(organisation)
    assert (own.other_party, own.subject_role) == (organisation, SubjectRole.PRIMARY)
    assert (theirs.other_party, theirs.subject_role) == (person, SubjectRole.ORGANISATION)
    assert "represents" in theirs.attributes
    assert not {"name", "sub"} & set(theirs.attributes)


@pytest.mark.parametrize(
    ("party", "scope", "person"),
    [("basic", SCOPE, "lan"), ("portal", "openid name", "lan"), ("portal", SCOPE, "minh")],
    ids=["unaware", "not-asked", "no-mandate"],
)
def test_the_choice_is_offered_only_where_it_means_something(
    world: World, party: str, scope: str, person: str
) -> None:
    browser = world.browser()
    page = browser.visit(world.party(party).begin(scope).url)
    page = browser.follow(world.sign_in_on(browser, page, world.person(person), "password"))
    assert page.has_form("/consent")


def acting_page(world: World, browser: Browser) -> object:
    page = browser.visit(world.party("portal").begin(SCOPE).url)
    return browser.follow(world.sign_in_on(browser, page, world.person(), "password"))


@pytest.mark.parametrize("choice", ["", "x", "company", "SELF"])
def test_nobody_can_act_for_whom_she_was_not_offered(world: World, choice: str) -> None:
    browser = world.browser()
    page = browser.visit(world.party("portal").begin(SCOPE).url)
    page = browser.follow(world.sign_in_on(browser, page, world.person(), "password"))
    chosen = company(world) if choice == "company" else choice
    again = browser.submit(page.form("/acting-for"), acting_for=chosen)
    assert again.status == 422
    assert again.has_form("/acting-for")


def test_a_silent_request_cannot_choose(world: World, arrival: Arrival) -> None:
    attempt = arrival.party.begin(SCOPE, prompt="none")
    page = arrival.browser.open(attempt.url)
    assert arrival.party.error_from(attempt, page.location) == "interaction_required"


def test_each_role_has_a_consent_of_its_own(world: World, arrival: Arrival) -> None:
    browser = arrival.browser
    page = browser.visit(arrival.party.begin(SCOPE).url)
    page = browser.follow(browser.submit(page.form("/acting-for"), acting_for="self"))
    assert page.has_form("/consent")


def lose_the_mandate(world: World) -> None:
    organisation = company(world)
    with world.transaction() as services:
        services.mandates.follow_register(MandateType.LEGAL_REP, organisation, set(), "enterprises")
    world.tick()


def test_a_lost_mandate_can_no_longer_be_chosen(world: World) -> None:
    chosen = mandate_id(world)
    browser = world.browser()
    page = browser.visit(world.party("portal").begin(SCOPE).url)
    page = browser.follow(world.sign_in_on(browser, page, world.person(), "password"))
    form = page.form("/acting-for")
    lose_the_mandate(world)
    page = browser.follow(browser.submit(form, acting_for=chosen))
    assert COMPANY not in page.text


@pytest.mark.parametrize("step", ["code", "refresh", "userinfo"])
def test_a_lost_mandate_ends_what_was_granted_upon_it(
    world: World, arrival: Arrival, step: str
) -> None:
    code = arrival.code
    tokens = arrival.tokens() if step != "code" else None
    lose_the_mandate(world)
    match step:
        case "code":
            answer = arrival.party.try_redeem(arrival.attempt, code)
        case "refresh":
            assert tokens is not None
            answer = arrival.party.refresh(tokens.refresh)
        case _:
            assert tokens is not None
            answer = arrival.party.userinfo(tokens.access)
    assert "represents" not in answer.body
    if "id_token" in answer.body:
        claims = arrival.party.verified(answer.body["id_token"]).claims
        assert "represents" not in claims


def test_a_representative_sees_the_organisations_log(world: World, arrival: Arrival) -> None:
    arrival.tokens()
    page = arrival.browser.open(f"/me/uses?of={mandate_id(world)}")
    assert COMPANY in page.text
    assert PROVIDER not in page.text
