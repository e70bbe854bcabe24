"""Strict reading of parameters."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idp.oidc import wire

CLEAN = st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=20)
PAIRS = st.lists(st.tuples(CLEAN.filter(bool), CLEAN), max_size=8)


@given(PAIRS)
@settings(deadline=None, max_examples=60)
def test_what_was_encoded_is_read_back(pairs: list[tuple[str, str]]) -> None:
    query = wire.with_query("https://x.example/", pairs).partition("?")[2]
    assert wire.parse(query.encode()) == pairs


@given(st.binary(max_size=60))
@settings(deadline=None, max_examples=100)
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        pairs = wire.parse(data)
    except wire.MalformedError:
        return
    for name, value in pairs:
        assert not [sign for sign in name + value if ord(sign) < 0x20]


@pytest.mark.parametrize(
    "data", [b"a=%00", b"a=%0a", b"a=%ff", b"a=\xc3\xa9", b"a=%ed%a0%80", b"a=%7f", b"%01=x",
             b"a=" + b"x" * 8193, b"n" * 257 + b"=x", b"&a=1" * 65]
)  # fmt: skip
def test_what_cannot_be_read_cleanly_is_refused(data: bytes) -> None:
    with pytest.raises(wire.MalformedError):
        wire.parse(data)


def test_a_doubled_parameter_is_refused_and_an_empty_one_is_absent() -> None:
    assert wire.once([("a", "1"), ("b", "")]) == {"a": "1"}
    with pytest.raises(wire.MalformedError):
        wire.once([("a", ""), ("a", "1")])


def test_a_query_is_added_to_the_one_that_is_there() -> None:
    assert (
        wire.with_query("https://x.example/cb?k=1", [("a", "b c")])
        == "https://x.example/cb?k=1&a=b+c"
    )
