"""Delivers notices to addresses, again and again until they are taken over or given up.

A message says what kind of thing happened and where to read on, and nothing else of a person: mail is
read by others. It is written in both languages, for nobody can know in which an address reads.
"""

from datetime import datetime, timedelta

from accounts.notices import By, Notice, NoticeKind
from connectors.errors import MessageRefusedError
from connectors.messages import Message
from idp import audit
from idp.services import Installation

INTERVAL = timedelta(seconds=15)
_A_ROUND = 50
_PATIENCE = (
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=8),
    timedelta(hours=24),
)
"""How long is waited after each attempt that failed; after the last one it is given up."""
_CLAIM = timedelta(minutes=5)
"""For so long nobody else takes up what a process is sending; longer than any server may take."""

_WORDS = {
    NoticeKind.CONTACT_CHANGED: (
        "Thông tin liên hệ của tài khoản Sen ID của bạn đã được thay đổi.",
        "The contact data of your Sen ID account was changed.",
    ),
    NoticeKind.CONTACT_CHANGE_ASKED: (
        "Một cơ quan đề nghị thay đổi thông tin liên hệ của tài khoản Sen ID của bạn.",
        "An office asks to change the contact data of your Sen ID account.",
    ),
    NoticeKind.CONTACT_CHANGE_REFUSED: (
        "Thông tin liên hệ của tài khoản Sen ID của bạn được giữ nguyên.",
        "The contact data of your Sen ID account stays as it was.",
    ),
    NoticeKind.DATA_COPIED: (
        "Một bản sao dữ liệu Sen ID của bạn đã được tải xuống.",
        "A copy of your Sen ID data was downloaded.",
    ),
    NoticeKind.SIGN_IN_CHANGED: (
        "Cách đăng nhập vào tài khoản Sen ID của bạn đã được thay đổi.",
        "How you sign in to your Sen ID account was changed.",
    ),
    NoticeKind.QR_APPROVED: (
        "Điện thoại của bạn vừa cho phép một trình duyệt đăng nhập vào tài khoản Sen ID của bạn.",
        "Your phone has just let a browser sign in to your Sen ID account.",
    ),
}
_SUBJECT = "Sen ID: thông báo về tài khoản của bạn / a notice about your account"
_NOT_ASKED = (
    "Nếu không phải bạn, hãy tự mở trang đó và làm theo hướng dẫn. Sen ID không bao giờ hỏi mã của bạn.",
    "If this was not you, open that page yourself and follow its advice. Sen ID never asks for a code.",
)


def deliver(installation: Installation) -> dict[str, int]:
    """Send what is due and return how many messages were ``delivered``, ``postponed``, ``given up``.

    Nothing is locked while a server is spoken to: each message is claimed for five minutes first, so
    that of several processes one sends it. A process that dies in between lets it be sent once more.
    """
    outcome = {"delivered": 0, "postponed": 0, "given up": 0}
    ways = [way for way in By if way in installation.messengers]
    if not ways:
        return outcome
    for _ in range(_A_ROUND):
        with installation.engine.begin() as db:
            now = installation.clock()
            due = installation.services(db).notices.claim(ways, now, now + _CLAIM)
        if due is None:
            break
        outcome[_send(installation, due)] += 1
    return outcome


def _send(installation: Installation, notice: Notice) -> str:
    assert notice.by is not None  # noqa: S101 - claimed by its way
    message = Message(
        id=notice.id,
        to=notice.address,
        subject=_SUBJECT,
        text=_text(notice, installation.settings.issuer),
        made_at=notice.made_at,
    )
    try:
        installation.messengers[notice.by].send(message)
    except MessageRefusedError as error:
        again = None if error.is_final else _again(notice, installation.clock())
        audit.note("notice.postponed" if again else "notice.given-up", reason=error.detail)
        with installation.engine.begin() as db:
            installation.services(db).notices.postpone(notice.id, again)
        return "postponed" if again else "given up"
    with installation.engine.begin() as db:
        installation.services(db).notices.mark_delivered(notice.id)
    return "delivered"


def _again(notice: Notice, now: datetime) -> datetime | None:
    if notice.attempts >= len(_PATIENCE):
        return None
    return now + _PATIENCE[notice.attempts]


def _text(notice: Notice, issuer: str) -> str:
    vietnamese, english = _WORDS[notice.kind]
    if notice.by is By.TEXT_MESSAGE:
        return f"{vietnamese} / {english} {issuer}/me/notices"
    return (
        f"{vietnamese}\n{issuer}/me/notices\n{_NOT_ASKED[0]}\n\n"
        f"{english}\n{issuer}/me/notices\n{_NOT_ASKED[1]}\n"
    )
