"""STEER: tokens that would change the entropy much get a smaller weight (arXiv 2510.10150).

`theorem` is the paper's estimate, `released` what the authors' code computes, `exact` the
first-order change with all logits of the row. Weights carry no gradient.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from learner.batch import TokenBatch
from learner.entropy_change import exact_change, released_change, theorem_change
from learner.losses.ppo_clip import ClipOutput
from trimtab.config.objective import SteerConfig


@dataclass(frozen=True, slots=True)
class Extremes:
    """Smallest and largest estimate over the tokens of a scope."""

    smallest: float
    largest: float

    def merged(self, other: Extremes) -> Extremes:
        """The extremes of both."""
        return Extremes(min(self.smallest, other.smallest), max(self.largest, other.largest))


@torch.no_grad()
def steer_metric(batch: TokenBatch, clip: ClipOutput, config: SteerConfig) -> torch.Tensor:
    """Each token's estimated entropy change per unit of learning rate, [B, T].

    Its magnitude in mode `abs`; in mode `signed` a positive value raises the entropy. Values
    that are not finite count as 0, as do tokens whose gradient clipping took away if
    `apply_clip_indicator`.

    Raises:
        ValueError: the batch lacks a tensor that the estimate needs.
    """
    entropy = batch.old_entropy if config.entropy_source == "old" else batch.entropy
    if entropy is None:
        raise ValueError(f"steer needs the {config.entropy_source} entropy of each token")
    ratio = clip.ratio_BT.detach()
    logp = batch.logp.detach()
    if config.omega_form == "theorem":
        change = theorem_change(logp, entropy, batch.advantages, ratio)
    elif config.omega_form == "released":
        change = released_change(logp, batch.old_logp, entropy, batch.advantages)
    else:
        if batch.s2 is None:
            raise ValueError("steer with omega_form exact needs s2 of each token")
        change = exact_change(logp, entropy, batch.s2, batch.advantages, ratio)
    if config.apply_clip_indicator:
        change = change * clip.gradient_alive_BT
    change = torch.nan_to_num(change, nan=0.0, posinf=0.0, neginf=0.0) * batch.mask
    return change.abs() if config.sign_mode == "abs" else change


@torch.no_grad()
def extremes(metric_BT: torch.Tensor, mask_BT: torch.Tensor) -> Extremes:
    """The extremes over valid tokens; zeros if there are none."""
    values = metric_BT[mask_BT > 0]
    if values.numel() == 0:
        return Extremes(0.0, 0.0)
    return Extremes(float(values.min()), float(values.max()))


@torch.no_grad()
def steer_weights(
    metric_BT: torch.Tensor, mask_BT: torch.Tensor, scope: Extremes, config: SteerConfig
) -> tuple[torch.Tensor, float]:
    """The weights [B, T], 0 where masked, and the slope k of the exponential mapping."""
    if config.mapping == "linear":
        return _linear(metric_BT, scope, config) * mask_BT, 0.0
    largest = max(abs(scope.smallest), abs(scope.largest), config.metric_floor)
    if largest == 0:
        return torch.ones_like(metric_BT) * mask_BT, 0.0
    k = -math.log(config.lambda_min) / largest
    if config.sign_mode == "signed":
        weights_BT = (k * metric_BT).exp().clamp(config.lambda_min, config.lambda_max)
    else:
        weights_BT = (-k * metric_BT).exp().clamp(config.lambda_min, 1.0)
    return weights_BT * mask_BT, k


def _linear(metric_BT: torch.Tensor, scope: Extremes, config: SteerConfig) -> torch.Tensor:
    low, high = config.lambda_min, config.lambda_max
    span = scope.largest - scope.smallest
    if span == 0:
        return torch.full_like(metric_BT, (low + high) / 2)
    share_BT = (metric_BT - scope.smallest) / span
    rising = config.sign_mode == "signed"
    weights_BT = low + share_BT * (high - low) if rising else high - share_BT * (high - low)
    return weights_BT.clamp(low, high)
