from __future__ import annotations

from typing import Any

import pytest

from trimtab.common.v1 import outcome_pb2
from trimtab.integrations.policy import NoVerdict, verdicts_of
from trimtab.reward.v1 import reward_pb2

HUNG = reward_pb2.ScoreResult(
    id="0", outcome=outcome_pb2.OUTCOME_TIMED_OUT, cause=outcome_pb2.CAUSE_ITEM
)
CUT = reward_pb2.ScoreResult(
    id="0", outcome=outcome_pb2.OUTCOME_TIMED_OUT, cause=outcome_pb2.CAUSE_MACHINERY
)
ABSTAINED = reward_pb2.ScoreResult(id="0", outcome=outcome_pb2.OUTCOME_ABSTAINED)
NOT_A_NUMBER = reward_pb2.ScoreResult(
    id="0", outcome=outcome_pb2.OUTCOME_SCORED, reward=float("nan")
)
UNSET = reward_pb2.ScoreResult(id="0")


def reward_of(result: reward_pb2.ScoreResult, item: Any, machinery: Any) -> float | None:
    [verdict] = verdicts_of([result], on_item_failure=item, on_machinery_failure=machinery)
    assert not verdict.is_valid
    return verdict.reward


def test_a_response_to_blame_follows_its_policy() -> None:
    assert reward_of(HUNG, "zero", "error") == 0.0
    assert reward_of(HUNG, "null", "error") is None
    with pytest.raises(NoVerdict, match="response 0: timed_out"):
        reward_of(HUNG, "error", "null")


@pytest.mark.parametrize("result", [CUT, ABSTAINED, NOT_A_NUMBER, UNSET])
def test_nothing_else_is_ever_a_number(result: reward_pb2.ScoreResult) -> None:
    assert reward_of(result, "zero", "null") is None
    with pytest.raises(NoVerdict):
        reward_of(result, "zero", "error")


@pytest.mark.parametrize(("reward", "score"), [(2.5, 1.0), (-1.0, 0.0), (0.25, 0.25)])
def test_a_score_is_within_zero_and_one(reward: float, score: float) -> None:
    result = reward_pb2.ScoreResult(id="0", outcome=outcome_pb2.OUTCOME_SCORED, reward=reward)
    [verdict] = verdicts_of([result], on_item_failure="error", on_machinery_failure="error")
    assert (verdict.reward, verdict.score, verdict.is_valid) == (reward, score, True)
