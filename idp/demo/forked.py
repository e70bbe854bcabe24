"""A command of our own, run to its end in a copy of this process.

A new interpreter would load everything again before it did anything, and the demo's first start runs
twenty commands.
"""

import multiprocessing
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

Program = Callable[[Sequence[str]], object]
"""Runs a command with these arguments and ends by `SystemExit`, as a command line's main function does."""


def run(
    program: Program, arguments: Sequence[str], environment: Mapping[str, str]
) -> tuple[int, str, str]:
    """Return the exit code of the program and what it wrote to standard output and error.

    This process must have no other thread.
    """
    with TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        child = multiprocessing.get_context("fork").Process(
            target=_run, args=(program, arguments, environment, out, err)
        )
        child.start()
        try:
            child.join()
        except BaseException:
            child.kill()
            child.join()
            raise
        code = child.exitcode
        return 1 if code is None else code, _text(out), _text(err)


def _run(
    program: Program, arguments: Sequence[str], environment: Mapping[str, str], out: Path, err: Path
) -> None:
    for descriptor, path in ((1, out), (2, err)):
        with path.open("wb") as file:
            os.dup2(file.fileno(), descriptor)
    os.environ.clear()
    os.environ.update(environment)
    program(arguments)


def _text(path: Path) -> str:
    return path.read_text("utf-8", errors="replace") if path.exists() else ""
