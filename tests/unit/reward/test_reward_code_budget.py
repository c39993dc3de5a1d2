"""The time that a program has."""

from __future__ import annotations

import pytest

from reward_server.programs.process import Budget, Failure, SlowStarts


def test_time_that_is_spent_is_gone() -> None:
    budget = Budget(test_s=5.0, left_s=8.0)
    assert budget.limit_s() == 5.0
    budget.spend(5.0, disturbed=False)
    assert budget.limit_s() == 3.0


def test_who_is_disturbed_gets_the_time_back() -> None:
    budget = Budget(test_s=5.0, left_s=8.0)
    budget.spend(5.0, disturbed=True)
    assert budget.limit_s() == 5.0


@pytest.mark.parametrize("spent_s", [4.9, 0.0])
def test_a_program_that_disturbs_itself_comes_to_an_end(spent_s: float) -> None:
    budget = Budget(test_s=5.0, left_s=8.0)
    for _ in range(int(21 / max(spent_s, 0.05))):
        budget.spend(spent_s, disturbed=True)
    with pytest.raises(Failure, match="used up"):
        budget.limit_s()


def test_starts_and_tests_share_the_time_and_starts_are_no_failure() -> None:
    budget = Budget(test_s=5.0, left_s=8.0)
    budget.start(3.0)
    budget.spend(4.0, disturbed=False)
    assert budget.limit_s() == 4.0
    budget.start(0.5)
    with pytest.raises(SlowStarts, match="total_timeout_s"):
        budget.start(0.5)
