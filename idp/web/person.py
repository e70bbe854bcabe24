"""The person on her own pages: who she is, and making passkeys for her."""

import re
from datetime import timedelta
from typing import Any

import flask

from accounts.account import HOLDER, Account, LockReason
from accounts.attributes import best_value
from accounts.errors import PasskeyRefusedError
from accounts.levels import AuthenticationLevel
from accounts.notices import NoticeKind
from accounts.sessions import BrowserSession
from accounts.subject import IdentifierType
from idp.services import BRAND
from idp.web import context


def name_of(subject_id: str) -> str:
    """Return the subject's name as the registers state it."""
    held = context.services().held.of_subject(subject_id)
    return str(best_value(held, "name") or best_value(held, "organization_name") or "")


def login_of(subject_id: str) -> str:
    """Return the person's login name, if she has one."""
    known = context.services().subjects.identifiers_of(subject_id)
    return next((i.value for i in known if i.type is IdentifierType.LOGIN), "")


def words_about(subject_id: str) -> list[str]:
    """Return what others know of the subject, which makes no good password: names and numbers."""
    known = context.services().subjects.identifiers_of(subject_id)
    return [BRAND, name_of(subject_id), *(identifier.value for identifier in known)]


def required() -> BrowserSession:
    """Return the session, or send the browser to the sign-in page."""
    session = context.session()
    if session is None:
        target = flask.request.path if flask.request.method == "GET" else "/me"
        flask.abort(flask.redirect(f"/sign-in?next={target}", 303))
    return session


def row_id(text: str) -> str:
    """Return an id from an address if it can be one; anything else is simply not there."""
    if not re.fullmatch(r"[0-9a-f]{32}", text, re.ASCII):
        flask.abort(404)
    return text


def may_change_sign_in(session: BrowserSession) -> bool:
    """True when she authenticated just now, as strongly as she can.

    Otherwise whoever has only the password could make a stronger way of his own.
    """
    return is_fresh(session) and is_strongest(session)


def is_strongest(session: BrowserSession) -> bool:
    """True when she has no way to sign in that proves more than this session did."""
    # Any passkey is as good for that: a better key that is lost must not bar the way.
    strongest = context.services().ways.strongest(session.account_id)
    level = min(strongest.level, AuthenticationLevel.LEVEL_2)
    return session.strength.meets(strongest._replace(level=level, hardware_protected=False))


def is_fresh(session: BrowserSession) -> bool:
    """True when she authenticated just now, and in this browser: what a phone lets in from afar may
    change nothing that others could use later (docs/decisions/0018).
    """
    if session.is_approved_elsewhere:
        return False
    installation = context.installation()
    age = installation.clock() - session.authenticated_at
    return timedelta(0) <= age <= installation.settings.lifetimes.fresh_authentication


def lock_own_account(session: BrowserSession) -> None:
    """Lock the holder's own account (Decree 69/2024 Art. 15): every sign-in and grant ends, this
    browser's too, and she is told.
    """
    services = context.services()
    services.standing.lock(session.account_id, LockReason.HOLDER_REQUEST, HOLDER)
    tell(session, NoticeKind.LOCKED, {})
    context.signed_out()


def tell_of_sign_in(session: BrowserSession, what: str) -> None:
    """Tell her that a way to sign in came or went: on her pages, and where she can be reached."""
    tell(session, NoticeKind.SIGN_IN_CHANGED, {"what": what})


def tell(session: BrowserSession, kind: NoticeKind, facts: dict[str, str]) -> None:
    """Tell her on her pages, and where she can be reached."""
    context.services().contact_book.tell(session.subject_id, kind, facts)


def creation_options(account: Account, *, is_first: bool = False) -> dict[str, Any]:
    """Begin making a passkey; one that ``is_first`` takes the place of all others."""
    services = context.services()
    login, name = login_of(account.subject_id), name_of(account.subject_id)
    return services.passkeys.creation_options(
        account,
        login=login or name,
        name=name,
        browser=context.visitor().binding,
        is_first=is_first,
    )


def create_passkey(account: Account, document: dict[str, Any]) -> None:
    """Verify and keep a new passkey.

    Raises:
        PasskeyRefusedError: the registration does not hold.
    """
    visitor = context.visitor()
    name = document.get("name")
    if isinstance(name, str) and not name.isprintable():
        raise PasskeyRefusedError("name")
    context.services().passkeys.create(
        account,
        document.get("credential"),
        name=(name if isinstance(name, str) else "").strip() or visitor.browser,
        browser=visitor.binding,
    )
