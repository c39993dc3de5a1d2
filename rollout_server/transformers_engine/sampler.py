"""Draws one token a row, and measures the distribution that it was drawn from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from rollout_server.transformers_engine.filters import (
    apply_min_p,
    apply_top_k,
    apply_top_p,
    apply_typical_p,
)

Filter = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplerRows:
    """Per-row parameters. A field that is None is neutral in every row, and costs nothing."""

    temperature_B: Tensor | None = None
    """float32; 0 is greedy."""
    min_p_B: Tensor | None = None
    """float32; 0 is neutral."""
    typical_p_B: Tensor | None = None
    """float32; 1 is neutral."""
    top_k_B: Tensor | None = None
    """int64; 0 is neutral."""
    top_p_B: Tensor | None = None
    """float32; 1 is neutral."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """What is computed besides the tokens."""

    model_logprobs: bool = False
    entropies: bool = True
    kept_set_sizes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """One token a row. Log-probabilities and entropies are in nats."""

    token_ids_B: Tensor
    """int64."""
    logprobs_B: Tensor
    """float32; under the distribution that was drawn from; NaN where there is none."""
    model_logprobs_B: Tensor | None
    """float32; under softmax(logits / temperature)."""
    entropies_B: Tensor | None
    """float32; of softmax(logits / temperature)."""
    kept_set_sizes_B: Tensor | None
    """int64; how many tokens could have been drawn."""


def draw(
    logits_BV: Tensor,
    rows: SamplerRows,
    uniforms_B: Tensor,
    *,
    forbidden_BV: Tensor | None = None,
    measure: Measure,
) -> Draw:
    """Draws by inverting the cumulative distribution at `uniforms_B` (float64, in [0, 1)).

    `forbidden_BV` marks tokens that cannot be drawn; entropies and model log-probabilities are of
    the distribution with them. Filters apply in the order temperature, min_p, typical_p, top_k,
    top_p, each on what the one before left, renormalised.
    """
    logits_BV = logits_BV.float()
    scaled_BV, greedy_B = _scaled(logits_BV, rows.temperature_B)
    log_probs_BV = scaled_BV.log_softmax(dim=-1)
    probs_BV = log_probs_BV.exp()
    entropies_B = torch.special.entr(probs_BV).sum(dim=-1) if measure.entropies else None
    final_BV = probs_BV
    if forbidden_BV is not None:
        final_BV = scaled_BV.masked_fill(forbidden_BV, -torch.inf).softmax(dim=-1)
    filtered_BV = _filtered(final_BV, rows)
    token_ids_B, total_B = _invert(filtered_BV, uniforms_B)
    if greedy_B is not None:
        allowed_BV = (
            logits_BV if forbidden_BV is None else logits_BV.masked_fill(forbidden_BV, -torch.inf)
        )
        token_ids_B = torch.where(greedy_B, allowed_BV.argmax(dim=-1), token_ids_B)
    drawn_B1 = token_ids_B[:, None]
    model_logprobs_B = log_probs_BV.gather(-1, drawn_B1)[:, 0]
    if filtered_BV is probs_BV:
        logprobs_B = model_logprobs_B
    else:
        logprobs_B = filtered_BV.gather(-1, drawn_B1)[:, 0].log()
    kept_B = (filtered_BV > 0).sum(dim=-1) if measure.kept_set_sizes else None
    if greedy_B is not None:
        logprobs_B = torch.where(greedy_B, 0.0, logprobs_B)
        kept_B = None if kept_B is None else torch.where(greedy_B, 1, kept_B)
    return Draw(
        token_ids_B=token_ids_B,
        logprobs_B=torch.where(total_B.isfinite(), logprobs_B, torch.nan),
        model_logprobs_B=model_logprobs_B if measure.model_logprobs else None,
        entropies_B=entropies_B,
        kept_set_sizes_B=kept_B,
    )


def _scaled(logits_BV: Tensor, temperature_B: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """The logits divided by the temperature, and which rows are greedy, if any may be."""
    if temperature_B is None:
        return logits_BV, None
    greedy_B = temperature_B == 0
    divisor_B1 = torch.where(greedy_B, 1.0, temperature_B)[:, None]
    # Taking the maximum off first keeps a tiny temperature from overflowing.
    return (logits_BV - logits_BV.amax(dim=-1, keepdim=True)) / divisor_B1, greedy_B


def _filtered(probs_BV: Tensor, rows: SamplerRows) -> Tensor:
    """The distribution after the filters; the same tensor where none is in use."""
    in_order: tuple[tuple[Tensor | None, float, Filter], ...] = (
        (rows.min_p_B, 0.0, apply_min_p),
        (rows.typical_p_B, 1.0, apply_typical_p),
        (rows.top_k_B, 0, apply_top_k),
        (rows.top_p_B, 1.0, apply_top_p),
    )
    for value_B, neutral, apply in in_order:
        if value_B is None:
            continue
        users_N = (value_B != neutral).nonzero()[:, 0]
        if len(users_N) == len(value_B):
            probs_BV = apply(probs_BV, value_B)
        elif len(users_N):
            probs_BV = probs_BV.index_copy(0, users_N, apply(probs_BV[users_N], value_B[users_N]))
    return probs_BV


def _invert(probs_BV: Tensor, uniforms_B: Tensor) -> tuple[Tensor, Tensor]:
    """The first token whose cumulative mass exceeds the row's number, and each row's whole mass."""
    mass_BV = probs_BV.cumsum(dim=-1, dtype=torch.float64)
    total_B = mass_BV[:, -1]
    token_ids_B1 = torch.searchsorted(mass_BV, (uniforms_B * total_B)[:, None], right=True)
    return token_ids_B1[:, 0].clamp(max=probs_BV.shape[-1] - 1), total_B
