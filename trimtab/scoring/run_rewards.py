"""Judges rows as a run does: by all its verifiers, composed to one reward."""

from __future__ import annotations

from collections.abc import Sequence

from trimtab.outcomes import outcome_name
from trimtab.router import RewardRouter, Scorable
from trimtab.scoring.pipeline import Judged
from trimtab.scoring.rows import Row
from trimtab.scoring.verdicts import Verdict


class RunRewards:
    """The verifiers under `rewards` of a run's config."""

    def __init__(self, router: RewardRouter) -> None:
        """The caller closes the router."""
        self._router = router

    async def judge(self, rows: Sequence[Row]) -> Judged:
        """The composed verdict on each row; trouble with a server is one without a reward."""
        rewards = await self._router.score(
            [
                Scorable(
                    id=str(row.number),
                    group_id="",
                    prompt=row.prompt,
                    response=row.response,
                    references=row.references,
                    metadata=row.metadata,
                )
                for row in rows
            ]
        )
        verdicts = [
            Verdict(
                row=row.number,
                outcome=outcome_name(reward.outcome),
                reward=reward.reward,
                extracted_answer=reward.extracted_answer,
                detail=reward.detail,
                cause="",
                verifier_version=reward.verifier_version,
                elapsed_s=reward.elapsed_s,
                cached=False,
                confidence=None,
                components=list(reward.components.items()),
            )
            for row, reward in zip(rows, rewards, strict=True)
        ]
        return Judged(rows, verdicts)
