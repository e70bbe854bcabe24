"""A drawn face for everybody in the simulated population: nobody's photograph."""

import struct
import zlib

WIDTH, HEIGHT = 48, 64


def portrait(number: str) -> bytes:
    """Return a small grey PNG that is always the same for the same number."""
    lot = zlib.crc32(number.encode())
    skin, hair, back = 150 + lot % 60, 20 + (lot >> 8) % 60, 215 + (lot >> 16) % 30
    wide = 12 + (lot >> 24) % 4
    rows = b"".join(
        b"\0" + bytes(_shade(x, y, wide, skin, hair, back) for x in range(WIDTH))
        for y in range(HEIGHT)
    )
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", zlib.compress(rows))
        + _chunk(b"IEND", b"")
    )


def _shade(x: int, y: int, wide: int, skin: int, hair: int, back: int) -> int:
    across, down = x - WIDTH // 2, y - 28
    if y > 48 and abs(across) < y - 34:
        return hair
    if (across / wide) ** 2 + (down / 17) ** 2 > 1:
        return hair if (across / (wide + 3)) ** 2 + ((down + 3) / 19) ** 2 <= 1 and y < 34 else back
    is_eye = abs(abs(across) - 5) < 2 and abs(down + 2) < 2
    return hair if is_eye or (abs(across) < 5 and down == 9) else skin


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
