"""The tamper drills of bench/drills.py, at their small size: who has to notice an attack does, and what no
log can show is noticed by reconciliation or an opening audit alone (measure 14).
"""

import pytest

from bench.drills import BEYOND_LOGS, DRILLS, Base, run, run_clean


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


def test_what_no_log_can_catch_fails_through_reconciliation_or_opening_audit_only() -> None:
    beyond = {name for name, one in DRILLS.items() if one.must and one.must <= BEYOND_LOGS}
    assert beyond == {
        "a_row_is_deleted_before_it_is_taken_and_the_chain_set_back",
        "a_release_is_never_logged",
        "a_register_is_made_to_answer_and_nothing_is_logged",
        "an_entry_is_filed_under_an_invented_person",
        "an_entry_is_filed_under_an_invented_number",
    }
    assert [one.name for one in DRILLS.values() if not one.must] == [
        "the_sequencer_is_killed_mid_batch"
    ]
