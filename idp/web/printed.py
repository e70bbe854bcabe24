"""A person's record as a PDF to read and to print, in the language of the request."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from html import unescape
from itertools import islice
from pathlib import Path
from typing import IO, Any
from xml.sax.saxutils import escape

import flask
from reportlab.graphics.barcode.qr import QrCodeWidget
from reportlab.graphics.shapes import Drawing
from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase.pdfmetrics import registerFont, registerFontFamily
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import Paragraph, SimpleDocTemplate, Spacer

from accounts.account import (
    AccountKind,
    AccountState,
    ActorKind,
    CloseReason,
    EventKind,
    LockReason,
)
from accounts.applications import ApplicationKind, ApplicationState
from accounts.attributes import DICTIONARY
from consent.data_use import UseEntry
from idp.services import BRAND
from idp.web import progress, timeline, words
from idp.web.language import N_, TIME_ZONE, show_date, show_datetime, translate, translate_plural

USES_IN_FULL = 500
"""The newest uses, each told in full; older ones are counted by month and agency. A PDF of five years
would have hundreds of pages, and the JSON has every one.
"""
_FONTS = Path(__file__).resolve().parent / "fonts"
_INLINE, _BLOCK = re.compile(r"</?(?:span|strong|a)\b[^>]*>"), re.compile(r"<[^>]*>")
_REGULAR, _BOLD = "BeVietnamPro", "BeVietnamPro-SemiBold"
_INK, _SOFT, _LEAF = HexColor("#14211f"), HexColor("#4c5c59"), HexColor("#0b4b46")

_TITLE = N_("Your data at Sen ID")
_RECEIPT = N_("Receipt of your consent")
_AGREED_TO = N_("What you agreed to share")
_COMPARE = N_(
    "The code holds the receipt's number and the fingerprint of the signed receipt that you can "
    "download beside this sheet; who has both can compare them."
)
_MADE = N_("Made on %(when)s for %(name)s. It holds personal data: keep it safe.")
_PAGE = N_("Page %(number)s")
_NOTHING = N_("Nothing is held.")
_OLDER = N_("Older uses, counted by month")
_SOURCES = {
    "population": N_("National population database"),
    "immigration": N_("Immigration database"),
    "enterprises": N_("Business registration database"),
    "identity_cards": N_("Identity card database"),
    "social_insurance": N_("Social insurance database"),
    "officials": N_("Database of officials"),
    "self": N_("Your own word"),
    "provider": N_("Sen ID itself"),
}
_IDENTIFIERS = {
    "login": N_("Login name"),
    "personal-number": N_("Personal identification number"),
    "passport": N_("Passport"),
    "passport-number": N_("Passport number"),
    "residence-card": N_("Residence card number"),
    "tax-code": N_("Tax code"),
}
_YES, _NO = N_("Yes"), N_("No")
_UNTIL = N_("until %(when)s")
_SINCE = N_("since %(when)s")
_AS_OF = N_("as of %(when)s")
_PASSWORD = N_("Password, set on %(when)s")
_PASSKEY = N_("Passkey %(name)s, made on %(when)s")
_ACTING_FOR = N_("You may act for %(name)s")
_ACTED_FOR = N_("%(name)s may act for you")
_WITHDRAWN = N_("ended on %(when)s")
_VALID = N_("valid until %(when)s")
_TEXT_SHOWN = N_("The text you agreed to:")
_BY = N_("by %(who)s")


def write(
    file: IO[bytes], facts: dict[str, Any], name: str, entries: Iterable[tuple[UseEntry, bool]]
) -> None:
    """Write the record; ``entries`` are the uses, newest first, each with whether it was altered."""
    _load_fonts()
    story = [
        _text(translate(_TITLE), "title"),
        _text(translate(_MADE, when=show_datetime(facts["made_at"]), name=name), "soft"),
        *_sections(facts),
        *_uses(entries),
    ]
    _build(file, translate(_TITLE), story)


def write_receipt(
    file: IO[bytes], facts: list[tuple[str, str]], attributes: list[str], code: str
) -> None:
    """Write a consent's receipt with a QR code: what ``code`` says, and what anybody can compare."""
    widget = QrCodeWidget(code, barLevel="M")
    x, y, right, top = widget.getBounds()
    size = 42 * mm
    drawing = Drawing(size, size, transform=[size / (right - x), 0, 0, size / (top - y), 0, 0])
    drawing.add(widget)
    _load_fonts()
    story = [
        _text(translate(_RECEIPT), "title"),
        *(_fact(label, value) for label, value in facts),
        *_section(translate(_AGREED_TO), [_text(escape(one)) for one in attributes]),
        Spacer(0, 6 * mm),
        drawing,
        _text(escape(code), "soft"),
        _text(translate(_COMPARE), "soft"),
    ]
    _build(file, translate(_RECEIPT), story, subject=code)


def _build(file: IO[bytes], title: str, story: list[Any], *, subject: str = "") -> None:
    document = SimpleDocTemplate(
        file,
        pagesize=A4,
        leftMargin=20 * mm,
        rightMargin=20 * mm,
        topMargin=22 * mm,
        bottomMargin=20 * mm,
        title=title,
        subject=subject,
        author=BRAND,
        lang=flask.g.language,
    )
    document.build(story, onFirstPage=_foot, onLaterPages=_foot)


