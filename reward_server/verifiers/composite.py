"""Makes one verdict from the verdicts of other verifiers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reward_server.verifiers.base import Outcome, Verdict, Verifier, version_of

REVISION = 1


class Composite:
    """The `composite` verifier: the parts' rewards, bounded and weighted, added up."""

    type = "composite"

    def __init__(self, options: Mapping[str, Any], verifiers: Mapping[str, Verifier]) -> None:
        """`options`: those of `CompositeVerifierConfig`; `verifiers`: at least its parts, by name.

        Raises:
            ValueError: a part is none of the verifiers.
        """
        self.options = dict(options)
        self._parts: Mapping[str, Mapping[str, Any]] = options["parts"]
        if unknown := sorted(self._parts.keys() - verifiers.keys()):
            known = ", ".join(verifiers) or "none"
            raise ValueError(
                f"part {unknown[0]!r} is no verifier of this server (there are {known})"
            )
        versions = {name: verifiers[name].version for name in self._parts}
        self.version = version_of(self.type, REVISION, {**options, "versions": versions})

    @property
    def part_names(self) -> tuple[str, ...]:
        """The verifiers whose verdicts it takes; the first decides the outcome."""
        return tuple(self._parts)

    def combine(self, verdicts: Mapping[str, Verdict]) -> Verdict:
        """The verdict, given one of each part. A part without a reward leaves the whole without.

        A part that abstains is left out, unless it is the first.
        """
        first = verdicts[self.part_names[0]]
        for name in self.part_names:
            verdict = verdicts[name]
            skipped = verdict.outcome is Outcome.ABSTAINED and verdict is not first
            if verdict.reward is None and not skipped:
                return Verdict(
                    outcome=verdict.outcome,
                    cause=verdict.cause,
                    detail=f"{name}: {verdict.detail}",
                    extracted_answer=first.extracted_answer,
                )
        rewards = {
            name: verdict.reward
            for name in self.part_names
            if (verdict := verdicts[name]).reward is not None
        }
        closed = [name for name in rewards if _is_closed(self._parts[name], rewards[name])]
        total = sum(
            self._parts[name]["weight"] * _bounded(self._parts[name], reward)
            for name, reward in rewards.items()
            if not closed or name in closed
        )
        shut = f"gate of {', '.join(closed)} is closed" if closed else ""
        return Verdict(
            outcome=first.outcome,
            reward=_bounded(self.options, total),
            extracted_answer=first.extracted_answer,
            detail="; ".join(text for text in (first.detail, shut) if text),
            components=rewards,
            confidence=first.confidence,
        )


def _is_closed(part: Mapping[str, Any], reward: float) -> bool:
    return part["gate"] is not None and reward < part["gate"]


def _bounded(bounds: Mapping[str, Any], reward: float) -> float:
    if bounds["minimum"] is not None:
        reward = max(reward, bounds["minimum"])
    if bounds["maximum"] is not None:
        reward = min(reward, bounds["maximum"])
    return reward
