"""What the contract says of outcomes, and results that keep to it."""

from __future__ import annotations

import math

from trimtab.common.v1 import outcome_pb2
from trimtab.reward.v1 import reward_pb2

Outcome = outcome_pb2.Outcome
REWARDED: frozenset[int] = frozenset(
    {
        outcome_pb2.OUTCOME_CORRECT,
        outcome_pb2.OUTCOME_INCORRECT,
        outcome_pb2.OUTCOME_NO_ANSWER,
        outcome_pb2.OUTCOME_SCORED,
    }
)
"""Outcomes that carry a reward; all others make the sample invalid."""
_KNOWN = frozenset(Outcome.values()) - {outcome_pb2.OUTCOME_UNSPECIFIED}
_CAUSES = frozenset(outcome_pb2.Cause.values())
_LONGEST_S = 10_000 * 365 * 86_400
"""As protobuf bounds a Duration."""


def outcome_name(outcome: int) -> str:
    """The outcome in lower case without its prefix, as "timed_out"."""
    return Outcome.Name(Outcome.ValueType(outcome)).removeprefix("OUTCOME_").lower()


def failed(item_id: str, outcome: Outcome.ValueType, detail: str) -> reward_pb2.ScoreResult:
    """A result without a reward for which the machinery is to blame."""
    return reward_pb2.ScoreResult(
        id=item_id, outcome=outcome, detail=detail, cause=outcome_pb2.CAUSE_MACHINERY
    )


def checked(result: reward_pb2.ScoreResult) -> reward_pb2.ScoreResult:
    """The result, or VERIFIER_ERROR if it breaks the contract."""
    problem = _problem(result)
    if not problem:
        return result
    broken = failed(result.id, outcome_pb2.OUTCOME_VERIFIER_ERROR, f"broke the contract: {problem}")
    broken.verifier_version = result.verifier_version
    return broken


def _problem(result: reward_pb2.ScoreResult) -> str:
    if result.outcome not in _KNOWN:
        return f"outcome {result.outcome} is not known"
    if result.cause not in _CAUSES:
        return f"cause {result.cause} is not known"
    if not 0 <= result.elapsed.seconds < _LONGEST_S:
        return f"an elapsed time of {result.elapsed.seconds} s cannot be"
    if result.outcome in REWARDED:
        if not result.HasField("reward"):
            return f"{outcome_name(result.outcome)} came without a reward"
        numbers = [result.reward, *result.components.values()]
        numbers += [span.reward for span in result.spans]
        if not all(map(math.isfinite, numbers)):
            return "a reward is not finite"
    elif result.HasField("reward"):
        return f"{outcome_name(result.outcome)} came with a reward"
    return ""
