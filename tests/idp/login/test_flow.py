"""The next step of a sign-in: a pure function over facts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from accounts.levels import AuthenticationLevel, AuthenticationMethod, Strength
from accounts.sessions import BrowserSession
from consent.decisions import Consent, ConsentState
from idp.login.flow import (
    AskConsent,
    ChooseActing,
    Facts,
    Refuse,
    Respond,
    SignIn,
    next_step,
)
from idp.oidc.request import AuthorizationRequest

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
REQUEST = AuthorizationRequest("portal", "https://portal.example/callback", ("openid",))
SESSION = BrowserSession(
    "s", "a", "p", (AuthenticationMethod.PASSWORD,), AuthenticationLevel.LEVEL_1,
    NOW - timedelta(minutes=5), NOW - timedelta(minutes=5), NOW, "", "",
)  # fmt: skip
CONSENT = Consent(
    "c", "p", None, "portal", "public-service", 1, "consent", frozenset(), frozenset(), False, b"",
    "vi", ConsentState.ACTIVE, NOW, NOW + timedelta(days=1), None, None,
)  # fmt: skip
READY = Facts(REQUEST, NOW, SESSION, sub="sub", consent=CONSENT)
LEVEL_2 = "urn:vn:eid:aal:2"
PASSKEY = Strength(AuthenticationLevel.LEVEL_2, phishing_resistant=True)
CODE = Strength(AuthenticationLevel.LEVEL_2)


def step(facts: Facts = READY, /, request: dict[str, Any] | None = None, **changes: Any) -> object:
    return next_step(replace(facts, request=replace(facts.request, **(request or {})), **changes))


SILENT = {"prompt": ("none",)}
FRESH = {"started_at": SESSION.authenticated_at}


def test_with_session_and_consent_the_answer_is_there() -> None:
    assert step() == Respond(CONSENT)


def test_nobody_signed_in_must_sign_in_or_is_refused_silently() -> None:
    assert step(session=None) == SignIn("sign-in")
    assert step(session=None, request=SILENT) == Refuse("login_required")


@pytest.mark.parametrize(
    "request_", [{"prompt": ("login",)}, {"prompt": ("select_account",)}, {"max_age": 0},
                 {"max_age": 299}],
)  # fmt: skip
def test_what_must_be_repeated_is_repeated_once(request_: dict[str, Any]) -> None:
    assert step(request=request_) == SignIn("reauthentication")
    assert step(request=request_, **FRESH) == Respond(CONSENT)


def test_an_age_that_is_young_enough_serves() -> None:
    assert step(request={"max_age": 300}) == Respond(CONSENT)


def test_another_person_than_hinted_is_asked_to_step_aside() -> None:
    hinted = {"hinted_sub": "other"}
    assert step(request=hinted) == SignIn("reauthentication")
    assert isinstance(step(request=hinted, **FRESH), Refuse)
    assert step(request=hinted | SILENT) == Refuse("login_required")
    assert step(request={"hinted_sub": "sub"}) == Respond(CONSENT)


def test_a_higher_level_is_asked_for_once_where_it_can_be_reached() -> None:
    wish = {"acr_values": (LEVEL_2,)}
    assert step(request=wish, reachable=PASSKEY) == SignIn("step-up")
    assert step(request=wish, reachable=PASSKEY, step_up_at=NOW) == SignIn("step-up")
    tried = {"reachable": PASSKEY, "step_up_at": SESSION.authenticated_at}
    assert step(request=wish, **tried) == Respond(CONSENT)
    assert step(request=wish) == Respond(CONSENT)
    assert step(request=wish | SILENT, reachable=PASSKEY) == Respond(CONSENT)


def test_an_essential_level_is_reached_or_refused() -> None:
    need = {"acr_values": (LEVEL_2,), "acr_is_essential": True}
    unmet = Refuse("unmet_authentication_requirements")
    assert step(request=need, reachable=PASSKEY) == SignIn("step-up")
    assert step(request=need) == unmet
    assert step(request=need, reachable=PASSKEY, step_up_at=SESSION.authenticated_at) == unmet
    assert step(request=need | SILENT, reachable=PASSKEY) == Refuse("login_required")
    beyond = {"acr_values": ("urn:vn:eid:aal:3",), "acr_is_essential": True}
    assert step(request=beyond, reachable=PASSKEY) == unmet


def test_a_code_reaches_level_two_but_not_phishing_resistance() -> None:
    need = {"acr_is_essential": True}
    assert step(request={"acr_values": (LEVEL_2,), **need}, reachable=CODE) == SignIn("step-up")
    unmet = Refuse("unmet_authentication_requirements")
    assert step(request={"acr_values": ("phr",), **need}, reachable=CODE) == unmet
    both = {"acr_values": ("phr", LEVEL_2), **need}
    assert step(request=both, reachable=CODE) == SignIn("step-up")


def test_in_whose_name_is_asked_before_consent() -> None:
    assert step(mandates=1, consent=None) == ChooseActing()
    assert step(mandates=1, acting_chosen=True) == Respond(CONSENT)
    assert isinstance(step(mandates=1, request=SILENT), Refuse)


def test_consent_is_asked_unless_it_covers_and_need_not_be_shown() -> None:
    assert step(consent=None) == AskConsent()
    assert step(consent=None, request=SILENT) == Refuse("consent_required")
    assert step(request={"prompt": ("consent",)}) == AskConsent()
    assert step(request={"prompt": ("consent",)}, decided_consent_id="c") == Respond(CONSENT)