def _sections(facts: dict[str, Any]) -> Iterator[Any]:
    language = flask.g.language
    yield from _section(
        N_("Accounts"), [line for one in facts["accounts"] for line in _account(one)]
    )
    yield from _section(
        N_("Identifiers"),
        [
            _fact(
                translate(_IDENTIFIERS.get(one["type"], one["type"])),
                one["value"],
                translate(_UNTIL, when=show_date(one["valid_to"], "short"))
                if one["valid_to"]
                else translate(_SINCE, when=show_date(one["valid_from"], "short")),
            )
            for one in facts["identifiers"]
        ],
    )
    yield from _section(
        N_("Attributes"),
        [
            _fact(
                DICTIONARY[one["claim"]].label[language]
                if one["claim"] in DICTIONARY
                else one["claim"],
                _value(one["claim"], one["value"]),
                f"{translate(_SOURCES.get(one['source'], one['source']))}, "
                + translate(_AS_OF, when=show_date(one["as_of"], "short")),
            )
            for one in facts["attributes"]
        ],
    )
    yield from _section(
        N_("Mandates"),
        [_mandate(one) for one in facts["mandates"]],
    )
    yield from _section(
        N_("Consents"), [line for one in facts["consents"] for line in _consent(one, facts)]
    )
    yield from _section(
        N_("Ways to sign in"),
        [line for one in facts["accounts"] for line in _authenticators(one)],
    )
    yield from _section(
        N_("Sign-ins"),
        [
            _text(
                f"{show_datetime(one['started_at'], 'short')} · {escape(one['browser'])} · "
                f"{escape(one['address'])}"
                + (
                    f" · {translate(_WITHDRAWN, when=show_datetime(one['ended_at'], 'short'))}"
                    if one["ended_at"]
                    else ""
                )
            )
            for one in facts["browser_sessions"]
        ],
    )
    yield from _section(
        N_("Applications"), [line for one in facts["applications"] for line in _application(one)]
    )


def _value(claim: str, value: object) -> str:
    if isinstance(value, bool):
        return translate(_YES if value else _NO)
    return words.in_words(claim, value)


def _mandate(one: dict[str, Any]) -> Any:
    relation = _ACTING_FOR if one["role"] == "agent" else _ACTED_FOR
    told = [translate(relation, name=one["other"])]
    told.append(translate(_SINCE, when=show_date(one["valid_from"], "short")))
    if one["valid_to"]:
        told.append(translate(_UNTIL, when=show_date(one["valid_to"], "short")))
    return _text(escape(" · ".join(told)))


def _account(one: dict[str, Any]) -> Iterator[Any]:
    kind = translate(words.ACCOUNT_KINDS[AccountKind(one["kind"])])
    state = translate(words.ACCOUNT_STATES[AccountState(one["state"])])
    level = "" if one["level"] == "none" else f" {one['level']}"
    yield _fact(
        f"{kind}{level}", state, translate(_SINCE, when=show_date(one["issued_at"], "short"))
    )
    for lock in one["locks"]:
        yield _fact(
            translate(N_("Locked")), translate(words.LOCK_REASONS[LockReason(lock["reason"])])
        )
    for event in one["history"]:
        who = event["office"] or translate(words.ACTORS[ActorKind(event["by"])])
        yield _text(
            f"{show_datetime(event['at'], 'short')} · "
            + escape(
                " · ".join(
                    filter(None, (_happened(event), translate(_BY, who=who), event["ground"]))
                )
            )
        )


def _happened(event: dict[str, Any]) -> str:
    kind, reason = EventKind(event["kind"]), event["reason"]
    told = translate(words.EVENTS[kind])
    if kind in {EventKind.LOCKED, EventKind.UNLOCKED}:
        return f"{told}: {translate(words.LOCK_REASONS[LockReason(reason)])}"
    if kind is EventKind.CLOSED:
        return f"{told}: {translate(words.CLOSE_REASONS[CloseReason(reason)])}"
    return f"{told}: {reason}" if reason and reason != "none" else told


def _authenticators(one: dict[str, Any]) -> Iterator[Any]:
    if one["password_changed_at"]:
        yield _text(translate(_PASSWORD, when=show_datetime(one["password_changed_at"], "short")))
    for key in one["passkeys"]:
        when = show_datetime(key["created_at"], "short")
        told = translate(_PASSKEY, name=key["name"], when=when)
        yield _text(escape(told.replace(" ,", ",")))


def _consent(one: dict[str, Any], facts: dict[str, Any]) -> Iterator[Any]:
    given = show_datetime(one["given_at"], "short")
    until = (
        translate(_WITHDRAWN, when=show_datetime(one["ended_at"], "short"))
        if one["ended_at"]
        else translate(_VALID, when=show_date(one["valid_until"], "short"))
    )
    yield _text(escape(timeline.agency(one["client_id"])), "name")
    yield _text(escape(f"{timeline.purpose_title(one['purpose'])} · {given} · {until}"), "soft")
    yield _text(escape(", ".join(timeline.labels(one["attributes"]))))
    yield _text(translate(_TEXT_SHOWN), "soft")
    for line in _readable(facts["notices"][one["notice_hash"]]["text"]):
        yield _text(escape(line), "quote")


