"""Names of outcomes, and which verdicts say the same."""

from __future__ import annotations

from trimtab.common.v1.outcome_pb2 import (
    OUTCOME_CORRECT,
    OUTCOME_INCORRECT,
    OUTCOME_NO_ANSWER,
    OUTCOME_SCORED,
    Outcome,
)
from trimtab.reward.v1 import reward_pb2

REWARDED: frozenset[int] = frozenset(
    {OUTCOME_CORRECT, OUTCOME_INCORRECT, OUTCOME_NO_ANSWER, OUTCOME_SCORED}
)
"""Outcomes that carry a reward."""


def outcome_name(outcome: int) -> str:
    """The outcome as the contract names it, as "TIMED_OUT"; a number that it does not know too."""
    if outcome in Outcome.values():
        return Outcome.Name(Outcome.ValueType(outcome)).removeprefix("OUTCOME_")
    return f"outcome {outcome}"


def is_judged(result: reward_pb2.ScoreResult) -> bool:
    """True if the result carries a reward as its outcome asks for."""
    return result.outcome in REWARDED and result.HasField("reward")


def is_same(first: reward_pb2.ScoreResult, second: reward_pb2.ScoreResult) -> bool:
    """True unless both are judged, and differently. NaN is the same as NaN."""
    if not (is_judged(first) and is_judged(second)):
        return True
    return (first.outcome, repr(first.reward)) == (second.outcome, repr(second.reward))


def shown(result: reward_pb2.ScoreResult) -> str:
    """The verdict in words, as "CORRECT with reward 1"."""
    text = outcome_name(result.outcome)
    if result.HasField("reward"):
        text += f" with reward {result.reward:g}"
    if result.detail and not is_judged(result):
        text += f" ({result.detail[:100]!r})"
    return text
