"""Delivers notices to addresses, again and again until they are taken over or given up.

A message says what kind of thing happened and where to read on, and nothing else of a person: mail is
read by others. It is written in the language in which the person reads, as far as that is known, and
else in both.
"""

from datetime import datetime, timedelta

from accounts.notices import By, Notice, NoticeKind
from accounts.vault import Vault
from connectors.errors import MessageRefusedError
from connectors.messages import Message
from idp import audit
from idp.alarm import DISAVOWABLE, link_token
from idp.database import for_reading
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
    NoticeKind.SIGN_IN: (
        "Tài khoản Sen ID của bạn vừa được đăng nhập từ một trình duyệt chưa từng sử dụng.",
        "Somebody signed in to your Sen ID account with a browser that you had not used before.",
    ),
    NoticeKind.NEW_PLACE: (
        "Tài khoản Sen ID của bạn vừa được đăng nhập ở một nơi mà gần đây bạn chưa đăng nhập.",
        "Somebody signed in to your Sen ID account at a place where you had not signed in lately.",
    ),
    NoticeKind.RECOVERY_BEGUN: (
        "Có yêu cầu khôi phục tài khoản Sen ID của bạn. Mọi cách đăng nhập cũ sẽ mất hiệu lực khi hoàn tất.",
        "A recovery of your Sen ID account was begun. When it is done, every old way to sign in is void.",
    ),
    NoticeKind.RECOVERY_CANCELLED: (
        "Việc khôi phục tài khoản Sen ID của bạn đã được dừng.",
        "The recovery of your Sen ID account was stopped.",
    ),
    NoticeKind.RECOVERED: (
        "Tài khoản Sen ID của bạn đã được khôi phục. Mọi cách đăng nhập cũ đã mất hiệu lực.",
        "Your Sen ID account was recovered. Every old way to sign in is void.",
    ),
    NoticeKind.LOCKED: (
        "Tài khoản Sen ID của bạn đã được khóa theo yêu cầu của bạn.",
        "Your Sen ID account was locked at your own wish.",
    ),
    NoticeKind.UNLOCKED: (
        "Tài khoản Sen ID của bạn đã được mở khóa bằng khóa truy cập.",
        "Your Sen ID account was unlocked with a passkey.",
    ),
    NoticeKind.SIGN_IN_CHANGED: (
        "Cách đăng nhập vào tài khoản Sen ID của bạn đã được thay đổi.",
        "How you sign in to your Sen ID account was changed.",
    ),
    NoticeKind.CASE_MOVED: (
        "Có thông tin mới về đề nghị của bạn liên quan đến việc sử dụng dữ liệu.",
        "There is news of what you asked about a use of your data.",
    ),
    NoticeKind.UNSEALED: (
        "Một lần sử dụng dữ liệu của bạn từng được niêm phong nay đã có trong lịch sử của bạn.",
        "A use of your data that had been kept sealed is now in your record.",
    ),
    NoticeKind.FIRST_USE: (
        "Một cơ quan, tổ chức vừa sử dụng dữ liệu của bạn lần đầu qua Sen ID.",
        "An agency used your data through Sen ID for the first time.",
    ),
    NoticeKind.NEW_DATA: (
        "Một cơ quan, tổ chức vừa đọc dữ liệu của bạn mà trước đây chưa từng đọc, hoặc dữ liệu nhạy cảm.",
        "An agency read data of yours that it had not read before, or sensitive data.",
    ),
    NoticeKind.UNUSUAL_USE: (
        "Dữ liệu của bạn vừa được sử dụng qua Sen ID theo cách bất thường.",
        "Your data was used through Sen ID in an unusual way.",
    ),
    NoticeKind.WITHDRAWAL_MOVED: (
        "Có thông tin mới về việc rút lại sự đồng ý của bạn.",
        "There is news of a consent that you withdrew.",
    ),
    NoticeKind.CONSENT_ENDS: (
        "Một sự đồng ý của bạn sắp hết hạn.",
        "A consent of yours ends soon.",
    ),
    NoticeKind.RECONFIRM: (
        "Một sự đồng ý cần bạn xác nhận lại.",
        "A consent has to be confirmed by you.",
    ),
    NoticeKind.DIGEST: (
        "Tổng kết tháng về việc sử dụng dữ liệu của bạn qua Sen ID đã có.",
        "The month's summary of the uses of your data through Sen ID is there.",
    ),
    NoticeKind.QR_APPROVED: (
        "Điện thoại của bạn vừa cho phép một trình duyệt đăng nhập vào tài khoản Sen ID của bạn.",
        "Your phone has just let a browser sign in to your Sen ID account.",
    ),
}
_LANGUAGES = ("vi", "en")
_SUBJECT = ("thông báo về tài khoản của bạn", "a notice about your account")
_DISCREET_SUBJECT = ("Thông báo mới", "New notice")
_DISCREET = ("Bạn có thông báo mới.", "You have a new notice.")
"""For who shares a phone or a home with somebody she fears: not even what kind of thing happened."""
_NOT_ASKED = (
    "Sen ID không bao giờ gọi điện hoặc viết thư để hỏi mật khẩu hay mã của bạn.",
    "Sen ID never calls or writes to ask for your password or a code.",
)
_NOT_ME = ("Không phải bạn? Báo ngay", "Not you? Say so at once")


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
            services = installation.services(db)
            due = services.notices.claim(ways, now, now + _CLAIM)
            if due is None:
                break
            discreet = services.notice_choices.of(due.subject_id).is_discreet
        outcome[_send(installation, due, is_discreet=discreet)] += 1
    return outcome


def _send(installation: Installation, notice: Notice, *, is_discreet: bool) -> str:
    assert notice.by is not None  # noqa: S101 - claimed by its way
    with for_reading(installation.engine).begin() as db:
        language = installation.services(db).contact_book.language_of(notice.subject_id)
    message = Message(
        id=notice.id,
        to=notice.address,
        subject=_subject(language, is_discreet=is_discreet),
        text=_discreet_text(installation.settings.issuer, language)
        if is_discreet
        else _text(notice, installation.settings.issuer, installation.vault, language),
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


def _in(language: str | None, words: tuple[str, str]) -> tuple[str, ...]:
    """Return the words in this language, or in both where it is unknown or none of ours."""
    return (words[_LANGUAGES.index(language)],) if language in _LANGUAGES else words


def _subject(language: str | None, *, is_discreet: bool) -> str:
    words = " / ".join(_in(language, _DISCREET_SUBJECT if is_discreet else _SUBJECT))
    return words if is_discreet else f"Sen ID: {words}"


def _discreet_text(issuer: str, language: str | None) -> str:
    return f"{' / '.join(_in(language, _DISCREET))} {issuer}/me/notices"


def _text(notice: Notice, issuer: str, vault: Vault, language: str | None) -> str:
    link = ""
    if notice.kind in DISAVOWABLE:
        link = f"{issuer}/not-me/{link_token(vault, notice.id)}"
    words, not_me = _in(language, _WORDS[notice.kind]), _in(language, _NOT_ME)
    if notice.by is By.TEXT_MESSAGE:
        told = " / ".join(words)
        return f"{told} " + (f"{' / '.join(not_me)}: {link}" if link else f"{issuer}/me/notices")
    paragraphs = []
    for told, mine, not_asked in zip(words, not_me, _in(language, _NOT_ASKED), strict=True):
        lines = [told, f"{issuer}/me/notices", f"{mine}: {link}" if link else "", not_asked]
        paragraphs.append("\n".join(filter(None, lines)))
    return "\n\n".join(paragraphs) + "\n"
