"""The trainer on the bundled model: what it computes, and that cuts and padding do not matter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from learner import objectives
from learner.batch import TokenBatch
from learner.checkpoints import latest_checkpoint, list_checkpoints, save_checkpoint
from learner.entropy_change import predicted_mean_change
from learner.policy import Policy
from learner.samples import TrainingSample, micro_batches
from learner.trainer import Trainer
from learner.vocabulary import token_statistics
from tests.unit.learner.fixture import ADVANTAGES, LOGITS, MASK, OLD, TOKENS
from trimtab.config.objective import ObjectiveConfig
from trimtab.config.run import RunModelConfig, TrainConfig
from trimtab.model_path import BUNDLED_MODEL, resolve_model

REPLIES = {"12+34+5=": ["46+5=51", "46+5=41", "47+5=52", "46"], "9+1=": ["10", "11", "1", "9+1=10"]}


def tiny_policy() -> Policy:
    folder = resolve_model(BUNDLED_MODEL, allow_hub=False)
    return Policy.load(folder, RunModelConfig(), allow_hub=False)


def samples(policy: Policy) -> list[TrainingSample]:
    """Two groups of four replies of different lengths, the first of each right."""
    made = []
    for prompt, replies in REPLIES.items():
        for index, reply in enumerate(replies):
            first, rest = policy.tokenizer.encode(prompt), policy.tokenizer.encode(reply)
            made.append(
                TrainingSample(
                    id=f"{prompt}{index}",
                    group_id=prompt,
                    token_ids=[*first, *rest, policy.tokenizer.eos_token_id],
                    loss_mask=[False] * len(first) + [True] * (len(rest) + 1),
                    reward=float(index == 0),
                )
            )
    return made


def trainer(policy: Policy, preset: str = "steer_paper", **changes: Any) -> Trainer:
    config = TrainConfig.model_validate(
        {"epochs": 2, "mini_batches": 2, "optimizer": {"lr": 1e-4}, **changes}
    )
    objective = objectives.build(ObjectiveConfig.model_validate({"preset": preset}))
    return Trainer(policy, objective, config, temperature=1.0, seed=1)


def flat_weights(policy: Policy) -> torch.Tensor:
    return torch.cat([p.detach().reshape(-1) for p in policy.model.parameters()])


def test_statistics_equal_those_of_a_plain_forward_pass() -> None:
    policy = tiny_policy()
    batch = samples(policy)
    rows = policy.statistics(batch, temperature=0.7, gradient=False)
    for index, sample in enumerate(batch):
        tokens = torch.tensor([list(sample.token_ids)])
        with torch.no_grad():
            logits = policy.model(input_ids=tokens).logits[0, :-1].double() / 0.7
        log_probs = logits.log_softmax(-1)
        own = torch.tensor(sample.loss_mask)[1:]
        expected = log_probs.gather(-1, tokens[0, 1:, None])[:, 0][own]
        entropy = -(log_probs.exp() * log_probs).sum(-1)[own]
        valid = rows.mask_BT[index] > 0
        # float32 holds seven digits: an unlikely token's log-prob is no more exact than that.
        rel, near = 1e-5, 1e-5
        assert rows.logp_BT[index][valid].tolist() == pytest.approx(expected.tolist(), rel, near)
        assert rows.entropy_BT[index][valid].tolist() == pytest.approx(entropy.tolist(), rel, near)


def test_log_prob_gradient_against_finite_differences() -> None:
    logits = LOGITS.clone().requires_grad_(True)
    objective = objectives.build(ObjectiveConfig.model_validate({"preset": "steer_paper"}))

    def loss(values: torch.Tensor, frozen: TokenBatch | None = None) -> torch.Tensor:
        found = token_statistics(values, TOKENS, temperature=1.0)
        batch = TokenBatch(
            logp=found.logp * MASK,
            old_logp=OLD,
            advantages=ADVANTAGES,
            mask=MASK,
            entropy=found.entropy.detach(),
            s2=found.s2.detach(),
        )
        if frozen is None:
            return objective.loss(batch).loss
        weights = objective.loss(frozen).token_weights_BT
        plain = objectives.build(ObjectiveConfig.model_validate({"loss": {"eps_high": 0.28}}))
        return (plain.loss(batch).token_losses_BT * weights).sum() / 7

    (gradient,) = torch.autograd.grad(loss(logits), logits)
    found = token_statistics(LOGITS, TOKENS, temperature=1.0)
    frozen = TokenBatch(
        logp=found.logp * MASK,
        old_logp=OLD,
        advantages=ADVANTAGES,
        mask=MASK,
        entropy=found.entropy,
        s2=found.s2,
    )
    for place in [(0, 0, 0), (0, 1, 2), (1, 0, 1), (1, 1, 3), (1, 2, 4)]:
        step = torch.zeros_like(LOGITS)
        step[place] = 1e-5
        # The weights are constants of the objective: only the losses are moved.
        with torch.no_grad():
            difference = (loss(LOGITS + step, frozen) - loss(LOGITS - step, frozen)) / 2e-5
        assert gradient[place].item() == pytest.approx(difference.item(), abs=1e-7)


@pytest.mark.parametrize("preset", ["grpo", "steer_paper"])
def test_micro_batches_do_not_change_the_step(preset: str) -> None:
    whole, cut = tiny_policy(), tiny_policy()
    # A large eps makes Adam's update proportional to the gradient; without it the sign of a
    # gradient that is zero but for rounding would move a weight by the whole learning rate.
    optimizer = {"lr": 0.1, "eps": 1.0}
    one = trainer(whole, preset, optimizer=optimizer).step(samples(whole), 0)
    many = trainer(cut, preset, optimizer=optimizer, micro_batch_tokens=20).step(samples(cut), 0)
    moved = (flat_weights(whole) - flat_weights(tiny_policy())).abs().max()
    assert (flat_weights(whole) - flat_weights(cut)).abs().max() < 1e-3 * moved
    for name in ("pg/loss", "policy/entropy", "entropy/change_predicted", "policy/grad_norm"):
        assert one[name] == pytest.approx(many[name], rel=1e-3, abs=1e-7), name


def test_what_the_sampler_reports_serves_as_the_old_policy() -> None:
    recomputed, reported = tiny_policy(), tiny_policy()
    optimizer = {"lr": 0.1, "eps": 1.0}
    expected = trainer(recomputed, optimizer=optimizer).step(samples(recomputed), 0)
    made = samples(reported)
    rows = reported.statistics(made, temperature=1.0, gradient=False)
    for index, sample in enumerate(made):
        first, own = sample.first_loss_index, rows.mask_BT[index] > 0
        sample.rollout_logprobs = [0.0] * first + rows.logp_BT[index][own].tolist()
        sample.rollout_entropies = [0.0] * first + rows.entropy_BT[index][own].tolist()
    worker = trainer(reported, optimizer=optimizer, old_logprobs="rollout")
    found = worker.step(made, 0)
    moved = (flat_weights(recomputed) - flat_weights(tiny_policy())).abs().max()
    assert (flat_weights(recomputed) - flat_weights(reported)).abs().max() < 1e-3 * moved
    assert found["policy/entropy"] == pytest.approx(expected["policy/entropy"], abs=1e-5)


def test_micro_batches_hold_their_bound_and_every_sample() -> None:
    made = samples(tiny_policy())
    batches = micro_batches(made, 40)
    assert sorted(s.id for batch in batches for s in batch) == sorted(s.id for s in made)
    for batch in batches:
        width = max(len(s.token_ids) for s in batch)
        assert width * len(batch) <= 40 or len(batch) == 1


def test_training_raises_the_rewarded_replies() -> None:
    policy = tiny_policy()
    made = samples(policy)
    before = policy.statistics(made, temperature=1.0, gradient=False).logp_BT.sum(1)
    worker = trainer(policy)
    for step in range(5):
        metrics = worker.step(made, step)
    after = policy.statistics(made, temperature=1.0, gradient=False).logp_BT.sum(1)
    change = (after - before).tolist()
    assert change[0] > 0
    assert change[4] > 0
    assert metrics["train/updates"] == 4
    assert all(len(s.token_weights) == s.num_loss_tokens for s in made)


def test_the_predicted_entropy_change_is_right_for_plain_gradient_descent() -> None:
    """One step on the logits themselves, small enough for first order."""
    logits = LOGITS.clone().requires_grad_(True)
    found = token_statistics(logits, TOKENS, temperature=1.0)
    batch = TokenBatch(logp=found.logp * MASK, old_logp=OLD, advantages=ADVANTAGES, mask=MASK)
    batch.logp.retain_grad()
    objective = objectives.build(ObjectiveConfig.model_validate({"loss": {"eps_high": 0.28}}))
    objective.loss(batch).loss.backward()  # type: ignore[no-untyped-call]
    assert batch.logp.grad is not None
    assert logits.grad is not None
    predicted = predicted_mean_change(
        batch.logp.grad, batch.logp.detach(), found.entropy, found.s2, MASK, 7
    )
    assert predicted.item() == pytest.approx(-0.009525, abs=2e-6)
    moved = token_statistics(LOGITS - 1e-3 * logits.grad, TOKENS, temperature=1.0)
    measured = ((moved.entropy - found.entropy) * MASK).sum() / 7 / 1e-3
    assert measured.item() == pytest.approx(-0.009526, abs=2e-6)


def test_a_step_with_gradients_that_are_not_finite_is_skipped_and_counted() -> None:
    policy = tiny_policy()
    made = samples(policy)
    made[0].given_advantages = [float("inf")] * len(made[0].token_ids)
    before = flat_weights(policy).clone()
    metrics = trainer(policy, epochs=1, mini_batches=1).step(made, 0)
    assert metrics["train/skipped_updates"] == 1
    assert torch.equal(flat_weights(policy), before)


def test_a_checkpoint_goes_on_bit_by_bit(tmp_path: Path) -> None:
    straight = tiny_policy()
    made = samples(straight)
    worker = trainer(straight)
    worker.step(made, 0)
    save_checkpoint(
        tmp_path,
        1,
        save_model=straight.save,
        trainer_state=worker.state(),
        state={"position": 7},
        keep=2,
    )
    worker.step(made, 1)
    found = latest_checkpoint(tmp_path)
    assert found is not None
    assert (found.step, found.state["position"]) == (1, 7)
    resumed = Policy.load(str(found.path), RunModelConfig(), allow_hub=False)
    again = trainer(resumed)
    again.restore(found.trainer_state())
    again.step(samples(resumed), 1)
    assert torch.equal(flat_weights(straight), flat_weights(resumed))


def test_a_cut_checkpoint_is_passed_over_and_old_ones_are_pruned(tmp_path: Path) -> None:
    policy = tiny_policy()
    worker = trainer(policy)
    for step in (1, 2, 3):
        save_checkpoint(
            tmp_path,
            step,
            save_model=policy.save,
            trainer_state=worker.state(),
            state={},
            keep=2,
        )
    assert [checkpoint.step for checkpoint in list_checkpoints(tmp_path)] == [2, 3]
    model = tmp_path / "step-000003" / "model.safetensors"
    model.write_bytes(model.read_bytes()[:1000])
    found = latest_checkpoint(tmp_path)
    assert found is not None
    assert found.step == 2
