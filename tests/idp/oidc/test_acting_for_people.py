"""Acting for a child, a ward or another adult: who is told what, and when it ends."""

from datetime import datetime

import pytest

from accounts.attributes import DICTIONARY, Source
from accounts.legal_clock import HANOI, comes_of_age, is_adult
from accounts.mandates import MandateType
from consent.data_use import SubjectRole, content_of
from consent.ledger.canonical import canonical
from tests.support.mandates import hold, mandate_id, press, strong
from tests.support.stores import KINDS
from tests.support.world import Arrival, World

SCOPE = "openid name birth pid contact represent offline_access"
CHILD = ("Nguyễn Bình An", "2016-08-09")


@pytest.fixture(params=KINDS[:1])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def bear(world: World, birthdate: str = CHILD[1], type_: MandateType = MandateType.PARENT) -> str:
    """Let hoa be lan's child, born then; return the mandate."""
    child, parent = world.subject("hoa"), world.subject("lan")
    with world.transaction() as services:
        held = services.held.of_subject(child)[Source.POPULATION].values
        services.held.hold(
            child, Source.POPULATION, {**held, "name": CHILD[0], "birthdate": birthdate}
        )
        end = comes_of_age(birthdate) if type_ is MandateType.PARENT else None
        services.mandates.grant(type_, child, parent, "population", end)
    return mandate_id(world, "lan", type_.value)


def act(world: World, mandate: str, how: str = "passkey", scope: str = SCOPE) -> Arrival:
    return world.arrive("portal", scope, how=how, acting_for=mandate)


def told(arrival: Arrival) -> dict[str, object]:
    answer = arrival.party.userinfo(arrival.tokens().access)
    assert answer.status == 200
    return dict(answer.body)


def test_a_parent_acts_for_a_child_and_stays_the_subject(world: World) -> None:
    mandate = bear(world)
    arrival = act(world, mandate)
    own = world.arrive("portal", SCOPE, how="passkey", acting_for="self").tokens().claims
    answer = told(arrival)
    represents = answer["represents"]
    assert isinstance(represents, dict)
    assert answer["sub"] == own["sub"] != represents["sub"]
    assert answer["name"] == world.person("lan").name
    assert represents["name"] == CHILD[0]
    assert represents["sub_id_type"] == "urn:vn:eid:pairwise"
    assert (represents["mandate_type"], represents["mandate_id"]) == ("parent", mandate)
    assert (represents["scopes"], represents["iss"]) == (["*"], world.issuer)
    # Registers' word is the child's, her own word is the mother's.
    assert represents.get("birthdate") == CHILD[1]
    assert "birthdate" not in answer
    assert "vn_pid" not in answer
    # The child's account has level 01, which is not enough for her number.
    assert "vn_pid" not in represents
    assert answer["email"] == "lan@example.vn"
    assert "email" not in represents


def test_the_childs_own_sub_is_the_one_she_is_represented_by(world: World) -> None:
    represents = told(act(world, bear(world)))["represents"]
    own = world.arrive("portal", "openid name", person="hoa").tokens().claims
    assert isinstance(represents, dict)
    assert own["sub"] == represents["sub"]


def test_the_notice_names_whose_data_is_meant(world: World) -> None:
    mandate, browser = bear(world), world.browser()
    page = browser.visit(world.party("portal").begin(SCOPE).url)
    page = browser.follow(world.sign_in_on(browser, page, world.person(), "passkey"))
    assert "You are this child's parent" in page.text
    page = browser.follow(browser.submit(page.form("/acting-for"), acting_for=mandate))
    assert page.has_form("/consent")
    assert f"Full name ({CHILD[0]}, {world.person().name})" in page.text
    assert f"Date of birth ({CHILD[0]})" in page.text
    assert f"E-mail address ({world.person().name})" in page.text


def test_both_see_it_in_their_own_record(world: World) -> None:
    arrival = act(world, bear(world))
    told(arrival)
    with world.transaction() as services:
        child, parent = (world.subject_in(services, one) for one in ("hoa", "lan"))
        theirs = services.use_log.of_subject(child)[0].use
        own = services.use_log.of_subject(parent)[0].use
        assert services.use_log.is_intact(child)
    assert (theirs.subject_role, theirs.other_party) == (SubjectRole.REPRESENTED, parent)
    assert (own.subject_role, own.other_party) == (SubjectRole.PRIMARY, child)
    assert "email" not in theirs.attributes
    page = world.sign_in("hoa").open("/me/uses")
    assert "Represented by" in page.text
    assert world.person().name in page.text
    assert f"of={mandate_id(world, 'lan')}" in world.sign_in("lan").open("/me/uses").html


