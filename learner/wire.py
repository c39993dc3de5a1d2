"""Between messages and the learner's own objects."""

from __future__ import annotations

import hashlib

import numpy as np

from learner.samples import TrainingSample
from trimtab.common.v1 import message_pb2, outcome_pb2, sampling_pb2, trajectory_pb2
from trimtab.config.run import SamplingConfig
from trimtab.data.problems import Problem
from trimtab.errors import Reason, ServiceError
from trimtab.outcomes import REWARDED, outcome_name
from trimtab.records import SampleRecord
from trimtab.rollout.v1 import rollout_pb2
from trimtab.router import SampleReward


def sampling_proto(config: SamplingConfig, *, seed: int) -> sampling_pb2.SamplingParams:
    """The sampling of a config, with the root of the samples' seeds."""
    return sampling_pb2.SamplingParams(
        temperature=config.temperature,
        top_p=config.top_p,
        top_k=config.top_k,
        min_p=config.min_p,
        typical_p=config.typical_p,
        max_tokens=config.max_tokens,
        min_tokens=config.min_tokens,
        seed=seed,
        stop=config.stop,
        stop_token_ids=config.stop_token_ids,
    )


def derived_seed(root: int, *parts: object) -> int:
    """A seed of 63 bits that depends on all parts."""
    text = "|".join(str(part) for part in (root, *parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def prompt_proto(prompt_id: str, problem: Problem) -> rollout_pb2.Prompt:
    """The problem as a prompt: text, or a conversation."""
    if isinstance(problem.prompt, str):
        return rollout_pb2.Prompt(id=prompt_id, text=problem.prompt)
    messages = [
        message_pb2.Message(role=part["role"], content=part["content"]) for part in problem.prompt
    ]
    return rollout_pb2.Prompt(id=prompt_id, chat=rollout_pb2.Chat(messages=messages))


def finish_name(reason: int) -> str:
    """The reason in lower case without its prefix, as "length"."""
    name = sampling_pb2.FinishReason.Name(sampling_pb2.FinishReason.ValueType(reason))
    return name.removeprefix("FINISH_REASON_").lower()


def entropy_name(kind: int) -> str:
    """The kind in lower case without its prefix, as "exact"."""
    name = sampling_pb2.EntropyKind.Name(sampling_pb2.EntropyKind.ValueType(kind))
    return name.removeprefix("ENTROPY_KIND_").lower()


def training_sample(sample: rollout_pb2.Sample, verdict: SampleReward) -> TrainingSample:
    """What the trainer needs of a generated sample."""
    num_prompt, num_tokens = len(sample.prompt_token_ids), len(sample.token_ids)
    return TrainingSample(
        id=f"{sample.prompt_id}.{sample.sample_index}",
        group_id=sample.prompt_id,
        token_ids=[*sample.prompt_token_ids, *sample.token_ids],
        loss_mask=[False] * num_prompt + [True] * num_tokens,
        reward=verdict.reward,
        rollout_logprobs=[0.0] * num_prompt + list(sample.logprobs),
        rollout_entropies=(
            [0.0] * num_prompt + list(sample.entropies)
            if sample.entropy_kind == sampling_pb2.ENTROPY_KIND_EXACT
            else []
        ),
    )


def record_of(
    sample: rollout_pb2.Sample, verdict: SampleReward, *, step: int, prompt: str, problem: Problem
) -> SampleRecord:
    """The row that is kept of a generated sample; training adds to it."""
    return SampleRecord(
        step=step,
        prompt_id=sample.prompt_id,
        sample_index=sample.sample_index,
        prompt=prompt,
        response=sample.text,
        references=problem.references,
        prompt_token_ids=list(sample.prompt_token_ids),
        token_ids=list(sample.token_ids),
        finish_reason=finish_name(sample.finish_reason),
        logprobs=list(sample.logprobs),
        entropies=list(sample.entropies),
        entropy_kind=entropy_name(sample.entropy_kind),
        outcome=outcome_name(verdict.outcome),
        reward=verdict.reward,
        components=verdict.components,
        extracted_answer=verdict.extracted_answer,
        detail=verdict.detail,
        verifier_version=verdict.verifier_version,
        weights_spans=[
            {
                "first_token": span.first_token,
                "lineage": span.weights.lineage,
                "version": span.weights.version,
                "digest": span.weights.digest,
            }
            for span in sample.weights_spans
        ],
        waiting_s=sample.timing.waiting.ToTimedelta().total_seconds(),
        generating_s=sample.timing.generating.ToTimedelta().total_seconds(),
        scoring_s=verdict.elapsed_s,
    )


def trajectory_sample(index: int, trajectory: trajectory_pb2.Trajectory) -> TrainingSample:
    """What the trainer needs of a trajectory that a caller brings.

    Raises:
        ServiceError: INVALID_FIELD naming the field that does not hold.
    """
    where = f"trajectories[{index}]"
    _check_trajectory(where, trajectory)
    rewarded = trajectory.outcome in REWARDED
    return TrainingSample(
        id=trajectory.id,
        group_id=trajectory.group_id,
        token_ids=list(trajectory.token_ids),
        loss_mask=list(trajectory.loss_mask),
        reward=trajectory.reward if rewarded else None,
        rollout_logprobs=list(trajectory.logprobs),
        rollout_entropies=(
            list(trajectory.entropies)
            if trajectory.entropy_kind == sampling_pb2.ENTROPY_KIND_EXACT
            else []
        ),
        given_advantages=list(trajectory.advantages) if rewarded else [],
    )


def _check_trajectory(where: str, trajectory: trajectory_pb2.Trajectory) -> None:
    length = len(trajectory.token_ids)
    problems = {
        "id": "" if trajectory.id else "is required",
        "group_id": "" if trajectory.group_id else "is required",
        "token_ids": "" if length >= 2 else f"has {length} tokens, at least 2 are needed",
        "loss_mask": _mask_problem(trajectory, length),
        "outcome": "" if trajectory.outcome else "is required",
        "reward": _reward_problem(trajectory),
    }
    for name in ("logprobs", "model_logprobs", "entropies", "advantages", "turn_ids"):
        size = len(getattr(trajectory, name))
        if size not in (0, length):
            problems[name] = f"has {size} values for {length} tokens"
    for name in ("logprobs", "advantages"):
        if not np.isfinite(np.asarray(getattr(trajectory, name))).all():
            problems[name] = "holds a value that is not finite"
    for name, problem in problems.items():
        if problem:
            raise ServiceError(
                Reason.INVALID_FIELD, f"{where}.{name} {problem}", field=f"{where}.{name}"
            )


def _mask_problem(trajectory: trajectory_pb2.Trajectory, length: int) -> str:
    mask = trajectory.loss_mask
    if len(mask) != length:
        return f"has {len(mask)} values for {length} tokens"
    if not any(mask):
        return "marks no token: there is nothing to train on"
    return "marks the first token, which nothing predicts" if mask[0] else ""


def _reward_problem(trajectory: trajectory_pb2.Trajectory) -> str:
    name = outcome_pb2.Outcome.Name(trajectory.outcome) if trajectory.outcome else ""
    if trajectory.outcome in REWARDED:
        if not trajectory.HasField("reward"):
            return f"is required with outcome {name}"
        return "" if np.isfinite(trajectory.reward) else "is not finite"
    return f"must be absent with outcome {name}" if trajectory.HasField("reward") else ""
