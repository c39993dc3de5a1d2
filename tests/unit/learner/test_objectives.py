"""The objectives against numbers worked out in double precision."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from learner import objectives
from learner.advantages import build as build_advantages
from learner.batch import TokenBatch
from learner.entropy_change import exact_change, released_change, theorem_change
from learner.token_weights import Extremes
from tests.unit.learner.fixture import ADVANTAGES, OLD, fixture_batch, valid
from trimtab.config.objective import GrpoAdvantageConfig, ObjectiveConfig

NEAR = 2e-6
CLIP: dict[str, Any] = {"eps_low": 0.2, "eps_high": 0.28}


def loss_and_gradient(
    config: dict[str, Any], batch: TokenBatch | None = None
) -> tuple[float, list[float], list[float]]:
    batch = batch or fixture_batch()
    output = objectives.build(ObjectiveConfig.model_validate(config)).loss(batch)
    (gradient,) = torch.autograd.grad(output.loss, batch.logp)
    return output.loss.item(), valid(gradient), valid(output.token_weights_BT)


@pytest.mark.parametrize(
    ("loss", "expected", "gradient"),
    [
        (
            {**CLIP, "agg": "token-mean"},
            -0.071564,
            [-0.165104, -0.114712, -0.150348, 0, 0.159077, 0.115055, 0.267326],
        ),
        (
            {**CLIP, "agg": "token-mean", "dual_clip": 1.5},
            -0.124604,
            [-0.165104, -0.114712, -0.150348, 0, 0.159077, 0.115055, 0],
        ),
        ({**CLIP, "agg": "seq-mean-token-sum"}, -0.250476, None),
        (
            {**CLIP, "agg": "seq-mean-token-mean"},
            0.095306,
            [-0.144466, -0.100373, -0.131555, 0, 0.185589, 0.134230, 0.311880],
        ),
        ({**CLIP, "agg": "seq-mean-token-sum-norm", "norm_length": 4}, -0.062619, None),
    ],
)
def test_clip_losses(loss: dict[str, Any], expected: float, gradient: list[float] | None) -> None:
    value, derivative, _ = loss_and_gradient({"loss": loss})
    assert value == pytest.approx(expected, abs=NEAR)
    if gradient is not None:
        assert derivative == pytest.approx(gradient, abs=NEAR)


def test_clip_metrics() -> None:
    output = objectives.build(ObjectiveConfig.model_validate({"loss": CLIP})).loss(fixture_batch())
    assert output.metrics["pg/clipfrac"] == pytest.approx(1 / 7)
    assert output.metrics["pg/clip_high"] == pytest.approx(1 / 7)
    assert output.metrics["pg/clip_low"] == 0
    assert output.metrics["policy/ppo_kl"] == pytest.approx(-0.109897, abs=NEAR)


@pytest.mark.parametrize(
    ("objective", "weights", "loss", "gradient"),
    [
        (
            {"preset": "steer_code_linear"},
            [1.160622, 1.199463, 1.2, 1.035140, 1.135010, 0.8, 1.110779],
            -0.129380,
            [-0.191623, -0.137593, -0.180418, 0, 0.180554, 0.092044, 0.296940],
        ),
        (
            {"preset": "steer_code_exp"},
            [0.977237, 0.998529, 0.998826, 0.911504, 0.963446, 0.8, 0.950578],
            -0.093317,
            [-0.161345, -0.114544, -0.150172, 0, 0.153262, 0.092044, 0.254114],
        ),
        (
            {"preset": "steer_paper"},
            [0.756101, 0.994963, 0.980816, 1, 0.7, 0.856431, 0.861539],
            -0.129089,
            [-0.124835, -0.114135, -0.147464, 0, 0.111354, 0.098536, 0.230311],
        ),
        (
            {
                "preset": "steer_paper",
                "token_weight": {"omega_form": "exact", "apply_clip_indicator": False},
            },
            [0.809982, 0.992814, 0.985795, 0.771806, 0.776601, 0.7, 0.811582],
            None,
            None,
        ),
        (
            {
                "preset": "steer_code_linear",
                "token_weight": {"sign_mode": "signed"},
            },
            [1.053471, 1.084502, 1.081149, 1.2, 1.129804, 0.8, 1.018438],
            None,
            None,
        ),
        (
            {
                "preset": "steer_code_exp",
                "token_weight": {"sign_mode": "signed", "lambda_max": 1.2},
            },
            [0.977237, 1.001473, 0.998826, 1.097088, 1.037941, 0.8, 0.950578],
            None,
            None,
        ),
    ],
)
def test_steer(
    objective: dict[str, Any],
    weights: list[float],
    loss: float | None,
    gradient: list[float] | None,
) -> None:
    value, derivative, given = loss_and_gradient(objective)
    assert given == pytest.approx(weights, abs=NEAR)
    if loss is not None:
        assert value == pytest.approx(loss, abs=NEAR)
        assert derivative == pytest.approx(gradient, abs=NEAR)


def test_entropy_change_estimates() -> None:
    batch = fixture_batch()
    assert batch.entropy is not None
    assert batch.s2 is not None
    ratio = (batch.logp - OLD).exp().detach()
    logp = batch.logp.detach()
    exact = exact_change(logp, batch.entropy, batch.s2, ADVANTAGES, ratio)
    assert valid(exact) == pytest.approx(
        [-0.185425, 0.006345, -0.012588, 0.227905, 0.222455, -0.313826, -0.183689], abs=NEAR
    )
    theorem = theorem_change(logp, batch.entropy, ADVANTAGES, ratio)
    assert [abs(value) for value in valid(theorem)] == pytest.approx(
        [0.140602, 0.002539, 0.009741, 0.117757, 0.179372, 0.077940, 0.074950], abs=NEAR
    )
    released = released_change(logp, OLD, batch.entropy, ADVANTAGES)
    assert [abs(value) for value in valid(released)] == pytest.approx(
        [0.200578, 0.012824, 0.010229, 0.807136, 0.324383, 1.943766, 0.441509], abs=NEAR
    )


@pytest.mark.parametrize("preset", ["grpo", "steer_paper", "steer_code_exp", "steer_code_linear"])
def test_padding_changes_nothing(preset: str) -> None:
    config = {"preset": preset}
    assert loss_and_gradient(config) == loss_and_gradient(config, fixture_batch(extra_columns=3))


@pytest.mark.parametrize("agg", ["token-mean", "seq-mean-token-mean", "seq-mean-token-sum"])
@pytest.mark.parametrize("preset", ["grpo", "steer_paper"])
def test_micro_batches_add_up(preset: str, agg: str) -> None:
    config = {"preset": preset, "loss": {**CLIP, "agg": agg}}
    whole = loss_and_gradient(config)
    objective = objectives.build(ObjectiveConfig.model_validate(config))
    parts = [fixture_batch(slice(0, 1)), fixture_batch(slice(1, 2))]
    for part in parts:
        part.denominator_tokens, part.denominator_sequences = 7.0, 2.0
    first, second = (objective.statistics(part) for part in parts)
    outputs = [objective.loss(part, first.merged(second)) for part in parts]
    gradients = [
        torch.autograd.grad(output.loss, part.logp)[0]
        for output, part in zip(outputs, parts, strict=True)
    ]
    assert sum(output.loss.item() for output in outputs) == pytest.approx(whole[0], abs=1e-12)
    assert valid(torch.cat(gradients)) == pytest.approx(whole[1], abs=1e-12)


def test_micro_scope_takes_each_rows_own_extremes() -> None:
    objective = objectives.build(ObjectiveConfig.model_validate({"preset": "steer_code_exp"}))
    weights = objective.loss(fixture_batch(slice(0, 1)), Extremes(0, 9)).token_weights_BT
    assert weights[0].tolist() == pytest.approx([0.946057, 0.996461, 0.997176, 0.8], abs=NEAR)


def test_weights_carry_no_gradient() -> None:
    objective = objectives.build(ObjectiveConfig.model_validate({"preset": "steer_paper"}))
    assert not objective.loss(fixture_batch()).token_weights_BT.requires_grad


def test_no_advantage_means_weight_one_and_loss_zero() -> None:
    batch = fixture_batch()
    batch.advantages = torch.zeros_like(batch.advantages)
    loss, gradient, weights = loss_and_gradient({"preset": "steer_paper"}, batch)
    assert loss == 0
    assert gradient == [0] * 7
    assert weights == [1] * 7


def test_an_all_masked_batch_gives_a_finite_zero() -> None:
    batch = fixture_batch()
    batch.mask = torch.zeros_like(batch.mask)
    for preset in ("grpo", "steer_paper", "steer_code_linear"):
        assert loss_and_gradient({"preset": preset}, batch)[0] == 0


REWARDS = torch.tensor([1, 0, 1, 1, 0, 0, 1, 0], dtype=torch.float64)
GROUPS = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1])


def test_grpo_advantages() -> None:
    estimate = build_advantages(GrpoAdvantageConfig())
    found = estimate(REWARDS, torch.ones(8), GROUPS)
    expected = [0.499999, -1.499997, 0.499999, 0.499999, -0.499999, -0.499999, 1.499997, -0.499999]
    assert found.tolist() == pytest.approx(expected, abs=NEAR)
    biased = build_advantages(GrpoAdvantageConfig(std_ddof=0))(REWARDS, torch.ones(8), GROUPS)
    assert biased[0].item() == pytest.approx(0.577349, abs=NEAR)


def test_advantages_do_not_depend_on_row_order() -> None:
    estimate = build_advantages(GrpoAdvantageConfig())
    order = torch.tensor([6, 1, 4, 3, 0, 7, 2, 5])
    straight = estimate(REWARDS, torch.ones(8), GROUPS)
    mixed = estimate(REWARDS[order], torch.ones(8), GROUPS[order])
    assert torch.equal(mixed, straight[order])


def test_invalid_samples_are_out_of_the_statistics() -> None:
    estimate = build_advantages(GrpoAdvantageConfig())
    rewards = REWARDS.clone()
    rewards[3] = 1e9
    valid_rows = torch.tensor([1, 1, 1, 0, 1, 1, 1, 1])
    found = estimate(rewards, valid_rows, GROUPS)
    alone = estimate(REWARDS[:3], torch.ones(3), GROUPS[:3])
    assert found[3].item() == 0
    assert torch.equal(found[:3], alone)


def test_degenerate_groups_contribute_nothing() -> None:
    estimate = build_advantages(GrpoAdvantageConfig())
    equal = estimate(torch.full((3,), 0.1), torch.ones(3), torch.zeros(3))
    single = estimate(torch.tensor([1.0]), torch.ones(1), torch.zeros(1))
    kept = build_advantages(GrpoAdvantageConfig(single_sample="keep_reward"))
    assert equal.tolist() == [0, 0, 0]
    assert single.tolist() == [0]
    assert kept(torch.tensor([1.0]), torch.ones(1), torch.zeros(1)).tolist() == [1]
