"""How names and words are written, compared and found."""

import unicodedata


def composed(text: str) -> str:
    """Return the text in Unicode's composed form (NFC), the one in which names are kept."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def folded(text: str) -> str:
    """Return the text without diacritics and case, so that "ho ten" finds "Họ tên".

    For finding only: two people whose names differ in marks are two people.
    """
    apart = unicodedata.normalize("NFD", text.casefold())
    plain = "".join(sign for sign in apart if not unicodedata.combining(sign))
    # The crossed d is a letter of its own and comes apart in no form of Unicode.
    return " ".join(plain.replace("đ", "d").split())
