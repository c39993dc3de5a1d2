"""Filters against a slow reference, and the published numbers of typical sampling."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from rollout_server.transformers_engine import filters
from tests.unit.rollout.reference import Params, final_distribution

SKEWED = [0.4, 0.25, 0.15, 0.1, 0.06, 0.04]


def typical(probs: list[float], share: float) -> Tensor:
    return filters.apply_typical_p(torch.tensor([probs]), torch.tensor([share]))[0]


def kept(probs: Tensor) -> set[int]:
    return set(probs.nonzero()[:, 0].tolist())


@pytest.mark.parametrize(("share", "tokens"), [(0.2, {1}), (0.5, {0, 1, 2}), (0.9, {0, 1, 2, 3})])
def test_typical_sampling_keeps_what_the_paper_says(share: float, tokens: set[int]) -> None:
    assert kept(typical(SKEWED, share)) == tokens


def test_typical_sampling_renormalises() -> None:
    assert typical(SKEWED, 0.5)[:3].tolist() == pytest.approx([0.5, 0.3125, 0.1875])


def test_top_p_keeps_the_token_that_reaches_the_share() -> None:
    probs = torch.tensor([SKEWED] * 3)
    result = filters.apply_top_p(probs, torch.tensor([0.2, 0.5, 0.66]))
    assert [kept(row) for row in result] == [{0}, {0, 1}, {0, 1, 2}]


def test_ties_go_to_the_lowest_ids_exactly_as_many_as_asked_for() -> None:
    probs = torch.full((3, 8), 0.125)
    by_count = filters.apply_top_k(probs, torch.tensor([1, 3, 8]))
    by_mass = filters.apply_top_p(probs, torch.tensor([0.1, 0.3, 1.0]))
    by_surprisal = filters.apply_typical_p(probs, torch.tensor([0.1, 0.3, 1.0]))
    expected = [{0}, {0, 1, 2}, set(range(8))]
    for result in (by_count, by_mass, by_surprisal):
        assert [kept(row) for row in result] == expected


def test_top_k_beyond_the_vocabulary_keeps_all() -> None:
    result = filters.apply_top_k(torch.tensor([SKEWED]), torch.tensor([1000]))
    assert result[0].tolist() == pytest.approx(SKEWED)


def test_a_wide_nucleus_in_a_large_vocabulary_is_exact() -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(3, 2000, generator=generator)
    shares = torch.tensor([0.1, 0.5, 0.99])
    result = filters.apply_top_p(logits.softmax(dim=-1), shares)
    for row, logits_V, share in zip(result, logits, shares.tolist(), strict=True):
        expected = final_distribution(logits_V.double().numpy(), Params(top_p=share))
        assert kept(row) == set(np.flatnonzero(expected).tolist())


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "params",
    [
        Params(min_p=0.2),
        Params(typical_p=0.6),
        Params(top_k=4),
        Params(top_p=0.7),
        Params(min_p=0.05, typical_p=0.8, top_k=9, top_p=0.7),
    ],
)
def test_each_row_has_its_own_value(seed: int, params: Params) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(4, 24, generator=generator) * 2
    probs = logits.softmax(dim=-1)
    scales = torch.tensor([1.0, 0.9, 0.8, 0.7])
    probs = filters.apply_min_p(probs, params.min_p * scales)
    if params.typical_p < 1:
        probs = filters.apply_typical_p(probs, params.typical_p * scales)
    if params.top_k:
        probs = filters.apply_top_k(probs, params.top_k + torch.arange(4))
    if params.top_p < 1:
        probs = filters.apply_top_p(probs, params.top_p * scales)
    for row, scale in enumerate(scales.tolist()):
        own = Params(
            min_p=params.min_p * scale,
            typical_p=params.typical_p * scale if params.typical_p < 1 else 1.0,
            top_k=params.top_k + row if params.top_k else 0,
            top_p=params.top_p * scale if params.top_p < 1 else 1.0,
        )
        expected = final_distribution(logits[row].double().numpy(), own)
        np.testing.assert_allclose(probs[row].numpy(), expected, atol=1e-6)
