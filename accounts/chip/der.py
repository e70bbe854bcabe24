"""Tags, lengths and values, as strictly as DER wants them (X.690)."""

from collections.abc import Iterator
from typing import NamedTuple

from accounts.chip.errors import ChipRefusedError

SEQUENCE, SET, INTEGER, OCTETS, OBJECT_ID = 0x30, 0x31, 0x02, 0x04, 0x06
STRINGS = frozenset({0x0C, 0x13, 0x16})
"""UTF8String, PrintableString and IA5String."""
_MORE_TAG = 0x1F


class Element(NamedTuple):
    """One element; ``tag`` has all its bytes as a number, like 0x5F1F."""

    tag: int
    value: bytes

    def children(self) -> "tuple[Element, ...]":
        """Return the elements that the value is made of."""
        return tuple(elements(self.value))


def only(data: bytes, tag: int) -> Element:
    """Return the one element that the bytes are.

    Raises:
        ChipRefusedError: they are something else, or there is more.
    """
    found = tuple(elements(data))
    if len(found) != 1 or found[0].tag != tag:
        raise ChipRefusedError("unreadable")
    return found[0]


def elements(data: bytes) -> Iterator[Element]:
    """Read element after element.

    Raises:
        ChipRefusedError: something is no DER.
    """
    at = 0
    while at < len(data):
        tag, at = _tag(data, at)
        length, at = _length(data, at)
        if at + length > len(data):
            raise ChipRefusedError("unreadable")
        yield Element(tag, data[at : at + length])
        at += length


def encoded(tag: int, value: bytes) -> bytes:
    """Return an element's bytes."""
    tag_bytes = tag.to_bytes((tag.bit_length() + 7) // 8, "big")
    size = len(value)
    if size < 0x80:
        return tag_bytes + bytes([size]) + value
    size_bytes = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return tag_bytes + bytes([0x80 | len(size_bytes)]) + size_bytes + value


def _tag(data: bytes, at: int) -> tuple[int, int]:
    if data[at] & _MORE_TAG != _MORE_TAG:
        return data[at], at + 1
    # Two bytes are all that Doc 9303 uses.
    if at + 1 >= len(data) or data[at + 1] & 0x80:
        raise ChipRefusedError("unreadable")
    return data[at] << 8 | data[at + 1], at + 2


def _length(data: bytes, at: int) -> tuple[int, int]:
    if at >= len(data):
        raise ChipRefusedError("unreadable")
    first = data[at]
    if first < 0x80:
        return first, at + 1
    count = first & 0x7F
    size = data[at + 1 : at + 1 + count]
    if not 1 <= count <= 4 or len(size) != count or not size[0]:
        raise ChipRefusedError("unreadable")
    length = int.from_bytes(size, "big")
    if length < 0x80:
        raise ChipRefusedError("unreadable")
    return length, at + 1 + count
