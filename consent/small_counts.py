"""Small counts are not published: a figure below ten could tell what one person did.

Hiding a small figure alone is not enough where a sum over it is known as well (the published logs tell
how many entries a month has): then others of the same sum are hidden with it.
"""

from collections.abc import Callable, Hashable, Mapping
from typing import TypeVar

LEAST = 10
"""The smallest figure that is published."""
Cell = TypeVar("Cell", bound=Hashable)


def hidden(
    figures: Mapping[Cell, int], sums: tuple[Callable[[Cell], Hashable], ...]
) -> frozenset[Cell]:
    """Return the cells not to be published. Each of ``sums`` tells to which known sum a cell belongs.

    Of each sum none are hidden, or at least two that are at least ten together, where there are as
    many. Empty cells are not in ``figures``: that nothing happened is no secret.
    """
    found = {cell for cell, figure in figures.items() if figure < LEAST}
    groups: list[list[Cell]] = []
    for sum_of in sums:
        members: dict[Hashable, list[Cell]] = {}
        for cell in figures:
            members.setdefault(sum_of(cell), []).append(cell)
        groups += members.values()
    again = True
    while again:
        again = False
        for group in groups:
            away = [cell for cell in group if cell in found]
            shown = [cell for cell in group if cell not in found]
            told = sum(figures[cell] for cell in away)
            if away and shown and (len(away) == 1 or told < LEAST):
                found.add(min(shown, key=lambda cell: (figures[cell], repr(cell))))
                again = True
    return frozenset(found)
