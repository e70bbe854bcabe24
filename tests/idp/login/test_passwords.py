"""Passwords that are tried first are refused (NIST SP 800-63B §5.1.1.2); passphrases are welcome."""

import hashlib
import secrets
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from accounts.errors import PasswordUnsuitableError
from accounts.secrets import PasswordHashing
from accounts.vault import Vault
from idp.login.breached import BreachedPasswords
from idp.login.passwords import hash_new

ABOUT = ("Sen ID", "Nguyễn Thị Hương Lan", "lan.nguyen", "999190000001")


@pytest.fixture(scope="module")
def hashing() -> PasswordHashing:
    return PasswordHashing(Vault(secrets.token_bytes(48)))


@pytest.mark.parametrize(
    "plain",
    ["password1234", "123456789012", "qwertyuiop12", "P@ssw0rd1234", "iloveyou1234", "abcdefghijkl",
     "matkhau12345", "Matkhau@2026", "anhyeuem1234", "vietnam12345", "senid2026!!!", "hanoi1234567",
     "lan lan lan lan", "abcabcabcabcabc", "Nguyễn Thị Hương Lan", "nguyenthihuonglan",
     "NguyenThiHuongLan1", "999190000001", "lan.nguyen999", "password password"],
)  # fmt: skip
def test_a_password_that_is_tried_first_is_refused(hashing: PasswordHashing, plain: str) -> None:
    with pytest.raises(PasswordUnsuitableError) as refused:
        hash_new(hashing, plain, about=ABOUT)
    assert refused.value.detail in {"too-common", "too-simple"}


@pytest.mark.parametrize(
    "plain",
    ["bốn lá sen xanh", "correct horse battery", "Trời hôm nay rất xanh", "K7-fj29 qkz!e",
     "một con vịt xòe ra", "x" * 3 + "🌸🪷🍃🌾🌿🌱🍀🌵🌴", "({@4<6|1!0$5+7%2" * 60],
    ids=lambda text: text[:12],
)  # fmt: skip
def test_any_other_is_taken_and_opens(hashing: PasswordHashing, plain: str) -> None:
    assert hashing.verify(hash_new(hashing, plain, about=ABOUT), plain)


@pytest.mark.parametrize(("plain", "detail"), [("short", "too-short"), ("é" * 600, "too-long")])
def test_length_is_judged_first(hashing: PasswordHashing, plain: str, detail: str) -> None:
    with pytest.raises(PasswordUnsuitableError) as refused:
        hash_new(hashing, plain, about=ABOUT)
    assert refused.value.detail == detail


@pytest.mark.parametrize(
    "plain",
    [
        "({@4<6|1!0$5+7%2" * 64,
        "@$!0134567892" * 70,
        "p4$$w0rd" * 100,
        "1" * 1000,
        "12/03/1990" * 90,
    ],
    ids=lambda text: text[:12],
)
def test_no_password_takes_long_to_judge(hashing: PasswordHashing, plain: str) -> None:
    begun = time.thread_time()
    with suppress(PasswordUnsuitableError):
        hash_new(hashing, plain, about=ABOUT)
    assert time.thread_time() - begun < 2


def test_what_is_known_of_one_person_is_not_held_against_another(hashing: PasswordHashing) -> None:
    taken: list[str] = []

    def choose() -> None:
        name = "Phạm Gia Bảo Châu"
        taken.extend(hash_new(hashing, name, about=("Trần Văn Minh",)) for _ in range(5))

    def refuse() -> None:
        for _ in range(5):
            with pytest.raises(PasswordUnsuitableError):
                hash_new(hashing, "Phạm Gia Bảo Châu", about=("Phạm Gia Bảo Châu",))

    threads = [threading.Thread(target=work) for work in (choose, refuse)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 5


BREACHED = [f"nine words from a breach number {n}" for n in range(500)]


@pytest.fixture(scope="module", params=["counted", "bare", "dos"])
def breached(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    hashes = sorted(hashlib.sha1(one.encode()).hexdigest().upper() for one in BREACHED)
    end = {"counted": ":3\n", "bare": "\n", "dos": ":17\r\n"}[request.param]
    path = tmp_path_factory.mktemp("breached") / "list.txt"
    path.write_bytes("".join(one + end for one in hashes).encode())
    return path


def test_a_password_of_a_known_breach_is_found_in_the_file(breached: Path) -> None:
    known = BreachedPasswords(breached)
    assert all(known.has(one) for one in BREACHED)
    assert not any(known.has(f"{one}!") for one in BREACHED)


def test_what_was_in_a_breach_cannot_be_chosen(hashing: PasswordHashing, breached: Path) -> None:
    known = BreachedPasswords(breached)
    with pytest.raises(PasswordUnsuitableError) as refused:
        hash_new(hashing, BREACHED[7], about=ABOUT, breached=known)
    assert refused.value.detail == "too-common"
    assert hash_new(hashing, BREACHED[7], about=ABOUT)


@pytest.mark.parametrize("content", [b"", b"\n\n", b"hunter2\n"])
def test_an_empty_or_strange_file_holds_nothing(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "list.txt"
    file.write_bytes(content)
    assert not BreachedPasswords(file).has("hunter2")
