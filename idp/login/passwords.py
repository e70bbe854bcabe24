"""Choosing a password: none of those that are tried first (NIST SP 800-63B §5.1.1.2).

What is common is known offline, from the lists that zxcvbn carries: the passwords of known breaches,
words and names, keyboard rows, sequences, repetitions and dates; and from the few words of ours that
a list made elsewhere lacks.
"""

import threading
import unicodedata
from collections.abc import Iterable
from functools import cache
from typing import Any

from accounts.errors import PasswordUnsuitableError
from accounts.secrets import PasswordHashing
from idp.login.breached import BreachedPasswords

TOO_COMMON = "too-common"
NONE_BREACHED = BreachedPasswords(None)

_LEAST_SCORE = 4
"""zxcvbn's "very unguessable": more than 10^10 guesses. One less would let two of the commonest words
with a sign between them pass.
"""
_LOOKED_AT = 40
"""So many characters at most are weighed; the time it takes grows with the cube of their number."""
# Signs that may stand for several letters make the time grow without bound.
_PLAIN_SIGNS = str.maketrans(dict.fromkeys("({[<+|%", "-"))
# The library keeps what is known of a person in a place that all threads share.
_weighing = threading.Lock()
_OURS = (
    "matkhau", "mật khẩu", "vietnam", "việt nam", "hanoi", "hà nội", "saigon", "sài gòn", "danang",
    "haiphong", "cantho", "anhyeuem", "emyeuanh", "yeuem", "maimai", "giadinh", "hanhphuc",
    "congdan", "cancuoc", "vneid", "dichvucong", "sen id", "senid", "hoasen",
)  # fmt: skip


def hash_new(
    hashing: PasswordHashing,
    plain: str,
    *,
    about: Iterable[str],
    breached: BreachedPasswords = NONE_BREACHED,
) -> str:
    """Return the hash of a password that somebody chose.

    ``about`` is what is known of her: a password made from it is as easy to guess as a common one.
    ``breached`` is the operator's list of passwords that somebody has lost before.

    Raises:
        PasswordUnsuitableError: the rules of ``PasswordHashing.hash``, or ``TOO_COMMON``.
    """
    hashed = hashing.hash(plain)
    with _weighing:
        known = dict.fromkeys(word.lower() for word in (*_words(about), *_OURS))
        weighed = _weigh()(plain[:_LOOKED_AT].translate(_PLAIN_SIGNS), list(known))
    if weighed["score"] < _LEAST_SCORE or breached.has(plain):
        raise PasswordUnsuitableError(TOO_COMMON)
    return hashed


def _words(about: Iterable[str]) -> Iterable[str]:
    """Return each text whole, without its spaces and word by word, with and without diacritics."""
    for text in about:
        for spelled in (text, _without_diacritics(text)):
            yield spelled
            yield spelled.replace(" ", "")
            yield from (word for word in spelled.split() if len(word) > 1)


def _without_diacritics(text: str) -> str:
    plain = unicodedata.normalize("NFD", text.replace("đ", "d").replace("Đ", "D"))
    return "".join(sign for sign in plain if not unicodedata.combining(sign))


@cache
def _weigh() -> Any:
    """Return the library's function: its lists take 14 MB, which most processes never need."""
    from zxcvbn import zxcvbn  # noqa: PLC0415

    return zxcvbn
