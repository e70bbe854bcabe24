"""Consent cannot be stretched, repeated or outlived (security cases CS)."""

import pytest

from consent.decisions import ConsentState
from tests.support.browser import Browser, Page
from tests.support.world import World


def consent_page(world: World, scope: str = "openid name", **changes: str) -> tuple[Browser, Page]:
    browser = world.browser()
    page = browser.visit(world.party().begin(scope, **changes).url)
    page = browser.follow(world.sign_in_on(browser, page, world.person(), "password"))
    assert page.has_form("/consent")
    return browser, page


def consents(world: World) -> list[object]:
    with world.transaction() as services:
        return list(services.consents.of_subject(world.subject_in(services, "lan")))


def test_cs01_nothing_can_be_ticked_that_was_not_asked(world: World) -> None:
    asked = '{"userinfo":{"birthdate":null}}'
    browser, page = consent_page(world, claims=asked)
    refused = browser.submit(
        page.form("/consent"), "consent-allow", optional=["birthdate", "vn_pid"]
    )
    assert 400 <= refused.status < 500
    assert consents(world) == []


def test_cs01_another_browsers_consent_cannot_be_given(world: World) -> None:
    _, page = consent_page(world)
    thief = world.sign_in("minh")
    token = thief.open("/me/details").form("/me/details").values["csrf_token"]
    fields = page.form("/consent").values | {"csrf_token": token, "decision": "allow"}
    assert thief.post("/consent", fields).status == 400
    assert consents(world) == []


@pytest.mark.parametrize(
    "changes",
    [{"notice_hash": "0" * 64}, {"notice_hash": ""}, {"decision": "yes"}, {"decision": ""}],
    ids=str,
)
def test_cs01_only_the_text_that_was_shown_can_be_agreed_to(
    world: World, changes: dict[str, str]
) -> None:
    browser, page = consent_page(world)
    fields = page.form("/consent").values | {"decision": "allow"} | changes
    again = browser.post("/consent", fields)
    assert (again.status, again.has_form("/consent")) == (200, True)
    assert consents(world) == []


def test_cs01_a_scope_smuggled_into_the_form_is_not_granted(world: World) -> None:
    browser, page = consent_page(world)
    form = page.form("/consent")
    browser.submit(form, "consent-allow", scope="openid pid", attributes="vn_pid", claims="{}")
    (given,) = consents(world)
    assert "vn_pid" not in given.attributes  # type: ignore[attr-defined]


def test_cs02_the_same_decision_sent_again_is_one_record(world: World) -> None:
    browser, page = consent_page(world)
    form = page.form("/consent")
    for _ in range(5):
        browser.submit(form, "consent-allow")
    assert len(consents(world)) == 1


def test_cs03_after_withdrawal_nothing_works_and_both_times_are_kept(world: World) -> None:
    arrival = world.arrive("basic", "openid name offline_access")
    tokens = arrival.tokens()
    browser = arrival.browser
    world.tick(minutes=1)
    page = browser.open("/me/consents")
    (form,) = [form for form in page.forms if form.action.endswith("/withdraw")]
    assert browser.submit(form).status == 200
    assert arrival.party.userinfo(tokens.access).status == 401
    assert arrival.party.refresh(tokens.refresh).body["error"] == "invalid_grant"
    assert arrival.party.introspect(tokens.access).body == {"active": False}
    (given,) = consents(world)
    assert given.state is ConsentState.WITHDRAWN  # type: ignore[attr-defined]
    assert (given.ended_at - given.given_at).total_seconds() == 60  # type: ignore[attr-defined]
    attempt = arrival.party.begin("openid name offline_access", prompt="none")
    answer = browser.open(attempt.url)
    assert arrival.party.error_from(attempt, answer.location) == "consent_required"


@pytest.mark.parametrize(
    ("party", "scope", "changes"),
    [
        ("basic", "openid name birth", {}),
        ("basic", "openid name offline_access", {}),
        ("basic", "openid name", {"claims": '{"id_token":{"gender":null}}'}),
        ("clinic", "openid email", {}),
    ],
)
def test_cs04_a_wider_request_is_asked_again(
    world: World, party: str, scope: str, changes: dict[str, str]
) -> None:
    browser = world.arrive("basic", "openid name").browser
    assert browser.visit(world.party(party).begin(scope, **changes).url).has_form("/consent")


def test_cs04_a_changed_purpose_is_asked_again(world: World) -> None:
    browser = world.arrive("basic", "openid name").browser
    with world.transaction() as services:
        services.registrations.register(
            world.cast.relying_parties["basic"] | {"purpose": "banking"}
        )
    assert browser.visit(world.party("basic").begin("openid name").url).has_form("/consent")


def test_a_narrower_decision_narrows_the_grants_of_the_one_before(world: World) -> None:
    asked = '{"userinfo":{"birthdate":null}}'
    first = world.arrive("basic", "openid offline_access", claims=asked, tick=("birthdate",))
    tokens = first.tokens()
    assert "birthdate" in first.party.userinfo(tokens.access).body
    world.arrive(
        "basic", "openid offline_access", browser=first.browser, claims=asked, prompt="consent"
    )
    assert "birthdate" not in first.party.userinfo(tokens.access).body


def test_consent_is_remembered_across_sign_ins(world: World) -> None:
    world.arrive("basic", "openid name")
    browser = world.browser()
    page = browser.visit(world.party("basic").begin("openid name").url)
    page = browser.follow(world.sign_in_on(browser, page, world.person(), "password"))
    assert page.location.startswith("https://basic.example/")


def test_the_text_is_agreed_to_in_the_language_it_was_read_in(world: World) -> None:
    browser, page = consent_page(world)
    browser.open("/language/vi")
    again = browser.submit(page.form("/consent"), "consent-allow")
    assert again.has_form("/consent")
    assert "Đồng ý" in again.text or '<html lang="vi"' in again.html
    assert consents(world) == []
