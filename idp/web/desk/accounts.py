"""An account at the desk: its locks and history, locking and unlocking on a legal ground."""

from typing import Any

import flask

from accounts.account import (
    Account,
    AccountEvent,
    AccountKind,
    ActorKind,
    CloseReason,
    EventKind,
    LockReason,
)
from accounts.attributes import best_value
from accounts.recoveries import Way
from idp.applying.rules import ReasonMissingError
from idp.desk import BY_OFFICERS, FOUR_EYES, Desk
from idp.standing import FITTING
from idp.web import context, errors, notice_words, person, progress, timeline, words
from idp.web.desk.entrance import desk
from idp.web.language import N_, translate

blueprint = flask.Blueprint("desk_accounts", __name__)
_LOCKED = N_("Locked. Its sign-ins and all tokens have ended.")
_UNLOCKED = N_("This lock is removed.")
_ASKED = N_("Asked. Another officer has to confirm it.")


@blueprint.get("/desk/accounts/<account_id>")
def one(account_id: str) -> flask.Response:
    """Show it; the look is written into the person's own timeline."""
    return _page(desk(), person.row_id(account_id))


@blueprint.post("/desk/accounts/<account_id>/lock")
def lock(account_id: str) -> flask.Response:
    """Add a lock reason on a legal ground."""
    at = desk()
    try:
        at.lock(person.row_id(account_id), _reason(), flask.request.form.get("ground", ""))
    except ReasonMissingError as error:
        return _page(at, account_id, error=errors.message(error.code), target="lock-ground")
    return _page(at, account_id, notice_text=translate(_LOCKED))


@blueprint.post("/desk/accounts/<account_id>/unlock")
def unlock(account_id: str) -> flask.Response:
    """Remove a lock reason, or ask a second officer to."""
    at = desk()
    try:
        is_done = at.unlock(
            person.row_id(account_id), _reason(), flask.request.form.get("ground", "")
        )
    except ReasonMissingError as error:
        return _page(at, account_id, error=errors.message(error.code), target="unlock-ground")
    return _page(at, account_id, notice_text=translate(_UNLOCKED if is_done else _ASKED))


def _reason() -> LockReason:
    try:
        return LockReason(flask.request.form.get("reason", ""))
    except ValueError:
        flask.abort(400)


def _page(
    at: Desk,
    account_id: str,
    *,
    notice_text: str | None = None,
    error: str | None = None,
    target: str = "",
) -> flask.Response:
    services = context.services()
    found = services.accounts.account(account_id)
    claims = at.claims_of(found)
    is_organisation = found.kind is AccountKind.ORGANISATION
    at.look(found.subject_id, claims, "account-care", organisation=is_organisation)
    held = services.held.of_subject(found.subject_id)
    body = flask.render_template(
        "desk/account.html",
        section="desk",
        account=_shown(found),
        facts=[
            {"label": progress.label_of(claim), "value": progress.readable(claim, value)}
            for claim in claims
            if not claim.startswith("vn_account") and (value := best_value(held, claim)) is not None
        ],
        history=[_event(event) for event in services.accounts.history(found.id)][::-1],
        reasons=[
            {"value": reason.value, "label": translate(words.LOCK_REASONS[reason])}
            for reason in BY_OFFICERS
            if reason in FITTING[found.kind] - found.locks
        ],
        waiting=[
            translate(words.LOCK_REASONS[asked.reason])
            for asked in services.unlock_requests.open_of(found.id)
        ],
        incidents=[
            {
                "id": one.id,
                "number": one.number,
                "about": notice_words.kind(one.about),
                "opened_at": one.opened_at,
            }
            for one in services.incidents.of_account(found.id)
            if one.closed_at is None
        ],
        is_own=found.subject_id == at.officer.subject_id,
        notice_text=notice_text,
        error=error,
        target=target,
        ground=flask.request.form.get("ground", "") if error else "",
    )
    return flask.Response(body, 422 if error else 200)


def _shown(found: Account) -> dict[str, Any]:
    return {
        "id": found.id,
        "kind": translate(words.ACCOUNT_KINDS[found.kind]),
        "level": found.level.value if found.kind is not AccountKind.ORGANISATION else "",
        "state": translate(words.ACCOUNT_STATES[found.state]),
        "is_closed": found.closed_at is not None,
        "closed_reason": translate(words.CLOSE_REASONS[found.closed_reason])
        if found.closed_reason
        else "",
        "locks": [
            {
                "value": reason.value,
                "label": translate(words.LOCK_REASONS[reason]),
                "needs_two": reason in FOUR_EYES,
            }
            for reason in sorted(found.locks)
        ],
    }


def _event(event: AccountEvent) -> dict[str, Any]:
    reason = event.reason or ""
    if event.kind in {EventKind.LOCKED, EventKind.UNLOCKED}:
        reason = translate(words.LOCK_REASONS[LockReason(reason)])
    elif event.kind is EventKind.CLOSED:
        reason = translate(words.CLOSE_REASONS[CloseReason(reason)])
    elif event.kind in {EventKind.RECOVERY_BEGUN, EventKind.RECOVERED}:
        reason = translate(words.RECOVERY_WAYS[Way(reason)])
    elif reason == "none":
        reason = ""
    is_officer = event.actor.kind is ActorKind.OFFICER
    return {
        "at": event.at,
        "kind": translate(words.EVENTS[event.kind]),
        "reason": reason,
        "ground": event.ground,
        "actor": timeline.officer(event.actor.id or "")
        if is_officer
        else translate(words.ACTORS[event.actor.kind]),
    }