def _readable(notice: str) -> list[str]:
    """Return the words of a notice, which is kept as the markup that was shown."""
    lines = _BLOCK.sub("\n", _INLINE.sub(" ", notice)).splitlines()
    return [told for line in lines if (told := " ".join(unescape(line).split()))]


def _application(one: dict[str, Any]) -> Iterator[Any]:
    state = translate(progress.STATES[ApplicationState(one["state"])][1])
    yield _text(escape(translate(progress.KINDS[ApplicationKind(one["kind"])])), "name")
    yield _text(escape(f"{show_datetime(one['submitted_at'], 'short')} · {state}"), "soft")
    for field, value in one["stated"].items():
        yield _fact(
            progress.label_of(progress.claim_of(field, ApplicationKind(one["kind"]))), value
        )
    if one["decision"]:
        yield _fact(one["decided_by"] or "", one["decision"])


def _uses(entries: Iterable[tuple[UseEntry, bool]]) -> Iterator[Any]:
    ongoing = iter(entries)
    yield _text(translate(N_("Uses of your data")), "section")
    newest = list(islice(ongoing, USES_IN_FULL))
    altered = {entry.position for entry, is_altered in newest if is_altered}
    for day in timeline.by_day([entry for entry, _ in newest], changed=altered):
        yield _text(show_date(day["date"]), "name")
        for use in day["entries"]:
            told = ": ".join(filter(None, (use["action"], ", ".join(use["attributes"]))))
            about = " · ".join(
                filter(None, (use["purpose"], use["basis"], use["officer"], use["acting_for"]))
            )
            when = use["time"].astimezone(TIME_ZONE).strftime("%H:%M")
            yield _text(f"<b>{when} {escape(use['agency'])}</b> {escape(told)}")
            yield _text(escape(about), "soft")
            if use["changed"]:
                yield _text(f"<b>{escape(use['changed'])}</b>", "soft")
    if not newest:
        yield _text(translate(_NOTHING), "soft")
    older = Counter(
        (entry.at.astimezone(TIME_ZONE).strftime("%Y-%m"), entry.use.client_id, is_altered)
        for entry, is_altered in ongoing
    )
    if older:
        yield _text(translate(_OLDER), "name")
        for (month, client_id, is_altered), times in older.items():
            told = translate_plural("once", "%(num)s times", times)
            yield _text(escape(f"{month} · {timeline.agency(client_id)} · {told}"))
            if is_altered:
                yield _text(escape(translate(timeline.CHANGED)), "soft")


def _section(title: str, lines: list[Any]) -> Iterator[Any]:
    yield _text(translate(title), "section")
    yield from lines or [_text(translate(_NOTHING), "soft")]


def _fact(label: str, value: object, note: str = "") -> Any:
    tail = (
        f' <font color="{_SOFT.hexval().replace("0x", "#")}">({escape(note)})</font>'
        if note
        else ""
    )
    return _text(f"<b>{escape(label)}:</b> {escape(str(value))}{tail}")


def _text(markup: str, style: str = "body") -> Any:
    return Paragraph(markup, _styles()[style]) if markup else Spacer(0, 0)


@cache
def _styles() -> dict[str, ParagraphStyle]:
    body = ParagraphStyle(
        "body", fontName=_REGULAR, fontSize=9.5, leading=14, textColor=_INK, splitLongWords=True
    )

    def variant(name: str, **changes: Any) -> ParagraphStyle:
        return ParagraphStyle(name, parent=body, **changes)

    return {
        "body": body,
        "title": variant("title", fontName=_BOLD, fontSize=22, leading=30, textColor=_LEAF),
        "section": variant(
            "section", fontName=_BOLD, fontSize=14, leading=20, textColor=_LEAF, spaceBefore=14,
            spaceAfter=4, keepWithNext=True,
        ),
        "name": variant("name", fontName=_BOLD, spaceBefore=7, keepWithNext=True),
        "soft": variant("soft", fontSize=8.5, leading=12, textColor=_SOFT),
        "quote": variant("quote", leftIndent=12, fontSize=9, leading=13),
    }  # fmt: skip


@cache
def _load_fonts() -> None:
    registerFont(TTFont(_REGULAR, _FONTS / "be-vietnam-pro-regular.ttf"))
    registerFont(TTFont(_BOLD, _FONTS / "be-vietnam-pro-semibold.ttf"))
    registerFontFamily(_REGULAR, normal=_REGULAR, bold=_BOLD, italic=_REGULAR, boldItalic=_BOLD)


def _foot(canvas: Any, document: Any) -> None:
    canvas.saveState()
    canvas.setFont(_REGULAR, 8)
    canvas.setFillColor(_SOFT)
    canvas.drawString(20 * mm, 11 * mm, BRAND)
    canvas.drawRightString(190 * mm, 11 * mm, translate(_PAGE, number=document.page))
    canvas.restoreState()
