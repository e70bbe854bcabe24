"""The tamper drills of bench/drills.py, at their small size: who has to notice an attack does, and where
no log can, nobody does (consent.md 4.1, measure 14).
"""

import pytest

from bench.drills import DRILLS, Base, run, run_clean


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return Base(tmp_path_factory.mktemp("drills") / "base")


@pytest.mark.parametrize("name", DRILLS)
def test_tampering_is_noticed_by_whom_it_must(base: Base, name: str) -> None:
    outcome = run(base, DRILLS[name])
    assert outcome.missed == set(), outcome.caught
    assert outcome.is_as_told, outcome.caught


def test_nobody_is_alarmed_where_nothing_happens(base: Base) -> None:
    assert run_clean(base) == {}


def test_every_case_that_no_log_can_catch_says_so() -> None:
    silent = [one for one in DRILLS.values() if not one.must]
    assert len(silent) == 4
    assert all(one.note for one in silent)
