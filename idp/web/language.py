"""The two languages of every page: Vietnamese and English.

Message ids are the English texts. The Vietnamese ones stand in
``translations/vi.po``, which is read once when the application is set up; there
is no compiled catalogue and so no build step that could be forgotten.
"""

import io
from collections.abc import Iterator
from datetime import date, datetime
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import flask
from babel.core import Locale, get_global
from babel.dates import format_date, format_time
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

LANGUAGES = ("vi", "en")
"""The languages of the pages; the first is the default."""

TIME_ZONE = ZoneInfo("Asia/Ho_Chi_Minh")
"""The time zone in which every time is shown."""

_WEB = Path(__file__).parent
_CATALOGUE = _WEB / "translations" / "vi.po"

# English is spelled the international way; both orders are day, month, year.
_LOCALES = {"vi": "vi_VN", "en": "en_GB"}
_DATES = {
    "vi": {
        "long": "d 'tháng' M 'năm' y",
        "weekday": "EEEE, d 'tháng' M 'năm' y",
        "short": "dd/MM/y",
    },
    "en": {
        "long": "d MMMM y",
        "weekday": "EEEE, d MMMM y",
        "short": "d MMM y",
    },
}


def choose(*, remembered: str | None, ui_locales: str | None, accept_language: str | None) -> str:
    """The language for one request, in falling order of how plainly it was asked for.

    ``ui_locales`` is the authentication request's space-separated list of BCP 47
    tags (OpenID Connect Core 3.1.2.1), ``remembered`` what the person picked
    before, ``accept_language`` the browser's header. A tag counts by its primary
    subtag, so ``en-AU`` asks for English. Nothing usable means Vietnamese.
    """
    for tag in (ui_locales or "").split():
        if (language := _primary(tag)) in LANGUAGES:
            return language
    if remembered in LANGUAGES:
        return remembered
    for tag, quality in parse_accept_header(accept_language, LanguageAccept):
        if quality > 0 and (language := _primary(tag)) in LANGUAGES:
            return language
    return LANGUAGES[0]


def install(app: flask.Flask) -> None:
    """Teach the application's templates both languages.

    Adds ``_``, ``gettext``, ``ngettext`` and ``{% trans %}`` (texts are escaped
    like all else), and the filters ``date``, ``time`` and ``datetime``.
    """
    environment = app.jinja_env
    environment.policies["ext.i18n.trimmed"] = True
    environment.add_extension("jinja2.ext.i18n")
    # The extension adds this method to the environment at run time.
    install_callables = environment.install_gettext_callables  # type: ignore[attr-defined]
    install_callables(_gettext, _ngettext, newstyle=True)
    environment.filters["date"] = show_date
    environment.filters["time"] = show_time
    environment.filters["datetime"] = show_datetime
    _translations("vi")  # a broken catalogue stops the start, not the first visitor


def translate(message: str, /, **values: object) -> str:
    """The text in the current request's language, with ``%(name)s`` filled in."""
    text = _gettext(message)
    return text % values if values else text


def translate_plural(singular: str, plural: str, number: int, /, **values: object) -> str:
    """The text for this number of things, with ``%(num)s`` and the values filled in."""
    return _ngettext(singular, plural, number) % {"num": number, **values}


def N_(message: str, /) -> str:  # noqa: N802 - the name that gettext tools know
    """Mark a text that is translated later, by ``translate`` or ``_`` in a template."""
    return message


def show_date(value: date | datetime, style: str = "long") -> str:
    """A day in words (``long``, ``weekday``) or figures (``short``)."""
    language = _language()
    day = _local(value) if isinstance(value, datetime) else value
    return format_date(day, _DATES[language][style], locale=_LOCALES[language])


def show_time(value: datetime) -> str:
    """The hour and minute, on the 24-hour clock."""
    return format_time(_local(value).time(), "HH:mm", locale=_LOCALES[_language()])


def show_datetime(value: datetime, style: str = "long") -> str:
    """The hour, minute and day."""
    return f"{show_time(value)}, {show_date(value, style)}"


def show_country(code: str) -> str:
    """A country's name for its ISO 3166 code of two or three letters, or else the code."""
    two_letters = get_global("territory_aliases").get(code, [code])[0]
    return str(Locale(_language()).territories.get(two_letters, code))


def untranslated() -> list[str]:
    """The message ids used in templates and Python code that have no Vietnamese text.

    A text marked as fuzzy in the catalogue counts as missing.
    """
    catalogue = _catalogue()
    missing = set()
    for message in _used():
        entry = catalogue.get(message)
        singular = message if isinstance(message, str) else message[0]
        text = entry.string if entry and not entry.fuzzy else ""
        if not (all(text) if isinstance(text, tuple) else text):
            missing.add(singular)
    return sorted(missing)


def unused() -> list[str]:
    """The catalogue's message ids that no template and no Python code uses any more."""
    used = {message if isinstance(message, str) else message[0] for message in _used()}
    known = {entry.id if isinstance(entry.id, str) else entry.id[0] for entry in _catalogue()}
    return sorted(known - used - {""})


def _used() -> Iterator[str | tuple[str, ...]]:
    """Every message id in the package's templates and Python code."""
    methods = [("**.py", "python"), ("**.html", "jinja2.ext:babel_extract")]
    keywords = {
        "_": None,
        "gettext": None,
        "ngettext": (1, 2),
        "translate": None,
        "translate_plural": (1, 2),
        "N_": None,
    }
    for _file, _line, message, _comments, _context in extract_from_dir(
        _WEB.parent,
        method_map=methods,
        options_map={"**.html": {"trimmed": "true", "silent": "false"}},
        keywords=keywords,
    ):
        yield message


def _primary(tag: str) -> str:
    """The primary language subtag (RFC 5646, 2.2.1)."""
    return tag.replace("_", "-").split("-", 1)[0].lower()


def _local(value: datetime) -> datetime:
    """The moment on Vietnam's clocks; a time without a zone is a programming error."""
    if value.tzinfo is None:
        raise ValueError("a time to be shown must have a time zone")
    return value.astimezone(TIME_ZONE)


def _language() -> str:
    """The current request's language, or the default outside a request."""
    if not flask.has_app_context():
        return LANGUAGES[0]
    language: str = flask.g.get("language", LANGUAGES[0])
    return language


def _gettext(message: str) -> str:
    # The empty id stands for the catalogue's own header.
    return _translations(_language()).gettext(message) if message else ""


def _ngettext(singular: str, plural: str, number: int) -> str:
    return _translations(_language()).ngettext(singular, plural, number)


@cache
def _translations(language: str) -> NullTranslations:
    """The texts of a language; English needs none, its texts are the message ids."""
    if language == "en":
        return NullTranslations()
    compiled = io.BytesIO()
    write_mo(compiled, _catalogue())
    compiled.seek(0)
    return Translations(compiled)


def _catalogue() -> Catalog:
    """The Vietnamese texts as they stand in the file."""
    with _CATALOGUE.open("rb") as file:
        return read_po(file, locale="vi", abort_invalid=True)
