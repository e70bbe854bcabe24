"""What is proved on top of level 2, one step at a time: the password, the face, the card's chip."""

from typing import Any

import flask

from accounts.chip_requests import Purpose
from accounts.face_checks import Verdict
from accounts.levels import AuthenticationMethod
from accounts.sessions import BrowserSession
from connectors.face_match import GREATEST_PICTURE, kind_of
from idp import face_checks, limits
from idp.login.errors import SignInExpiredError, SignInRefusedError, TooManyFailuresError
from idp.login.flow import ProveMore
from idp.web import context, errors, headers, journey, progress, transaction
from idp.web.journey import STEP_PAGES, Journey

blueprint = flask.Blueprint("steps", __name__)
_FACE, _CARD, _KNOWN = (
    AuthenticationMethod.FACE,
    AuthenticationMethod.CHIP,
    AuthenticationMethod.KNOWN_SECRET,
)


@blueprint.get("/sign-in/face")
def ask_face() -> flask.Response:
    """Explain what is compared, and offer the camera."""
    under_way, session = _taken_up(_FACE)
    return _face_page(under_way, session)


@blueprint.post("/sign-in/face")
def compare_face() -> flask.Response:
    """Have the picture compared, which the person asks for by sending it."""
    under_way, session = _taken_up(_FACE)
    sent = flask.request.files.get("picture")
    picture = sent.stream.read(GREATEST_PICTURE + 1) if sent is not None else b""
    if kind_of(picture) is None:
        return _face_page(under_way, session, error="face-picture")
    services, interaction_id = context.services(), under_way.interaction.id
    ticket = flask.request.form.get("ticket", "")[:256]
    address = flask.request.remote_addr or ""
    # Nothing is held while the register takes its time.
    transaction.release()
    try:
        verdict = face_checks.compare(
            services, session, interaction_id, ticket, picture, address=address
        )
    except SignInExpiredError:
        return _face_page(under_way, session, error="face-again")
    except TooManyFailuresError:
        return _face_page(under_way, session, error="face-too-many")
    if verdict is Verdict.MATCH:
        return _proved(under_way, _FACE)
    if verdict is Verdict.NO_PORTRAIT:
        context.services().interactions.end_step(interaction_id)
    return _face_page(under_way, session, error=f"face-{verdict.value if verdict else 'away'}")


@blueprint.get("/sign-in/card")
def ask_card() -> flask.Response:
    """Explain how the card is read."""
    under_way, session = _taken_up(_CARD)
    return _card_page(under_way, session)


@blueprint.post("/sign-in/card")
def read_card() -> flask.Response:
    """Ask for a reading of the card's chip and show its code."""
    under_way, session = _taken_up(_CARD)
    services = context.services()
    counted = (limits.CHIP_APPLICATION, f"account {session.account_id}")
    if services.limits.is_exhausted(counted):
        return _card_page(under_way, session, error="too-many-failures")
    services.limits.count_failure(counted)
    code = services.chip_requests.begin_for_account(Purpose.SIGN_IN, session.account_id, session.id)
    return _card_page(under_way, session, code=code)


@blueprint.post("/sign-in/card/finish")
def finish_card() -> flask.Response:
    """Go on once the reader app is done."""
    under_way, session = _taken_up(_CARD)
    requests = context.services().chip_requests
    if requests.take_proof(Purpose.SIGN_IN, session.account_id, session.id):
        return _proved(under_way, _CARD)
    code = flask.request.form.get("code", "")[:32]
    waits = requests.find_open(code)
    return _card_page(under_way, session, error="card-not-read" if waits else None,
                      code=code if waits else None)  # fmt: skip


@blueprint.get("/sign-in/known")
def ask_known() -> flask.Response:
    """Ask for the password on top of what was proved."""
    under_way, _session = _taken_up(_KNOWN)
    return _page("known", under_way)


@blueprint.post("/sign-in/known")
def compare_known() -> flask.Response:
    """Compare the password."""
    under_way, session = _taken_up(_KNOWN)
    visitor = context.visitor()
    try:
        found = context.services().sign_in.look_up_own(session, visitor)
        transaction.release()
        given = flask.request.form.get("password", "")
        is_right = context.installation().hashing.verify(found.hash, given)
        started = context.services().sign_in.by_known_secret(
            _session_again(), found, is_right=is_right, visitor=visitor
        )
    except (SignInRefusedError, TooManyFailuresError) as error:
        return _page("known", under_way, error=error.code)
    context.signed_in(started)
    return journey.see_other(journey.go_on(under_way.interaction.id))


@blueprint.post("/sign-in/step/decline")
def decline() -> flask.Response:
    """Go on without: the service gets what is proved already, or learns that it is not enough."""
    under_way = journey.take_up(flask.request.form.get("interaction", ""))
    context.services().interactions.end_step(under_way.interaction.id)
    return journey.see_other(journey.go_on(under_way.interaction.id))


def _taken_up(step: AuthenticationMethod) -> tuple[Journey, BrowserSession]:
    """Return the journey and session if this step is the one that is missing; else lead on."""
    under_way = journey.take_up(flask.request.values.get("interaction", ""))
    session = context.session()
    if session is None or under_way.next_step() != ProveMore(step):
        flask.abort(journey.see_other(journey.go_on(under_way.interaction.id)))
    return under_way, session


def _session_again() -> BrowserSession:
    """Return the session as it stands after a wait: it may have been ended meanwhile.

    Raises:
        SignInRefusedError: it was.
    """
    flask.g.pop("session", None)
    session = context.session()
    if session is None:
        raise SignInRefusedError
    return session


def _proved(under_way: Journey, step: AuthenticationMethod) -> flask.Response:
    """Add the step to the session and return to the flow."""
    desk = context.services().sign_in
    context.signed_in(desk.by_step(_session_again(), step, context.visitor()))
    return journey.see_other(journey.go_on(under_way.interaction.id))


def _face_page(
    under_way: Journey, session: BrowserSession, *, error: str | None = None
) -> flask.Response:
    headers.allow_camera()
    installation = context.installation()
    is_over = error == f"face-{Verdict.NO_PORTRAIT.value}"
    ticket = face_checks.ticket(installation, session, under_way.interaction.id)
    return _page("face", under_way, error=error, ticket=ticket, is_over=is_over)


def _card_page(
    under_way: Journey,
    session: BrowserSession,
    *,
    error: str | None = None,
    code: str | None = None,
) -> flask.Response:
    requests = context.services().chip_requests
    asked = requests.latest_of_account(session.account_id, Purpose.SIGN_IN)
    refusal = progress.why_refused(asked.refusal) if asked and not code else ""
    return _page("card", under_way, error=error, code=code, refusal=refusal)


def _page(
    name: str, under_way: Journey, *, error: str | None = None, **shown: Any
) -> flask.Response:
    request = under_way.interaction.request
    body = flask.render_template(
        f"sign_in/{name}.html",
        action=STEP_PAGES[{"face": _FACE, "card": _CARD, "known": _KNOWN}[name]],
        relying_party=under_way.shown(),
        interaction=under_way.interaction.id,
        error=errors.message(error) if error else None,
        may_decline=not request.acr_is_essential and under_way.interaction.acting_for is None,
        **shown,
    )
    return flask.Response(body, errors.words(error).status if error else 200)
