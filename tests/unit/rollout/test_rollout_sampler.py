"""Drawing a token: order of the filters, frequencies, greedy rows, what is measured."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from rollout_server.transformers_engine.randomness import uniforms
from rollout_server.transformers_engine.sampler import Draw, Measure, SamplerRows, draw
from tests.unit.rollout.reference import Params, entropy, final_distribution, softmax

ALL = Measure(model_logprobs=True, entropies=True, kept_set_sizes=True)
LOGITS = [2.0, 1.4, 1.0, 0.3, -0.5, -1.0, -3.0, 0.9]


def sampler_rows(params: list[Params]) -> SamplerRows:
    return SamplerRows(
        temperature_B=torch.tensor([row.temperature for row in params]),
        min_p_B=torch.tensor([row.min_p for row in params]),
        typical_p_B=torch.tensor([row.typical_p for row in params]),
        top_k_B=torch.tensor([row.top_k for row in params]),
        top_p_B=torch.tensor([row.top_p for row in params]),
    )


def drawn(
    params: list[Params], logits: Tensor, numbers: Tensor, forbidden: Tensor | None = None
) -> Draw:
    return draw(logits, sampler_rows(params), numbers, forbidden_BV=forbidden, measure=ALL)


def numbers(count: int, seed: int = 0) -> Tensor:
    seeds = np.full(count, seed, dtype=np.uint64)
    return torch.from_numpy(uniforms(seeds, np.arange(count, dtype=np.int64)))


MIXED = [
    Params(),
    Params(temperature=0.5),
    Params(temperature=2.0, min_p=0.2),
    Params(typical_p=0.4),
    Params(top_k=3),
    Params(temperature=1.3, top_p=0.6),
    Params(temperature=0.0),
    Params(temperature=0.7, min_p=0.1, typical_p=0.9, top_k=4, top_p=0.8),
]


@pytest.mark.parametrize("seed", range(20))
def test_every_row_of_a_mixed_batch_is_measured_right(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(len(MIXED), 20, generator=generator) * 2
    result = drawn(MIXED, logits, numbers(len(MIXED), seed))
    assert result.model_logprobs_B is not None
    assert result.entropies_B is not None
    assert result.kept_set_sizes_B is not None
    for row, params in enumerate(MIXED):
        logits_V = logits[row].double().numpy()
        token = int(result.token_ids_B[row])
        final = final_distribution(logits_V, params)
        plain = softmax(logits_V, params.temperature or 1.0)
        assert final[token] > 0
        assert float(result.logprobs_B[row]) == pytest.approx(np.log(final[token]), abs=1e-5)
        assert float(result.model_logprobs_B[row]) == pytest.approx(np.log(plain[token]), abs=1e-5)
        assert float(result.entropies_B[row]) == pytest.approx(entropy(plain), abs=1e-5)
        assert int(result.kept_set_sizes_B[row]) == np.count_nonzero(final)


def test_filters_apply_in_the_stated_order() -> None:
    # Of p = .4 .25 .15 .1 .06 .04, top_k 2 leaves {0, 1}; typical .2 after that would keep {0},
    # before it keeps {1}, so the order shows.
    logits = torch.tensor([[0.4, 0.25, 0.15, 0.1, 0.06, 0.04]]).log()
    half = torch.tensor([0.5], dtype=torch.double)
    result = drawn([Params(typical_p=0.2, top_k=2)], logits, half)
    assert result.token_ids_B.tolist() == [1]
    # top_k 3 leaves .5 .3125 .1875, of which top_p .66 keeps two; top_p first would keep three.
    result = drawn([Params(top_k=3, top_p=0.66)], logits, half)
    assert result.kept_set_sizes_B is not None
    assert result.kept_set_sizes_B.tolist() == [2]


@pytest.mark.parametrize("params", [Params(), Params(temperature=0.7, top_k=5, top_p=0.9)])
def test_frequencies_are_the_probabilities(params: Params) -> None:
    count = 40_000
    logits = torch.tensor([LOGITS]).expand(count, -1)
    result = drawn([params] * count, logits, numbers(count, seed=7))
    observed = np.bincount(result.token_ids_B.numpy(), minlength=len(LOGITS)) / count
    expected = final_distribution(LOGITS, params)
    deviation = np.sqrt(expected * (1 - expected) / count)
    assert (np.abs(observed - expected) <= 4 * deviation).all()
    assert (observed[expected == 0] == 0).all()


def test_greedy_takes_the_likeliest_with_log_probability_zero() -> None:
    logits = torch.tensor([LOGITS, LOGITS[::-1]])
    result = drawn([Params(temperature=0.0, top_k=3)] * 2, logits, numbers(2))
    assert result.token_ids_B.tolist() == [0, 7]
    assert result.logprobs_B.tolist() == [0.0, 0.0]
    assert result.kept_set_sizes_B is not None
    assert result.kept_set_sizes_B.tolist() == [1, 1]


def test_forbidden_tokens_are_not_drawn_and_change_no_entropy() -> None:
    count = 500
    forbidden = torch.zeros(count, len(LOGITS), dtype=torch.bool)
    forbidden[:, [0, 1]] = True
    params = [Params(), Params(temperature=0.0)] * (count // 2)
    logits = torch.tensor([LOGITS]).expand(count, -1)
    result = drawn(params, logits, numbers(count), forbidden)
    assert not {0, 1} & set(result.token_ids_B.tolist())
    assert set(result.token_ids_B[1::2].tolist()) == {2}
    assert result.entropies_B is not None
    assert result.entropies_B[0].item() == pytest.approx(entropy(softmax(LOGITS)), abs=1e-6)
    token = int(result.token_ids_B[0])
    expected = final_distribution(LOGITS, Params(), forbidden={0, 1})[token]
    assert result.logprobs_B[0].item() == pytest.approx(np.log(expected), abs=1e-6)


def test_extreme_temperatures_stay_finite() -> None:
    params = [Params(temperature=1e-30), Params(temperature=1e30)]
    result = drawn(params, torch.tensor([LOGITS, LOGITS]), numbers(2))
    assert result.token_ids_B[0] == 0
    assert result.logprobs_B.tolist() == pytest.approx([0.0, -np.log(8)])


def test_logits_that_are_not_numbers_are_told() -> None:
    logits = torch.tensor([LOGITS, [float("nan")] * 8, LOGITS])
    result = drawn([Params()] * 3, logits, numbers(3))
    assert result.logprobs_B.isnan().tolist() == [False, True, False]


def test_neutral_rows_and_absent_fields_draw_the_same() -> None:
    logits = torch.tensor([LOGITS] * 64)
    plain = draw(logits, SamplerRows(), numbers(64), measure=Measure())
    spelled_out = drawn([Params()] * 64, logits, numbers(64))
    assert plain.token_ids_B.tolist() == spelled_out.token_ids_B.tolist()
    assert plain.kept_set_sizes_B is None


def test_numbers_depend_on_seed_and_position_alone() -> None:
    seeds = np.array([5, 6, 2**64 - 1], dtype=np.uint64)
    positions = np.array([3, 0, 9], dtype=np.int64)
    together = uniforms(seeds, positions)
    alone = [float(uniforms(seeds[i : i + 1], positions[i : i + 1])[0]) for i in range(3)]
    assert together.tolist() == alone
    # The first outputs of SplitMix64 for seed 1234567, as its reference implementation gives them.
    first = uniforms(np.full(2, 1234567, dtype=np.uint64), np.arange(2))
    expected = [(6457827717110365317 >> 11) * 2.0**-53, (3203168211198807973 >> 11) * 2.0**-53]
    assert first.tolist() == expected
