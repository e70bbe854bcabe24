"""Chains and commitments: pure hashing."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from consent.ledger import chain, commitment
from consent.ledger.canonical import canonical

ENTRY = {"id": "e", "position": 1, "attributes": ["name"], "consent_id": None}
HASHES = st.lists(st.binary(min_size=32, max_size=32), max_size=8)
VALUES = (
    st.none()
    | st.text(max_size=8)
    | st.integers(-10, 10)
    | st.lists(st.text(max_size=4), max_size=3)
)
ENTRIES = st.dictionaries(st.text(min_size=1, max_size=6), VALUES, max_size=5)


def test_the_canonical_form_is_one_line_in_the_order_of_the_keys() -> None:
    shuffled = dict(reversed(ENTRY.items()))
    assert canonical(ENTRY) == canonical(shuffled)
    assert canonical({"b": "ễ", "a": None}) == '{"a":null,"b":"ễ"}'.encode()


def test_a_commitment_depends_on_the_salt() -> None:
    one, other = (commitment.salt(key, "e") for key in (b"a" * 32, b"b" * 32))
    assert commitment.commit(b"{}", one) != commitment.commit(b"{}", other)
    assert commitment.salt(b"a" * 32, "e") != commitment.salt(b"a" * 32, "f")


@given(ENTRIES, ENTRIES)
@settings(deadline=None, max_examples=50)
def test_different_entries_have_different_commitments(
    one: dict[str, object], other: dict[str, object]
) -> None:
    salt = bytes(32)
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    texts = [canonical(entry) for entry in (one, other)]
    assert (commitment.commit(texts[0], salt) == commitment.commit(texts[1], salt)) is same


@given(HASHES, HASHES)
@settings(deadline=None, max_examples=50)
def test_only_the_same_commitments_in_the_same_order_give_the_same_head(
    one: list[bytes], other: list[bytes]
) -> None:
    assert (chain.fold(one) == chain.fold(other)) is (one == other)


@given(HASHES, HASHES)
@settings(deadline=None, max_examples=30)
def test_a_chain_can_be_followed_in_parts(one: list[bytes], other: list[bytes]) -> None:
    assert chain.fold(other, head=chain.fold(one)) == chain.fold(one + other)


def test_an_empty_chain_has_the_empty_head() -> None:
    assert chain.fold([]) == chain.EMPTY == bytes(32)
