"""Advantage estimators by name: how rewards become advantages. One file each."""

from __future__ import annotations

from collections.abc import Callable

import torch

from learner.advantages.grpo import grpo_advantages
from trimtab.config.objective import GrpoAdvantageConfig

AdvantageFunction = Callable[..., torch.Tensor]
"""`(rewards_B, valid_B, group_ids_B, **tensors) -> advantages_B`; invalid rows get 0."""


def build(config: GrpoAdvantageConfig) -> AdvantageFunction:
    """The estimator that the config names."""

    def estimate(
        rewards: torch.Tensor,
        valid: torch.Tensor,
        group_ids: torch.Tensor,
        **_: torch.Tensor,
    ) -> torch.Tensor:
        return grpo_advantages(
            rewards,
            valid,
            group_ids,
            eps=config.eps,
            std_ddof=config.std_ddof,
            single_sample=config.single_sample,
        )

    return estimate


__all__ = ["AdvantageFunction", "build", "grpo_advantages"]
