"""Truncation of distributions, a batch at a time.

Each filter takes probabilities that sum to one in each row and gives those of the tokens it
keeps, renormalised. Equal tokens at the border of a kept set are taken by ascending token id.
"""

from __future__ import annotations

import torch
from torch import Tensor

_FIRST_SORTED_COUNT = 256
"""Most nuclei are smaller than this, and sorting a whole large vocabulary is slow."""


def apply_min_p(probs_BV: Tensor, min_p_B: Tensor) -> Tensor:
    """Drops tokens less likely than this share of the likeliest one's probability."""
    floor_B1 = probs_BV.amax(dim=-1, keepdim=True) * min_p_B[:, None]
    return _renormalised(probs_BV, probs_BV >= floor_B1)


def apply_typical_p(probs_BV: Tensor, typical_p_B: Tensor) -> Tensor:
    """Keeps the tokens of surprisal nearest to the entropy until their mass reaches the share.

    Locally typical sampling, arXiv 2202.00666. The token that reaches the share is kept.
    """
    entropy_B1 = torch.special.entr(probs_BV).sum(dim=-1, keepdim=True)
    distance_BV = (-probs_BV.log() - entropy_B1).abs()
    order_BV = distance_BV.sort(dim=-1, stable=True).indices
    mass_BV = probs_BV.gather(-1, order_BV).cumsum(dim=-1, dtype=torch.float64)
    kept_count_B1 = (mass_BV < typical_p_B[:, None]).sum(dim=-1, keepdim=True) + 1
    ranks_V = torch.arange(probs_BV.shape[-1], device=probs_BV.device)
    kept_BV = torch.zeros_like(probs_BV, dtype=torch.bool)
    kept_BV.scatter_(-1, order_BV, ranks_V < kept_count_B1)
    return _renormalised(probs_BV, kept_BV)


def apply_top_k(probs_BV: Tensor, top_k_B: Tensor) -> Tensor:
    """Keeps this many likeliest tokens."""
    vocabulary_size = probs_BV.shape[-1]
    count_B = top_k_B.clamp(max=vocabulary_size)
    sorted_BK = probs_BV.topk(int(count_B.max()), dim=-1).values
    return _renormalised(probs_BV, _likeliest(probs_BV, sorted_BK, count_B))


def apply_top_p(probs_BV: Tensor, top_p_B: Tensor) -> Tensor:
    """Keeps the smallest set of likeliest tokens whose mass reaches the share."""
    vocabulary_size = probs_BV.shape[-1]
    sorted_count = min(_FIRST_SORTED_COUNT, vocabulary_size)
    while True:
        sorted_BK = probs_BV.topk(sorted_count, dim=-1).values
        mass_BK = sorted_BK.cumsum(dim=-1, dtype=torch.float64)
        if sorted_count == vocabulary_size or bool((mass_BK[:, -1] >= top_p_B).all()):
            break
        sorted_count = vocabulary_size
    count_B = (mass_BK < top_p_B[:, None]).sum(dim=-1) + 1
    count_B = count_B.clamp(max=sorted_count)
    return _renormalised(probs_BV, _likeliest(probs_BV, sorted_BK, count_B))


def _likeliest(probs_BV: Tensor, sorted_BK: Tensor, count_B: Tensor) -> Tensor:
    """The mask of the `count_B` likeliest tokens, given the likeliest probabilities in order."""
    least_B1 = sorted_BK.gather(-1, count_B[:, None] - 1)
    above_BV = probs_BV > least_B1
    level_BV = probs_BV == least_B1
    open_B1 = count_B[:, None] - above_BV.sum(dim=-1, keepdim=True)
    return above_BV | (level_BV & (level_BV.cumsum(dim=-1) <= open_B1))


def _renormalised(probs_BV: Tensor, kept_BV: Tensor) -> Tensor:
    # What has no mass is never kept: a later filter must not count it.
    kept_probs_BV = torch.where(kept_BV, probs_BV, 0.0)
    return kept_probs_BV / kept_probs_BV.sum(dim=-1, keepdim=True)