def test_an_entry_of_who_is_acted_for_names_nobody_who_acts(world: World) -> None:
    arrival = act(world, bear(world))
    answer = told(arrival)
    mother = world.person("lan")
    with world.transaction() as services:
        child, parent = (world.subject_in(services, one) for one in ("hoa", "lan"))
        account = services.accounts.find_of_subject(parent)
        (entry, *_) = services.use_log.of_subject(child)
    assert entry.use.subject_role is SubjectRole.REPRESENTED
    bound = canonical(content_of(entry.id, entry.position, entry.at, entry.use)).decode()
    assert account is not None
    assert f'"{child}"' in bound
    named = (mother.name, mother.number, f'"{mother.login}"', account.id, str(answer["sub"]))
    assert [word for word in named if not word or word in bound] == []


def test_who_is_acted_for_sees_and_withdraws_what_was_agreed_for_her(world: World) -> None:
    arrival = act(world, bear(world))
    access = arrival.tokens().access
    child = world.sign_in("hoa")
    page = child.open("/me/consents")
    assert "Given for you by" in page.text
    with world.transaction() as services:
        (given,) = services.consents.of_subject(world.subject_in(services, "hoa"))
    assert child.submit(page.form(f"/me/consents/{given.id}/withdraw")).status == 200
    assert arrival.party.userinfo(access).status == 401


@pytest.mark.parametrize("when", ["before-consent", "before-redeeming"])
def test_a_mandate_narrowed_on_the_way_reaches_no_further(world: World, when: str) -> None:
    proxy = hold(world, strong(world, "minh"), "lan", services=("public-service", "banking"))
    minh = strong(world, "minh")
    form = minh.open(f"/me/mandates/{proxy}").form(f"/me/mandates/{proxy}/narrow")
    browser, party = world.browser(), world.party("portal")
    attempt = party.begin(SCOPE)
    page = browser.visit(attempt.url)
    page = browser.follow(world.sign_in_on(browser, page, world.person(), "passkey"))
    page = browser.follow(browser.submit(page.form("/acting-for"), acting_for=proxy))
    if when == "before-consent":
        assert minh.submit(form, services=["banking"]).status == 200
        page = browser.follow(browser.submit(page.form("/consent"), "consent-allow"))
        assert page.has_form("/acting-for") or page.has_form("/consent")
        assert world.person("minh").name not in page.text
        return
    page = browser.follow(browser.submit(page.form("/consent"), "consent-allow"))
    assert minh.submit(form, services=["banking"]).status == 200
    answer = party.try_redeem(attempt, party.code_from(attempt, page.location))
    assert answer.body["error"] == "invalid_grant"


def test_from_14_the_childs_record_is_her_own(world: World) -> None:
    mandate = bear(world, "2011-01-01")
    assert f"of={mandate}" not in world.sign_in("lan").open("/me/uses").html


@pytest.mark.parametrize(
    ("born", "day"),
    [("2009-05-20", datetime(2027, 5, 20, tzinfo=HANOI)),
     ("2009", datetime(2027, 1, 1, tzinfo=HANOI))],
)  # fmt: skip
def test_at_18_it_ends_at_midnight_in_hanoi_with_every_token(
    world: World, born: str, day: datetime
) -> None:
    assert world.clock is not None
    mandate = bear(world, born)
    world.clock.set(day.replace(tzinfo=HANOI).astimezone())
    world.tick(minutes=-5)
    arrival = act(world, mandate)
    access = arrival.tokens().access
    assert arrival.party.userinfo(access).status == 200
    world.tick(minutes=5)
    assert arrival.party.userinfo(access).status == 401
    assert arrival.party.refresh(arrival.tokens().refresh).status == 400
    browser = world.browser()
    page = browser.visit(world.party("portal").begin(SCOPE).url)
    page = browser.follow(world.sign_in_on(browser, page, world.person(), "passkey"))
    assert mandate not in page.html


def test_an_adult_for_certain_is_one_from_the_last_day_that_can_be() -> None:
    assert not is_adult("2009", datetime(2027, 6, 1, tzinfo=HANOI))
    assert is_adult("2009", datetime(2027, 12, 31, tzinfo=HANOI))
    assert not is_adult("2009-02", datetime(2027, 2, 27, tzinfo=HANOI))
    assert is_adult("2009-02", datetime(2027, 2, 28, tzinfo=HANOI))
    assert not is_adult("someday", datetime(2027, 2, 28, tzinfo=HANOI))


