"""Both languages, whole and equal."""

from datetime import UTC, date, datetime

import pytest

from accounts.notices import NoticeKind
from consent.data_use import Channel
from idp.alarm import DISAVOWABLE
from idp.web import notice_words, timeline
from idp.web.citizen.notices import ADVICE
from idp.web.language import (
    LANGUAGES,
    choose,
    show_date,
    show_datetime,
    show_time,
    untranslated,
    unused,
)
from idp.web.regulator import overview
from tests.support.world import World


def test_every_text_has_a_vietnamese_one() -> None:
    assert untranslated() == []


def test_no_vietnamese_text_is_left_over() -> None:
    assert unused() == []


def test_whatever_is_recorded_or_told_has_its_words(world: World) -> None:
    # A sealed read stands in no person's record until it is a use like any other.
    told = {channel.value for channel in Channel} - {Channel.SEALED.value}
    with world.app.test_request_context():
        assert timeline.channels().keys() == told
        assert timeline.channels(of_organisation=True).keys() == told
        assert timeline.channels(of_another=True).keys() == told
    assert overview.CHANNELS.keys() == set(Channel)
    assert notice_words.TITLES.keys() == set(NoticeKind)
    assert ADVICE.keys() | DISAVOWABLE == set(NoticeKind)


@pytest.mark.parametrize(
    ("remembered", "ui_locales", "accept", "expected"),
    [
        (None, None, None, "vi"),
        (None, None, "en-GB,en;q=0.9", "en"),
        (None, None, "fr, en;q=0.5, vi;q=0.1", "en"),
        (None, None, "en;q=0", "vi"),
        ("en", None, "vi", "en"),
        ("xx", None, "en", "en"),
        ("vi", "en-AU vi", None, "en"),
        ("en", "fr de", "vi", "en"),
        (None, "", "; ;q=x,,", "vi"),
    ],
)
def test_the_plainest_wish_counts(
    remembered: str | None, ui_locales: str | None, accept: str | None, expected: str
) -> None:
    assert choose(remembered=remembered, ui_locales=ui_locales, accept_language=accept) == expected


def test_times_are_those_of_viet_nam() -> None:
    moment = datetime(2026, 5, 1, 20, 30, tzinfo=UTC)
    assert show_time(moment) == "03:30"
    assert show_date(moment) == "2 tháng 5 năm 2026"
    assert show_date(date(2026, 5, 1), "short") == "01/05/2026"
    assert show_datetime(moment, "short") == "03:30, 02/05/2026"


def test_a_time_without_a_zone_cannot_be_shown() -> None:
    with pytest.raises(ValueError, match="time zone"):
        show_time(datetime(2026, 5, 1))  # noqa: DTZ001


PAGES = ["/", "/about", "/transparency", "/sign-in", "/activate", "/me", "/me/download", "/me/notices", "/me/notices/choices", "/me/uses", "/me/consents", "/me/passkeys",
         "/me/sessions", "/me/details", "/me/applications", "/apply", "/apply/citizen",
         "/apply/foreigner", "/apply/follow", "/logout", "/signed-out", "/nope"]  # fmt: skip


@pytest.mark.parametrize("path", PAGES)
def test_every_page_exists_in_both_languages(world: World, path: str) -> None:
    browser = world.sign_in()
    texts = {}
    for language in LANGUAGES:
        browser.open(f"/language/{language}")
        page = browser.open(path)
        assert page.status == (404 if path == "/nope" else 200)
        assert f'lang="{language}"' in page.html
        texts[language] = page.text
    assert texts["vi"] != texts["en"]
