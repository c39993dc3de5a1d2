"""Puts an advantage, a loss and a token weight together as the config says."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from learner.advantages import AdvantageFunction
from learner.advantages import build as build_advantages
from learner.batch import LossOutput, TokenBatch
from learner.losses import ClipOutput, aggregate, ppo_clip
from learner.token_weights import Extremes, steer_metric, steer_weights
from learner.token_weights.steer import extremes
from trimtab.config.objective import ObjectiveConfig


@dataclass(frozen=True, slots=True)
class Objective:
    """A training objective; pure functions of the batch."""

    config: ObjectiveConfig
    """What it was built from."""
    advantages: AdvantageFunction
    """How rewards become advantages."""

    @property
    def needs_step_statistics(self) -> bool:
        """True if `statistics` of all micro-batches must be known before the first `loss`."""
        weight = self.config.token_weight
        return weight is not None and weight.stat_scope == "mini"

    @torch.no_grad()
    def statistics(self, batch: TokenBatch) -> Extremes:
        """This micro-batch's part of the statistics; `Extremes.merged` joins parts."""
        weight = self.config.token_weight
        if weight is None:
            return Extremes(0.0, 0.0)
        return extremes(steer_metric(batch, self._clip(batch), weight), batch.mask)

    def loss(self, batch: TokenBatch, statistics: Extremes | None = None) -> LossOutput:
        """The loss of a micro-batch.

        `statistics` are those of the whole optimiser step; None: of this batch, which is right
        if it is the whole step or the scope is `micro`.

        Raises:
            ValueError: the batch lacks a tensor that the objective needs.
        """
        clip = self._clip(batch)
        metrics = dict(clip.metrics)
        weights_BT = batch.mask.to(clip.losses_BT.dtype)
        weight = self.config.token_weight
        if weight is not None:
            metric_BT = steer_metric(batch, clip, weight)
            if statistics is None or weight.stat_scope == "micro":
                statistics = extremes(metric_BT, batch.mask)
            weights_BT, k = steer_weights(metric_BT, batch.mask, statistics, weight)
            metrics |= _weight_metrics(weights_BT, batch, k)
        token_losses_BT = clip.losses_BT * weights_BT
        config = self.config.loss
        loss = aggregate(token_losses_BT, batch, config.agg, config.norm_length)
        metrics["pg/loss"] = float(loss.detach())
        return LossOutput(
            loss=loss,
            token_losses_BT=token_losses_BT,
            token_weights_BT=weights_BT,
            metrics=metrics,
        )

    def _clip(self, batch: TokenBatch) -> ClipOutput:
        config = self.config.loss
        return ppo_clip(
            batch, eps_low=config.eps_low, eps_high=config.eps_high, dual_clip=config.dual_clip
        )


def build(config: ObjectiveConfig) -> Objective:
    """The objective that the config describes."""
    return Objective(config=config, advantages=build_advantages(config.advantage))


def _weight_metrics(weights_BT: torch.Tensor, batch: TokenBatch, k: float) -> dict[str, float]:
    valid = weights_BT[batch.mask > 0]
    if valid.numel() == 0:
        return {"steer/weight_mean": 0.0, "steer/share_below_0.9": 0.0}
    return {
        "steer/weight_mean": float(batch.token_mean(weights_BT)),
        "steer/share_below_0.9": float(batch.token_mean((weights_BT < 0.9).float())),
        "steer/weight_min": float(valid.min()),
        "steer/weight_max": float(valid.max()),
        "steer/k_max": k,
    }
