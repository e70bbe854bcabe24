"""Passwords."""

import pytest
from argon2 import PasswordHasher

from accounts.errors import PasswordUnsuitableError
from accounts.secrets import PasswordHashing
from accounts.vault import Vault
from tests.support.stores import INSTALLATION_SECRET


@pytest.fixture(scope="module")
def hashing() -> PasswordHashing:
    return PasswordHashing(Vault(INSTALLATION_SECRET))


def test_the_right_password_fits_and_a_wrong_one_does_not(hashing: PasswordHashing) -> None:
    hashed = hashing.hash("mật khẩu đủ dài")
    assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert hashing.verify(hashed, "mật khẩu đủ dài")
    assert not hashing.verify(hashed, "mật khẩu đủ dai")


@pytest.mark.parametrize(
    ("plain", "why"),
    [("short", "too-short"), ("é" * 600, "too-long"), ("aaaaaaaaaaaaaa", "too-simple")],
)
def test_an_unsuitable_password_is_refused(hashing: PasswordHashing, plain: str, why: str) -> None:
    with pytest.raises(PasswordUnsuitableError) as refused:
        hashing.hash(plain)
    assert refused.value.detail == why


def test_in05_the_73rd_byte_counts(hashing: PasswordHashing) -> None:
    stem = "abcdefgh" * 9
    assert not hashing.verify(hashing.hash(stem + "x"), stem + "y")


def test_a_password_without_an_account_never_fits(hashing: PasswordHashing) -> None:
    assert not hashing.verify(None, "no account has this password")


def test_the_hash_is_worth_nothing_without_the_installations_secret(
    hashing: PasswordHashing,
) -> None:
    hashed = hashing.hash("correct horse battery")
    other = PasswordHashing(Vault(b"another secret of the same length"))
    assert not other.verify(hashed, "correct horse battery")


def test_a_broken_hash_fits_nothing(hashing: PasswordHashing) -> None:
    assert not hashing.verify("$argon2id$junk", "correct horse battery")


def test_a_weaker_hash_is_outdated(hashing: PasswordHashing) -> None:
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("x")
    assert hashing.is_outdated(weak)
    assert not hashing.is_outdated(hashing.hash("correct horse battery"))


def test_more_memory_makes_the_hashes_of_before_outdated(hashing: PasswordHashing) -> None:
    stronger = PasswordHashing(Vault(INSTALLATION_SECRET), mib=24)
    before = hashing.hash("correct horse battery")
    assert stronger.verify(before, "correct horse battery")
    assert stronger.is_outdated(before)
