"""What is hidden stays hidden from whoever knows the sums."""

from hypothesis import given
from hypothesis import strategies as st

from consent.small_counts import LEAST, hidden

CELLS = st.dictionaries(
    st.tuples(st.sampled_from("mn"), st.sampled_from("abc"), st.sampled_from("xyz")),
    st.integers(1, 40),
)
SUMS = (lambda cell: cell[0], lambda cell: cell[:2])


@given(CELLS)
def test_no_known_sum_gives_a_small_figure_away(figures: dict[tuple[str, ...], int]) -> None:
    away = hidden(figures, SUMS)
    assert away >= {cell for cell, figure in figures.items() if figure < LEAST}
    for sum_of in SUMS:
        for group in {sum_of(cell) for cell in figures}:
            members = [cell for cell in figures if sum_of(cell) == group]
            gone = [cell for cell in members if cell in away]
            if gone and gone != members:
                assert len(gone) > 1
                assert sum(figures[cell] for cell in gone) >= LEAST


def test_nothing_is_hidden_without_need() -> None:
    figures = {("m", "a", "x"): 10, ("m", "b", "x"): 11, ("m", "c", "x"): 500}
    assert hidden(figures, SUMS) == frozenset()
    # One small figure takes the next smallest of its month along, and no more.
    small = {**figures, ("m", "a", "x"): 9}
    assert hidden(small, SUMS[:1]) == {("m", "a", "x"), ("m", "b", "x")}
