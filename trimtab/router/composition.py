"""Makes one reward from the results of several verifiers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from trimtab.common.v1 import outcome_pb2
from trimtab.outcomes import REWARDED, Outcome
from trimtab.reward.v1 import reward_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleReward:
    """What became of one sample."""

    outcome: Outcome.ValueType
    """The first failure, or else the first verifier's outcome."""
    reward: float | None
    """Weighted sum; None if the sample is invalid."""
    components: Mapping[str, float]
    """Each verifier's reward by name, unweighted."""
    spans: tuple[reward_pb2.RewardSpan, ...]
    """Rewards of parts of the response, unweighted."""
    extracted_answer: str
    """The answer that the first verifier found."""
    detail: str
    """Why this outcome."""
    verifier_version: str
    """Versions of the verifiers, joined by commas."""
    elapsed_s: float
    """The longest time that a verifier took."""

    @property
    def valid(self) -> bool:
        """True if the sample may be trained on."""
        return self.reward is not None

    @property
    def correct(self) -> bool:
        """True if the first verifier found the answer right."""
        return self.outcome == outcome_pb2.OUTCOME_CORRECT


def compose(
    results: Mapping[str, reward_pb2.ScoreResult],
    weights: Mapping[str, float],
    on_item_failure: Literal["exclude", "incorrect"],
) -> SampleReward:
    """One reward from the results by verifier name, the first verifier first."""
    first = next(iter(results.values()))
    components: dict[str, float] = {}
    failure: reward_pb2.ScoreResult | None = None
    failed_item: reward_pb2.ScoreResult | None = None
    for name, result in results.items():
        if result.outcome in REWARDED:
            components[name] = result.reward
            components.update({f"{name}/{key}": part for key, part in result.components.items()})
        elif result.cause == outcome_pb2.CAUSE_ITEM and on_item_failure == "incorrect":
            components[name] = 0.0
            failed_item = failed_item or result
        else:
            failure = failure or result
    said = failure or failed_item or first
    counted_incorrect = failure is None and failed_item is not None
    reward = sum(weights[name] * components[name] for name in results if name in components)
    return SampleReward(
        outcome=outcome_pb2.OUTCOME_INCORRECT if counted_incorrect else said.outcome,
        reward=None if failure is not None else reward,
        components=components,
        spans=tuple(span for result in results.values() for span in result.spans),
        extracted_answer=first.extracted_answer,
        detail=said.detail,
        verifier_version=",".join(result.verifier_version for result in results.values()),
        elapsed_s=max(result.elapsed.ToTimedelta().total_seconds() for result in results.values()),
    )
