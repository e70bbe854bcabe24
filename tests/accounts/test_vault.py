"""Sealing and indexing."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.errors import SealBrokenError
from accounts.vault import Vault
from tests.support.stores import INSTALLATION_SECRET

VAULT = Vault(INSTALLATION_SECRET)


@given(st.binary(max_size=200), st.text(max_size=20))
@settings(deadline=None, max_examples=30)
def test_what_was_sealed_can_be_opened_in_its_place(plain: bytes, context: str) -> None:
    assert VAULT.open("a", VAULT.seal("a", plain, context=context), context=context) == plain


@pytest.mark.parametrize(
    "change", ["purpose", "context", "bit", "short", "version", "secret", "empty"]
)
def test_sealed_bytes_open_nowhere_else(change: str) -> None:
    sealed = VAULT.seal("a", b"plain", context="c")
    vault, purpose, context = VAULT, "a", "c"
    match change:
        case "purpose":
            purpose = "b"
        case "context":
            context = "d"
        case "bit":
            sealed = sealed[:-1] + bytes([sealed[-1] ^ 1])
        case "short":
            sealed = sealed[:20]
        case "version":
            sealed = b"\x02" + sealed[1:]
        case "secret":
            vault = Vault(b"another secret of the same length")
        case _:
            sealed = b""
    with pytest.raises(SealBrokenError):
        vault.open(purpose, sealed, context=context)


def test_parts_of_a_mac_cannot_slide_into_one_another() -> None:
    assert VAULT.mac("p", "ab", "c") != VAULT.mac("p", "a", "bc")
    assert VAULT.mac("p", "a", "") != VAULT.mac("p", "a")


def test_a_short_secret_makes_no_vault() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Vault(b"x" * 31)


def test_the_index_of_one_type_says_nothing_of_another() -> None:
    assert VAULT.blind_index("login", "x") != VAULT.blind_index("passport", "x")
