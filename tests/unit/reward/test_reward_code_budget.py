"""The time that a program has."""

from __future__ import annotations

import pytest

from reward_server.programs.process import Budget, Failure


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