def test_a_proxy_is_offered_only_for_the_services_it_reaches(world: World) -> None:
    proxy = hold(world, strong(world, "minh"), "lan", services=("banking",))
    browser = world.browser()
    page = browser.visit(world.party("portal").begin(SCOPE).url)
    page = browser.follow(world.sign_in_on(browser, page, world.person(), "passkey"))
    assert proxy not in page.html
    other = hold(world, strong(world, "minh"), "lan", amount_limit="1000")
    answer = told(act(world, other))
    represents = answer["represents"]
    assert isinstance(represents, dict)
    assert represents["mandate_type"] == "proxy"
    assert represents["scopes"] == ["public-service"]
    assert represents["constraints"] == {"amount_limit": {"value": 1000, "currency": "VND"}}
    assert represents["vn_pid"] == world.person("minh").number


def test_narrowing_or_revoking_ends_the_tokens_at_once(world: World) -> None:
    proxy = hold(world, strong(world, "minh"), "lan", services=("public-service", "banking"))
    minh = strong(world, "minh")
    for what in ("narrow", "revoke"):
        arrival = act(world, proxy)
        access = arrival.tokens().access
        if what == "narrow":
            form = minh.open(f"/me/mandates/{proxy}").form(f"/me/mandates/{proxy}/narrow")
            assert minh.submit(form, services=["public-service"]).status == 200
        else:
            press(minh, proxy, "revoke")
        assert arrival.party.userinfo(access).status == 401
        assert arrival.party.refresh(arrival.tokens().refresh).status == 400


def test_a_mandate_for_passkeys_asks_for_one(world: World) -> None:
    proxy = hold(world, strong(world, "minh"), "lan", passkey_only="yes")
    browser = world.browser()
    page = browser.visit(world.party("portal").begin(SCOPE).url)
    page = browser.follow(world.sign_in_on(browser, page, world.person(), "password"))
    page = browser.follow(browser.submit(page.form("/acting-for"), acting_for=proxy))
    assert page.path == "/sign-in"
    # A password is not enough, however often; the passkey is.
    page = browser.follow(world.sign_in_on(browser, page, world.person(), "password"))
    assert page.path == "/sign-in"
    page = browser.follow(world.sign_in_on(browser, page, world.person(), "passkey"))
    assert page.has_form("/consent")


def test_without_level_02_of_her_own_nobody_acts_for_others(world: World) -> None:
    bear(world)
    with world.transaction() as services:
        services.mandates.grant(
            MandateType.GUARDIAN, world.subject_in(services, "minh"),
            world.subject_in(services, "hoa"), "document", None,
        )  # fmt: skip
    browser = world.browser()
    page = browser.visit(world.party("portal").begin(SCOPE).url)
    page = browser.follow(world.sign_in_on(browser, page, world.person("hoa"), "password"))
    assert page.has_form("/consent")


@pytest.mark.parametrize(
    ("born", "type_", "is_told"),
    [
        ("2021-03-01", MandateType.PARENT, True),
        ("2018-03-01", MandateType.PARENT, False),
        ("1980-03-01", MandateType.GUARDIAN, True),
    ],
)
def test_a_childs_private_life_needs_her_own_word_from_7(
    world: World, monkeypatch: pytest.MonkeyPatch, born: str, type_: MandateType, *, is_told: bool
) -> None:
    import dataclasses  # noqa: PLC0415

    row = dataclasses.replace(DICTIONARY["gender"], sensitive=True)
    monkeypatch.setitem(DICTIONARY, "gender", row)
    mandate = bear(world, born, type_)
    with world.transaction() as services:
        child = world.subject_in(services, "hoa")
        held = services.held.of_subject(child)[Source.POPULATION].values
        services.held.hold(child, Source.POPULATION, {**held, "gender": "female"})
    arrival = world.arrive(
        "portal", "openid name birth represent", how="passkey", acting_for=mandate,
    )  # fmt: skip
    represents = told(arrival)["represents"]
    assert isinstance(represents, dict)
    assert ("gender" in represents) is is_told
    with world.transaction() as services:
        (given,) = services.consents.of_subject(child)
        notice = services.consents.notice_text(given.notice_hash) or ""
    # The notice said so beforehand.
    assert ("Not given on the word of somebody else" in notice) is not is_told
