"""One training step: samples in, optimiser steps, metrics out."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence
from typing import Any

import torch

from learner import objectives
from learner.batch import LossOutput, TokenBatch, combine_metrics, mean_metrics
from learner.entropy_change import predicted_mean_change
from learner.old_policy import OldPolicy
from learner.policy import Policy
from learner.samples import TrainingSample, micro_batches
from learner.token_weights import Extremes
from trimtab.config.run import TrainConfig


class Trainer:
    """A policy with its optimiser; every call is one thread's own."""

    def __init__(
        self,
        policy: Policy,
        objective: objectives.Objective,
        config: TrainConfig,
        *,
        temperature: float,
        seed: int,
    ) -> None:
        """`temperature` is the sampler's: log-probs and entropies are those it drew from."""
        self.policy = policy
        self.objective = objective
        self._config = config
        self._temperature = temperature
        self._parameters = [p for p in policy.model.parameters() if p.requires_grad]
        options = config.optimizer
        self._optimizer = torch.optim.AdamW(
            self._parameters,
            lr=options.lr,
            betas=options.betas,
            eps=options.eps,
            weight_decay=options.weight_decay,
            fused=True,
        )
        self.trust_rollout = config.old_logprobs == "rollout"
        """True takes the samplers' log-probs and entropies for those before the step."""
        self._updates = 0
        self._random = random.Random(seed)

    def step(self, samples: Sequence[TrainingSample], step: int) -> dict[str, float]:
        """Trains on the samples; sets their `advantage` and `token_weights`.

        The samples are valid and come in groups of at least two valid ones.
        """
        self._set_advantages(samples)
        plan = self._mini_batches(samples)
        old = OldPolicy()
        if self.trust_rollout:
            old.remember_reported(samples, self.policy.device)
        # The first mini-batch's own forward pass shows the policy before the step.
        known = old.logp.keys() | {sample.id for sample in plan[0]}
        self._visit([sample for sample in samples if sample.id not in known], old)
        updates = [self._update(mini, old, step) for mini in plan]
        # A random part of the samples, the first mini-batch, tells how the entropy moved.
        after_policy = OldPolicy()
        self._visit(plan[0], after_policy)
        return mean_metrics([metrics for metrics, _ in updates]) | {
            "policy/entropy": old.mean_entropy(samples),
            "entropy/change_predicted": sum(change for _, change in updates),
            "entropy/change_measured": after_policy.mean_entropy(plan[0])
            - old.mean_entropy(plan[0]),
            "train/updates": float(len(updates)),
            "adv/abs_max": max(abs(sample.advantage or 0.0) for sample in samples),
            "denominator/tokens": float(sum(sample.num_loss_tokens for sample in samples)),
            "denominator/sequences": float(len(samples)),
        }

    def _visit(self, samples: Sequence[TrainingSample], seen: OldPolicy) -> None:
        """Remembers what the current policy makes of the samples."""
        for batch in micro_batches(samples, self._config.micro_batch_tokens):
            rows = self.policy.statistics(batch, temperature=self._temperature, gradient=False)
            seen.remember(batch, rows)

    def _set_advantages(self, samples: Sequence[TrainingSample]) -> None:
        groups = {
            name: index for index, name in enumerate(dict.fromkeys(s.group_id for s in samples))
        }
        advantages = self.objective.advantages(
            torch.tensor([s.reward or 0.0 for s in samples], dtype=torch.float64),
            torch.tensor([s.reward is not None for s in samples]),
            torch.tensor([groups[s.group_id] for s in samples]),
        )
        for sample, advantage in zip(samples, advantages.tolist(), strict=True):
            sample.advantage = advantage

    def _mini_batches(self, samples: Sequence[TrainingSample]) -> list[list[TrainingSample]]:
        """The optimiser steps: each pass goes over all samples in a new order."""
        plan = []
        parts = min(self._config.mini_batches, len(samples))
        for _ in range(self._config.epochs):
            order = list(samples)
            self._random.shuffle(order)
            bounds = [round(part * len(order) / parts) for part in range(parts + 1)]
            plan += [order[a:b] for a, b in itertools.pairwise(bounds)]
        return plan

    def _update(
        self, mini: Sequence[TrainingSample], old: OldPolicy, step: int
    ) -> tuple[dict[str, float], float]:
        """One optimiser step; gives its metrics and the predicted change of the mean entropy."""
        batches = micro_batches(mini, self._config.micro_batch_tokens)
        tokens = float(sum(sample.num_loss_tokens for sample in mini))
        rate = self._learning_rate()
        self._optimizer.zero_grad(set_to_none=True)
        statistics = None
        if self.objective.needs_step_statistics and len(batches) > 1:
            statistics = self._step_statistics(batches, old, step)
        parts, predicted = [], 0.0
        for samples in batches:
            batch = self._batch(samples, old, step, gradient=True)
            batch.denominator_tokens, batch.denominator_sequences = tokens, float(len(mini))
            batch.logp.retain_grad()
            output = self.objective.loss(batch, statistics)
            output.loss.backward()  # type: ignore[no-untyped-call]
            predicted += rate * _predicted_change(batch, tokens)
            parts.append(output.metrics)
            _keep_weights(samples, batch, output)
        norm = torch.nn.utils.clip_grad_norm_(
            self._parameters, self._config.optimizer.max_grad_norm
        )
        finite = bool(torch.isfinite(norm))
        if finite:
            for group in self._optimizer.param_groups:
                group["lr"] = rate
            self._optimizer.step()
            self._updates += 1
        metrics = combine_metrics(parts) | {
            "policy/grad_norm": float(norm) if finite else math.inf,
            "policy/lr": rate,
            "train/skipped_updates": 0.0 if finite else 1.0,
        }
        return metrics, predicted if finite else 0.0

    def _batch(
        self, samples: Sequence[TrainingSample], old: OldPolicy, step: int, *, gradient: bool
    ) -> TokenBatch:
        rows = self.policy.statistics(samples, temperature=self._temperature, gradient=gradient)
        # Before the first update the current policy is the old one.
        old.remember(samples, rows)
        return TokenBatch(
            logp=rows.logp_BT,
            old_logp=old.logp_rows(samples, rows.mask_BT),
            advantages=_advantages(samples, rows.mask_BT),
            mask=rows.mask_BT,
            entropy=rows.entropy_BT,
            old_entropy=old.entropy_rows(samples, rows.mask_BT),
            s2=rows.s2_BT,
            steps=step,
        )

    def _step_statistics(
        self, batches: Sequence[Sequence[TrainingSample]], old: OldPolicy, step: int
    ) -> Extremes:
        parts = [
            self.objective.statistics(self._batch(samples, old, step, gradient=False))
            for samples in batches
        ]
        merged = parts[0]
        for part in parts[1:]:
            merged = merged.merged(part)
        return merged

    def _learning_rate(self) -> float:
        options = self._config.optimizer
        if self._updates >= options.warmup_steps:
            return options.lr
        return options.lr * (self._updates + 1) / options.warmup_steps

    def state(self) -> dict[str, Any]:
        """Everything but the weights that the next step depends on."""
        return {
            "optimizer": self._optimizer.state_dict(),
            "updates": self._updates,
            "random": self._random.getstate(),
            "torch_rng": torch.get_rng_state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Takes over what `state` gave."""
        self._optimizer.load_state_dict(state["optimizer"])
        self._updates = state["updates"]
        self._random.setstate(state["random"])
        torch.set_rng_state(state["torch_rng"])


def _advantages(samples: Sequence[TrainingSample], mask_BT: torch.Tensor) -> torch.Tensor:
    """Each row's advantage at all of its tokens, or the caller's own, token by token."""
    advantages_BT = torch.zeros_like(mask_BT)
    first = min(sample.first_loss_index for sample in samples)
    for row, sample in enumerate(samples):
        if sample.given_advantages:
            given = torch.as_tensor(sample.given_advantages[first:], dtype=mask_BT.dtype)
            advantages_BT[row, : len(given)] = given.to(mask_BT.device)
        else:
            advantages_BT[row] = sample.advantage or 0.0
    return advantages_BT * mask_BT


def _predicted_change(batch: TokenBatch, num_tokens: float) -> float:
    """This micro-batch's part of the predicted change of the mean entropy, per learning rate."""
    assert batch.logp.grad is not None
    assert batch.entropy is not None
    assert batch.s2 is not None
    change = predicted_mean_change(
        batch.logp.grad, batch.logp.detach(), batch.entropy, batch.s2, batch.mask, num_tokens
    )
    return float(change)


def _keep_weights(samples: Sequence[TrainingSample], batch: TokenBatch, output: LossOutput) -> None:
    for row, sample in enumerate(samples):
        sample.token_weights = output.token_weights_BT[row][batch.mask[row] > 0].tolist()
