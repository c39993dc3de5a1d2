"""The clipped surrogate, asymmetric, with dual clip."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from learner.batch import TokenBatch

_MAX_LOG_RATIO = 20.0


@dataclass(slots=True, kw_only=True)
class ClipOutput:
    """Token losses and what clipping did; tensors are [B, T]."""

    losses_BT: torch.Tensor
    """Loss of each token."""
    ratio_BT: torch.Tensor
    """Current over old probability; the gradient flows through it."""
    gradient_alive_BT: torch.Tensor
    """1 where clipping leaves the gradient, 0 where it takes it away."""
    metrics: dict[str, float]
    """Shares of clipped tokens."""


def ppo_clip(
    batch: TokenBatch, *, eps_low: float, eps_high: float, dual_clip: float | None
) -> ClipOutput:
    """max(-A r, -A clip(r, 1 - eps_low, 1 + eps_high)), at most -A dual_clip where A < 0.

    Sources: arXiv 1707.06347; asymmetric bounds arXiv 2503.14476; dual clip arXiv 1912.09729.
    """
    advantages_BT = batch.advantages
    log_ratio_BT = (batch.logp - batch.old_logp).clamp(-_MAX_LOG_RATIO, _MAX_LOG_RATIO)
    ratio_BT = log_ratio_BT.exp()
    free_BT = -advantages_BT * ratio_BT
    clipped_BT = -advantages_BT * ratio_BT.clamp(1 - eps_low, 1 + eps_high)
    losses_BT = torch.maximum(free_BT, clipped_BT)
    negative_BT = advantages_BT < 0
    over_dual_BT = torch.zeros_like(negative_BT)
    if dual_clip is not None:
        bound_BT = -advantages_BT * dual_clip
        over_dual_BT = negative_BT & (losses_BT > bound_BT)
        losses_BT = torch.where(over_dual_BT, bound_BT, losses_BT)
    with torch.no_grad():
        over_clip_BT = clipped_BT > free_BT
        metrics = {
            "pg/clipfrac": over_clip_BT,
            "pg/clip_high": (ratio_BT > 1 + eps_high) & (advantages_BT > 0),
            "pg/clip_low": (ratio_BT < 1 - eps_low) & negative_BT,
            "pg/dual_clip": over_dual_BT,
            "policy/ppo_kl": batch.old_logp - batch.logp,
        }
        shares = {name: float(batch.token_mean(value)) for name, value in metrics.items()}
    return ClipOutput(
        losses_BT=losses_BT,
        ratio_BT=ratio_BT,
        gradient_alive_BT=(~(over_clip_BT | over_dual_BT)).to(losses_BT.dtype),
        metrics=shares,
    )
