"""Files that a person takes with her: made away from memory, then sent."""

import csv
import io
import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any

import flask

_CHUNK = 64 * 1024
_IN_MEMORY = 1024 * 1024
_BYTE_ORDER_MARK = "\ufeff"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def made(
    write: Callable[[IO[bytes]], None], content_type: str, name: str, ending: str
) -> flask.Response:
    """Return a file that ``write`` fills, to be kept under a name with the day in it."""
    file: Any = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed when it was sent
    try:
        write(file)
    except BaseException:
        file.close()
        raise
    size = file.tell()
    file.seek(0)
    response = flask.Response(_sent(file), content_type=content_type)
    response.headers["Content-Length"] = str(size)
    day = flask.current_app.extensions["sen"].clock().strftime("%Y-%m-%d")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}-{day}.{ending}"'
    response.call_on_close(file.close)
    return response


def write_table(file: IO[bytes], rows: Iterable[Iterable[str]]) -> None:
    """Write rows as CSV (RFC 4180) that spreadsheets read as UTF-8, and as text and nothing else."""
    file.write(_BYTE_ORDER_MARK.encode())
    for row in rows:
        line = io.StringIO()
        csv.writer(line, lineterminator="\r\n").writerow([_harmless(cell) for cell in row])
        file.write(line.getvalue().encode())


def _harmless(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _sent(file: IO[bytes]) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK):
        yield chunk
