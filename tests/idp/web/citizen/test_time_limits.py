"""How long a consent lasts is the person's choice, and it goes on only by her own word."""

from datetime import timedelta

import pytest

from accounts.notices import NoticeKind
from consent.decisions import Consent
from idp import consent_care
from tests.support.stores import KINDS
from tests.support.world import Arrival, World


@pytest.fixture(params=KINDS[:1])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def newest(world: World) -> Consent:
    with world.transaction() as services:
        return services.consents.of_subject(world.subject_in(services, "lan"))[0]


def agree(world: World, lasts: str, scope: str = "openid name offline_access") -> Arrival:
    """Let the portal ask, and choose for how long on the consent page itself."""
    party, browser = world.party("portal"), world.browser()
    attempt = party.begin(scope)
    page = browser.visit(attempt.url)
    page = browser.follow(world.sign_in_on(browser, page, world.person("lan"), "password"))
    form = page.form("/consent")
    assert "Only this once: it ends after an hour" in page.text
    page = browser.follow(browser.submit(form, "consent-allow", lasts=lasts))
    return Arrival(party, browser, attempt, page.location)


@pytest.mark.parametrize(
    ("lasts", "days"),
    [("", 365), ("90", 90), ("30", 30), ("365", 365), ("99999", 365), ("-1", 365), ("x", 365)],
)
def test_no_longer_than_she_chose_and_never_longer_than_asked(
    world: World, lasts: str, days: int
) -> None:
    agree(world, lasts)
    given = newest(world)
    assert given.valid_until - given.given_at == timedelta(days=days)


def test_only_this_once_is_over_after_an_hour(world: World) -> None:
    arrival = agree(world, "once")
    tokens = arrival.tokens()
    refresh = arrival.party.refresh(tokens.refresh)
    assert refresh.status == 200
    world.tick(minutes=61)
    assert arrival.party.refresh(refresh.body["refresh_token"]).body["error"] == "invalid_grant"
    page = arrival.browser.visit(world.party("portal").begin("openid name").url)
    page = arrival.browser.follow(
        world.sign_in_on(arrival.browser, page, world.person("lan"), "password")
    )
    assert page.has_form("/consent")


def test_what_was_granted_ends_with_a_shortened_consent(world: World) -> None:
    arrival = agree(world, "")
    tokens = arrival.tokens()
    given = newest(world)
    form = arrival.browser.open("/me/consents").form(f"/me/consents/{given.id}/narrow")
    assert arrival.browser.submit(form, keep=sorted(given.attributes), lasts="1").status == 200
    again = arrival.party.refresh(tokens.refresh)
    assert again.status == 200
    world.tick(days=2)
    assert arrival.party.refresh(again.body["refresh_token"]).body["error"] == "invalid_grant"


def test_she_is_told_before_it_ends_and_renews_it_by_a_text_of_its_own(world: World) -> None:
    arrival = agree(world, "90")
    refresh = arrival.tokens().refresh
    given = newest(world)
    for _ in range(4):
        # A refresh token that nobody uses for 30 days is dead by itself.
        world.tick(days=19)
        refresh = arrival.party.refresh(refresh).body["refresh_token"]
    assert consent_care.care(world.installation) == 1
    assert consent_care.care(world.installation) == 0
    lan = world.sign_in("lan")
    assert "Your consent for Sample service portal ends soon" in lan.open("/me/notices").text
    path = f"/me/consents/{given.id}/renew"
    assert path in lan.open("/me/consents").html
    form = lan.open(path).form(path)
    # Another text than the one that was shown is not agreed to.
    assert lan.submit(form, notice_hash="0" * 64).has_form(path)
    assert newest(world).id == given.id
    page = lan.submit(form, lasts="")
    assert "Renewed." in page.text
    renewed = newest(world)
    assert (renewed.replaces, renewed.attributes) == (given.id, given.attributes)
    assert renewed.valid_until == world.installation.clock() + timedelta(days=365)
    assert renewed.notice_hash != given.notice_hash
    with world.transaction() as services:
        assert "Sample service portal" in (services.consents.notice_text(renewed.notice_hash) or "")
    # The agency reads on, past the day on which it would have ended.
    for _ in range(2):
        world.tick(days=19)
        refresh = arrival.party.refresh(refresh).body["refresh_token"]
    assert world.installation.clock() > given.valid_until
    # Once; and not somebody else's.
    lan = world.sign_in("lan")
    assert lan.open(path).status == 404
    assert lan.open(f"/me/consents/{renewed.id}/renew").status == 404
    assert world.sign_in("minh").open(path).status == 404


def test_a_short_consent_ends_as_was_chosen_and_quietly(world: World) -> None:
    agree(world, "30")
    world.tick(days=20)
    consent_care.care(world.installation)
    with world.transaction() as services:
        told = services.notices.of_subject(world.subject_in(services, "lan"))
    assert NoticeKind.CONSENT_ENDS not in {one.kind for one in told}
