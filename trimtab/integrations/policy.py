"""Numbers for trainers that know nothing but numbers, and what to do where there is none.

A response without a verdict is nobody's 0 by accident: what the response itself is to blame for
(its own time or size limit) may count as 0 on request, so that text that cannot be judged is no
refuge; what anything else is to blame for never does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from trimtab.common.v1 import outcome_pb2
from trimtab.errors import TrimtabError
from trimtab.outcomes import checked, outcome_name
from trimtab.reward.v1 import reward_pb2

ItemFailure = Literal["zero", "null", "error"]
MachineryFailure = Literal["null", "error"]


class NoVerdict(TrimtabError):
    """A response that could not be judged, where the caller needs a number."""

    def __init__(self, result: reward_pb2.ScoreResult, index: int) -> None:
        """`index`: which one of the call."""
        name = outcome_name(result.outcome)
        super().__init__(f"no verdict on response {index}: {name}: {result.detail}")
        self.index = index
        self.outcome = name
        self.detail = result.detail

    @property
    def is_reference(self) -> bool:
        """True if the reference is to blame, so that coming again is no use."""
        return self.outcome == "invalid_reference"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A result as trainers take it."""

    reward: float | None
    """None: there is no verdict, and the trainer is to leave the sample out."""
    is_valid: bool
    """False where no verifier gave the reward."""
    outcome: str
    """The outcome in lower case, as "correct"."""
    answer: str
    """The answer that was found in the response."""

    @property
    def score(self) -> float | None:
        """The reward within [0, 1]."""
        return None if self.reward is None else min(1.0, max(0.0, self.reward))


def verdicts_of(
    results: Sequence[reward_pb2.ScoreResult],
    *,
    on_item_failure: ItemFailure,
    on_machinery_failure: MachineryFailure,
) -> list[Verdict]:
    """One verdict a result.

    Raises:
        NoVerdict: one has none, and its policy is `error`.
    """
    verdicts = []
    for index, raw in enumerate(results):
        result = checked(raw)
        reward = result.reward if result.HasField("reward") else None
        if reward is None:
            item = result.cause == outcome_pb2.CAUSE_ITEM
            policy = on_item_failure if item else on_machinery_failure
            if policy == "error":
                raise NoVerdict(result, index)
            reward = 0.0 if policy == "zero" else None
        verdicts.append(
            Verdict(
                reward=reward,
                is_valid=result.HasField("reward"),
                outcome=outcome_name(result.outcome),
                answer=result.extracted_answer,
            )
        )
    return verdicts
