"""mean@k, pass@k and greedy accuracy of a policy on problems it does not train on."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from learner.collecting import Batch, Collection, ScoredSample, collect
from learner.wire import derived_seed, sampling_proto
from trimtab.client.rollout_pool import RolloutPool
from trimtab.config.run import EvaluationConfig, SamplingConfig
from trimtab.data.problems import Problem
from trimtab.errors import Reason, ServiceError
from trimtab.records import SampleRecord
from trimtab.router import RewardRouter

_GREEDY_INDEX = -1


def pass_at_k(num_samples: int, num_correct: int, k: int) -> float:
    """Unbiased chance that one of k samples drawn from these is correct (arXiv 2107.03374)."""
    if num_samples - num_correct < k:
        return 1.0
    return 1.0 - math.comb(num_samples - num_correct, k) / math.comb(num_samples, k)


async def evaluate(
    problems: Sequence[Problem],
    *,
    step: int,
    seed: int,
    config: EvaluationConfig,
    pool: RolloutPool,
    router: RewardRouter,
    prompt_text: Callable[[Sequence[int]], str],
) -> tuple[dict[str, float], list[SampleRecord]]:
    """Metrics and samples of k draws and one greedy answer a problem.

    A sample that could not be scored counts as not correct.

    Raises:
        ServiceError: more than `max_invalid_share` of the samples could not be scored, or a
            rollout server could not be used.
    """
    named = {f"e{problem.row}": problem for problem in problems}
    # The seed is the same at every step: what changes is the policy, not the luck.
    drawn = await collect(
        Batch(
            step=step,
            problems=named,
            samples_per_prompt=config.samples_per_prompt,
            sampling=sampling_proto(config.sampling, seed=derived_seed(seed, "evaluation")),
        ),
        pool,
        router,
        prompt_text=prompt_text,
    )
    greedy = await collect(
        Batch(
            step=step,
            problems=named,
            samples_per_prompt=1,
            sampling=sampling_proto(_greedy(config.sampling), seed=0),
        ),
        pool,
        router,
        prompt_text=prompt_text,
    )
    for sample in greedy.samples:
        sample.record.sample_index = _GREEDY_INDEX
    records = [sample.record for sample in (*drawn.samples, *greedy.samples)]
    for record in records:
        record.state = "evaluated"
    metrics = _metrics(named, drawn, greedy, config.samples_per_prompt)
    if metrics["invalid_share"] > config.max_invalid_share:
        raise ServiceError(
            Reason.NOT_ENOUGH_VALID_SAMPLES,
            f"{metrics['invalid_share']:.1%} of the evaluation's samples could not be scored "
            f"(limit {config.max_invalid_share:.1%}): {_first_detail(records)}",
        )
    return metrics, records


def _greedy(sampling: SamplingConfig) -> SamplingConfig:
    return SamplingConfig(
        temperature=0.0,
        max_tokens=sampling.max_tokens,
        stop=sampling.stop,
        stop_token_ids=sampling.stop_token_ids,
    )


def _metrics(
    named: Mapping[str, Problem], drawn: Collection, greedy: Collection, k: int
) -> dict[str, float]:
    correct: dict[str, int] = defaultdict(int)
    for sample in drawn.samples:
        correct[sample.record.prompt_id] += _is_correct(sample)
    count = max(len(named), 1)
    entropies = [np.asarray(sample.record.entropies) for sample in drawn.samples]
    every = [*drawn.samples, *greedy.samples]
    asked = count * (k + 1)
    unserved = asked - len(every)
    invalid = unserved + sum(sample.record.reward is None for sample in every)
    lengths = [len(sample.record.token_ids) for sample in drawn.samples]
    return {
        "mean_at_k": sum(correct.values()) / (count * k),
        "pass_at_k": sum(pass_at_k(k, correct[name], k) for name in named) / count,
        "greedy": sum(_is_correct(sample) for sample in greedy.samples) / count,
        "entropy": float(np.concatenate(entropies).mean()) if entropies else 0.0,
        "k": float(k),
        "num_prompts": float(len(named)),
        "length_mean": float(np.mean(lengths)) if lengths else 0.0,
        "invalid_share": invalid / asked,
    }


def _is_correct(sample: ScoredSample) -> bool:
    return sample.record.outcome == "correct"


def _first_detail(records: Sequence[SampleRecord]) -> str:
    for record in records:
        if record.reward is None:
            return f"{record.outcome}: {record.detail}"
    return "prompts were refused"
