"""The tensors that objectives work on.

Shapes: B sequences, T response positions, N valid tokens, V vocabulary. Nats throughout.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch


@dataclass(slots=True, kw_only=True)
class TokenBatch:
    """A micro-batch. Tensors are [B, T] unless said otherwise; padding is finite and masked."""

    logp: torch.Tensor
    """Log-prob of each token under the current policy; the gradient flows through it."""
    old_logp: torch.Tensor
    """Log-prob under the policy at the start of the training step."""
    advantages: torch.Tensor
    """Advantages; a row's is the same at all of its tokens for outcome rewards."""
    mask: torch.Tensor
    """1 on tokens that the policy drew, 0 elsewhere."""
    ref_logp: torch.Tensor | None = None
    """Log-prob under the reference policy."""
    rollout_logp: torch.Tensor | None = None
    """Log-prob as the sampler reported it."""
    entropy: torch.Tensor | None = None
    """Entropy of the current policy's softmax over the vocabulary."""
    old_entropy: torch.Tensor | None = None
    """Entropy of the policy at the start of the training step."""
    s2: torch.Tensor | None = None
    """Sum over the vocabulary of p^2 (ln p + entropy), current policy."""
    sum_p2: torch.Tensor | None = None
    """Sum over the vocabulary of p^2, current policy."""
    old_sum_p2: torch.Tensor | None = None
    """Sum over the vocabulary of p^2 at the start of the training step."""
    nucleus_entropy: torch.Tensor | None = None
    """Entropy of the renormalised nucleus."""
    group_ids: torch.Tensor | None = None
    """[B] which prompt group each row belongs to."""
    turn_ids: torch.Tensor | None = None
    """Which turn each token belongs to."""
    lengths: torch.Tensor | None = None
    """[B] tokens of each response."""
    rewards: torch.Tensor | None = None
    """[B] reward of each row."""
    reward_components: Mapping[str, torch.Tensor] | None = None
    """[B] each, by verifier."""
    token_level_rewards: torch.Tensor | None = None
    """Rewards of single tokens."""
    steps: int = 0
    """Training steps before this one."""
    logits: torch.Tensor | None = None
    """[B, T, V], where an objective asks for it."""
    denominator_tokens: float | None = None
    """Valid tokens of the whole optimiser step; None: of this batch."""
    denominator_sequences: float | None = None
    """Rows with a valid token of the whole optimiser step; None: of this batch."""

    @property
    def num_tokens(self) -> float:
        """Valid tokens by which token means divide, at least 1."""
        if self.denominator_tokens is not None:
            return max(self.denominator_tokens, 1.0)
        return max(float(self.mask.sum()), 1.0)

    @property
    def num_sequences(self) -> float:
        """Rows by which sequence means divide, at least 1."""
        if self.denominator_sequences is not None:
            return max(self.denominator_sequences, 1.0)
        return max(float((self.mask.sum(dim=1) > 0).sum()), 1.0)

    def token_mean(self, values_BT: torch.Tensor) -> torch.Tensor:
        """This batch's part of the step's mean over valid tokens."""
        return (values_BT * self.mask).sum() / self.num_tokens


@dataclass(slots=True, kw_only=True)
class LossOutput:
    """What an objective makes of a batch."""

    loss: torch.Tensor
    """Scalar; summed over the micro-batches of an optimiser step it is the step's loss."""
    token_losses_BT: torch.Tensor
    """Loss of each token, weights included, before aggregation."""
    token_weights_BT: torch.Tensor
    """Weight of each token's loss; 0 where masked."""
    metrics: dict[str, float]
    """By name; names ending in `_min` and `_max` combine so, all others add up to step means."""


def combine_metrics(parts: list[dict[str, float]]) -> dict[str, float]:
    """The metrics of an optimiser step from those of its micro-batches."""
    combined: dict[str, float] = {}
    for part in parts:
        for name, value in part.items():
            if name not in combined:
                combined[name] = value
            elif name.endswith("_min"):
                combined[name] = min(combined[name], value)
            elif name.endswith("_max"):
                combined[name] = max(combined[name], value)
            else:
                combined[name] += value
    return combined


def mean_metrics(parts: list[dict[str, float]]) -> dict[str, float]:
    """The metrics of a training step: means over its optimiser steps, extremes of extremes."""
    combined = combine_metrics(parts)
    return {
        name: value if name.endswith(("_min", "_max")) else value / len(parts)
        for name, value in combined.items()
    }
