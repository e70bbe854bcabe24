"""The next step of a sign-in: one pure function over the facts, an ordered list of named checks.

Steps never lead to one another; each returns to ``/authorize``, which asks here again.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from accounts.attributes import SENSITIVE
from accounts.levels import (
    BIOMETRIC,
    KNOWN,
    AuthenticationLevel,
    AuthenticationMethod,
    Strength,
    strengths_wanted,
)
from accounts.sessions import BrowserSession
from consent.decisions import Consent
from idp.oidc.request import AuthorizationRequest


@dataclass(frozen=True)
class SignIn:
    """The person has to authenticate; ``reason`` is sign-in, reauthentication, step-up,
    step-up-key where only a key that a biometric unlocks will do, or step-up-passkey.
    """

    reason: str


@dataclass(frozen=True)
class ProveMore:
    """The person, signed in at level 2 or above, has to prove this as well: one of ``STEPS``."""

    what: AuthenticationMethod


@dataclass(frozen=True)
class ChooseActing:
    """The person has to say in whose name she acts."""


@dataclass(frozen=True)
class AskConsent:
    """The person has to decide what the relying party may see."""


@dataclass(frozen=True)
class Respond:
    """Everything is there: answer with a code standing on this consent."""

    consent: Consent


@dataclass(frozen=True)
class Refuse:
    """Answer with an OAuth error."""

    error: str
    description: str = ""


Step = SignIn | ProveMore | ChooseActing | AskConsent | Respond | Refuse


@dataclass(frozen=True)
class Facts:
    """All that the decision rests on.

    ``sub`` is how this relying party knows the person who is signed in; ``mandates`` how many others
    she may act for here, ``mandate_level`` the authentication level that the
    chosen one demands; ``consent`` one that covers all that is asked; ``decided_consent_id`` the one
    given in this interaction; ``reachable`` the strongest that her ways to sign in can prove together
    with the ``steps`` she can take; ``is_step_ended`` when she declined these, or they failed for good.
    """

    request: AuthorizationRequest
    now: datetime
    session: BrowserSession | None = None
    sub: str | None = None
    started_at: datetime | None = None
    step_up_at: datetime | None = None
    reachable: Strength | None = None
    steps: frozenset[AuthenticationMethod] = frozenset()
    is_step_ended: bool = False
    mandates: int = 0
    acting_chosen: bool = False
    mandate_level: int | None = None
    consent: Consent | None = None
    decided_consent_id: str | None = None

    @property
    def is_silent(self) -> bool:
        """True when no page may be shown (OIDC Core §3.1.2.1, prompt=none)."""
        return "none" in self.request.prompt

    @property
    def is_fresh(self) -> bool:
        """True when the person authenticated for this very request."""
        return (
            self.session is not None
            and self.started_at is not None
            and self.session.authenticated_at >= self.started_at
        )


def next_step(facts: Facts) -> Step:
    """Return what has to happen next; the first check that objects decides."""
    for check in _CHECKS:
        step = check(facts)
        if step is not None:
            return step
    return Refuse("server_error")


def _somebody_is_signed_in(facts: Facts) -> Step | None:
    if facts.session is None:
        return _ask(facts, "sign-in")
    return None


def _authentication_is_as_recent_as_asked(facts: Facts) -> Step | None:
    assert facts.session is not None  # noqa: S101 - the check before this one
    request = facts.request
    age = facts.now - facts.session.authenticated_at
    is_too_old = request.max_age is not None and age > timedelta(seconds=request.max_age)
    must_repeat = bool({"login", "select_account"}.intersection(request.prompt))
    # max_age=0 is the same wish as prompt=login, however quickly the clock is read again.
    must_repeat = must_repeat or request.max_age == 0
    if (is_too_old or must_repeat) and not facts.is_fresh:
        return _ask(facts, "reauthentication")
    return None


def _it_is_the_person_asked_for(facts: Facts) -> Step | None:
    hinted = facts.request.hinted_sub
    if hinted is None or hinted == facts.sub:
        return None
    if facts.is_fresh:
        return Refuse("login_required", "another person signed in than the one asked for")
    return _ask(facts, "reauthentication")


def _level_is_as_high_as_asked(facts: Facts) -> Step | None:
    assert facts.session is not None  # noqa: S101 - the first check
    request = facts.request
    wanted = strengths_wanted(request.acr_values)
    if request.acr_values and not wanted:
        # Values nobody here knows: an essential one cannot be met, a voluntary one is a wish.
        return _unmet() if request.acr_is_essential else None
    if not wanted or any(facts.session.strength.meets(needed) for needed in wanted):
        return None
    if facts.is_silent:
        return Refuse("login_required") if request.acr_is_essential else None
    missing = _missing_step(facts, wanted)
    if missing is None and request.acr_is_essential:
        return _unmet()
    return missing


def _missing_step(facts: Facts, wanted: list[Strength]) -> Step | None:
    """Return the one step that is missing to the least of what will do; None when there is no way.

    What signs in comes before what is added to it, since signing in anew would void that. The password
    comes before the face, and the face before the card: the lightest first.
    """
    session, reachable = facts.session, facts.reachable
    assert session is not None  # noqa: S101 - the first check
    within = [one for one in wanted if reachable is not None and reachable.meets(one)]
    if not within:
        return None
    needed = min(within, key=lambda one: one.level)
    tried = facts.step_up_at is not None and session.authenticated_at >= facts.step_up_at
    below = min(needed.level, AuthenticationLevel.LEVEL_2)
    if not session.strength.meets(needed._replace(level=below)):
        return None if tried else SignIn("step-up")
    return _missing_addition(facts, session, needed, tried=tried)


def _missing_addition(
    facts: Facts, session: BrowserSession, needed: Strength, *, tried: bool
) -> Step | None:
    proved, is_highest = set(session.methods), needed.level is AuthenticationLevel.LEVEL_4
    if is_highest and session.is_approved_elsewhere:
        return SignIn("step-up-passkey")
    if facts.is_step_ended:
        return None
    if is_highest and not proved & KNOWN:
        return _prove(facts, AuthenticationMethod.KNOWN_SECRET)
    if not proved & BIOMETRIC:
        by_face = _prove(facts, AuthenticationMethod.FACE)
        return by_face or (None if tried else SignIn("step-up-key"))
    return _prove(facts, AuthenticationMethod.CHIP)


def _prove(facts: Facts, what: AuthenticationMethod) -> Step | None:
    return ProveMore(what) if what in facts.steps else None


def _sensitive_data_is_not_opened_from_afar(facts: Facts) -> Step | None:
    assert facts.session is not None  # noqa: S101 - the first check
    # A code can be shown on from a false page (docs/decisions/0018).
    if not facts.session.is_approved_elsewhere:
        return None
    if SENSITIVE.isdisjoint(facts.request.optional):
        return None
    return Refuse("login_required") if facts.is_silent else SignIn("step-up-passkey")


def _it_is_known_in_whose_name(facts: Facts) -> Step | None:
    if facts.mandates == 0 or facts.acting_chosen:
        return None
    if facts.is_silent:
        return Refuse("interaction_required", "whom the person acts for has to be chosen")
    return ChooseActing()


def _level_is_as_high_as_the_mandate_demands(facts: Facts) -> Step | None:
    assert facts.session is not None  # noqa: S101 - the first check
    if facts.mandate_level is None or facts.session.level >= facts.mandate_level:
        return None
    # Asked for as often as it takes: with less she goes on as herself, if she likes.
    untried = replace(facts, step_up_at=None)
    level = AuthenticationLevel(facts.mandate_level)
    return _missing_step(untried, [Strength(level)]) or _unmet()


def _the_person_agrees(facts: Facts) -> Step | None:
    if "consent" in facts.request.prompt and not facts.decided_consent_id:
        return AskConsent()
    if facts.consent is not None:
        return Respond(facts.consent)
    return Refuse("consent_required") if facts.is_silent else AskConsent()


_CHECKS: tuple[Callable[[Facts], Step | None], ...] = (
    _somebody_is_signed_in,
    _authentication_is_as_recent_as_asked,
    _it_is_the_person_asked_for,
    _level_is_as_high_as_asked,
    _sensitive_data_is_not_opened_from_afar,
    _it_is_known_in_whose_name,
    _level_is_as_high_as_the_mandate_demands,
    _the_person_agrees,
)


def _ask(facts: Facts, reason: str) -> Step:
    return Refuse("login_required") if facts.is_silent else SignIn(reason)


def _unmet() -> Refuse:
    # OpenID Connect Core Error Code unmet_authentication_requirements 1.0.
    return Refuse("unmet_authentication_requirements")
