"""Print how large the files and functions of each package are; a guide for the eye, not a gate.

A function is measured from `def` to its last line, docstring included. Migrations are left out.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PACKAGES = ("accounts", "connectors", "consent", "idp", "tests")
LONGEST_SHOWN = 10


class Function(NamedTuple):
    """How long a function is, and where it stands."""

    lines: int
    place: str


def functions(path: Path, tree: ast.Module) -> Iterator[Function]:
    """Find the functions and methods of a file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
            yield Function(node.end_lineno - node.lineno + 1, f"{path}:{node.lineno} {node.name}")


def figures(sizes: list[int]) -> str:
    """Return the median, the 95th percentile and the largest of the sizes."""
    ordered = sorted(sizes) or [0]
    high = ordered[min(len(ordered) - 1, len(ordered) * 95 // 100)]
    return f"{ordered[len(ordered) // 2]:>4} {high:>4} {ordered[-1]:>4}"


def main() -> None:
    """Print the table and the longest functions."""
    print(f"{'':<12}{'lines':>7}{'files':>7}   file: median p95 max   function: median p95 max")
    everything: list[Function] = []
    for package in PACKAGES:
        files = {path: path.read_text("utf-8") for path in sorted(Path(package).rglob("*.py"))}
        if not files:
            continue
        found = [f for path, text in files.items() for f in functions(path, ast.parse(text))]
        lengths = [len(text.splitlines()) for text in files.values()]
        print(
            f"{package:<12}{sum(lengths):>7}{len(files):>7}         {figures(lengths)}"
            f"             {figures([f.lines for f in found])}"
        )
        if package != "tests":
            everything += found
    print("\nThe longest functions:")
    for function in sorted(everything, reverse=True)[:LONGEST_SHOWN]:
        print(f"{function.lines:>6}  {function.place}")


if __name__ == "__main__":
    main()
