"""Bytes in base64url without padding (RFC 7515 §2), as tokens, keys and identifiers are spelled."""

from binascii import b2a_base64

_URL = bytes.maketrans(b"+/", b"-_")


def base64url(data: bytes) -> str:
    """Return the bytes so spelled. A sign-in does it a dozen times: one C call after the other, where
    ``base64`` goes through Python.
    """
    return b2a_base64(data, newline=False).translate(_URL, b"=").decode()
