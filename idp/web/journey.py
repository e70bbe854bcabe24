"""What the steps of a sign-in share: taking up the interaction, and returning to ``/authorize``."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import flask

from accounts.levels import AuthenticationMethod
from accounts.second_factors import Held
from idp.login.flow import Step
from idp.login.interaction import Interaction
from idp.oidc.errors import DisplayedError, RedirectedError
from idp.oidc.relying_parties import RelyingParty
from idp.web import context, errors, forms, headers, person

STEP_PAGES = {
    AuthenticationMethod.FACE: "/sign-in/face",
    AuthenticationMethod.CHIP: "/sign-in/card",
    AuthenticationMethod.KNOWN_SECRET: "/sign-in/known",
}
"""Where each step beyond level 2 is taken."""


@dataclass(frozen=True)
class Journey:
    """An interaction that is under way in this browser, and the relying party that began it."""

    interaction: Interaction
    relying_party: RelyingParty

    def next_step(self) -> Step:
        """Return what the flow wants next."""
        return context.services().authorization.step(
            self.interaction.request, self.relying_party, context.session(), self.interaction
        )

    def shown(self) -> dict[str, str | None]:
        """Return the relying party as pages show it."""
        headers.allow_image(self.relying_party.logo_uri)
        return {
            "name": self.relying_party.name(flask.g.language),
            "logo_uri": self.relying_party.logo_uri,
            "policy_uri": self.relying_party.policy_uri,
            "tos_uri": self.relying_party.tos_uri,
        }

    def refused(self, error: str, description: str = "") -> RedirectedError:
        """End the interaction and return the error for the relying party."""
        context.services().interactions.finish(self.interaction.id)
        request = self.interaction.request
        return RedirectedError(
            error, description, redirect_uri=request.redirect_uri, state=request.state
        )


def take_up(interaction_id: str) -> Journey:
    """Take the interaction up for this browser, and let its pages lead on to the relying party.

    Raises:
        InteractionGoneError: it is not this browser's, or over.
        DisplayedError: the relying party is no longer active.
    """
    services = context.services()
    interaction = services.interactions.take_up(interaction_id, context.visitor().binding)
    relying_party = services.installation.relying_parties.find(
        interaction.request.client_id, services.db
    )
    if relying_party is None:
        raise DisplayedError("invalid_request", "the relying party is no longer active")
    headers.allow_form_target(interaction.request.redirect_uri)
    return Journey(interaction, relying_party)


def find(interaction_id: str) -> Journey | None:
    """Take the interaction up if one is named; without one the person is here for herself."""
    return take_up(interaction_id) if interaction_id else None


def go_on(interaction_id: str, *, otherwise: str = "/me") -> str:
    """Return where the browser goes after a step: always back to ``/authorize``."""
    return step_href("/authorize", interaction_id) if interaction_id else otherwise


def step_href(path: str, interaction_id: str) -> str:
    """Return the path with the interaction in its query."""
    return f"{path}?{urlencode({'interaction': interaction_id})}" if interaction_id else path


def see_other(href: str) -> flask.Response:
    """Redirect with 303, which never makes a browser post anything again (RFC 9700 §4.12)."""
    return flask.Response(status=303, headers={"Location": href})


def _asks_code(held: Held) -> dict[str, Any]:
    """Return which code a page asks for: the app's, and the card's next one by its number."""
    return {"app": held.totp_since is not None, "position": held.asked_position}


def _missing_code() -> dict[str, Any] | None:
    """Return which code would complete the password that this session began with, if any."""
    session = context.session()
    if session is None or session.methods != (AuthenticationMethod.PASSWORD,):
        return None
    held = context.services().second_factors.held(session.account_id)
    return _asks_code(held) if held.any else None


def sign_in_page(
    under_way: Journey | None = None,
    *,
    reason: str = "sign-in",
    login: str = "",
    error: str | None = None,
) -> str:
    """Render the sign-in page; ``error`` is a refusal's code.

    Who signs in once more need not type her login name again.
    """
    interaction_id = under_way.interaction.id if under_way else ""
    session = context.session()
    if not login and reason != "sign-in" and session is not None:
        login = person.login_of(session.subject_id)
    return flask.render_template(
        "sign_in/sign_in.html",
        relying_party=under_way.shown() if under_way else None,
        interaction=interaction_id,
        login=login,
        error=errors.message(error) if error else None,
        reason=reason,
        asks=_missing_code() if reason == "step-up" else None,
        can_cancel=under_way is not None,
        activate_href=step_href("/activate", interaction_id),
        next=forms.local_page(flask.request.values.get("next", "")),
        by_app=_may_be_approved_elsewhere(under_way, reason),
        on_phone=context.is_phone(),
    )


def _may_be_approved_elsewhere(under_way: Journey | None, reason: str) -> bool:
    """True where a phone's approval would lead on: never for pages that want a passkey's proof."""
    if under_way is not None:
        return reason in {"sign-in", "reauthentication"}
    target = forms.local_page(flask.request.values.get("next", ""))
    return reason == "sign-in" and not target.startswith(("/app/", "/desk", "/regulator"))


def code_page(
    under_way: Journey | None, held: Held, *, ticket: str, error: str | None = None
) -> str:
    """Render the page that asks for the code after the password; ``error`` is a refusal's code."""
    return flask.render_template(
        "sign_in/second_factor.html",
        relying_party=under_way.shown() if under_way else None,
        interaction=under_way.interaction.id if under_way else "",
        next=forms.local_page(flask.request.values.get("next", "")),
        ticket=ticket,
        asks=_asks_code(held),
        can_cancel=under_way is not None,
        error=errors.message(error) if error else None,
    )
