"""One step's groups: generated, and scored as soon as each is complete."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from learner.samples import TrainingSample
from learner.wire import prompt_proto, record_of, training_sample
from trimtab.client.rollout_pool import RolloutPool
from trimtab.common.v1 import sampling_pb2
from trimtab.data.problems import Problem
from trimtab.records import SampleRecord
from trimtab.rollout.v1 import rollout_pb2
from trimtab.router import RewardRouter, Scorable


@dataclass(slots=True)
class ScoredSample:
    """A sample with its verdict."""

    record: SampleRecord
    """The row that will be kept of it."""
    training: TrainingSample
    """What the trainer needs of it."""


@dataclass(slots=True)
class Collection:
    """What one round of generation and scoring gave."""

    samples: list[ScoredSample] = field(default_factory=list)
    """All samples, by group, in the order in which groups were complete."""
    prompt_errors: list[rollout_pb2.PromptError] = field(default_factory=list)
    """Prompts that could not be served."""
    generate_s: float = 0.0
    """Time until the last sample came."""
    total_s: float = 0.0
    """Time until the last verdict came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Prompts to collect samples for."""

    step: int
    """Step that the records carry."""
    problems: Mapping[str, Problem]
    """By prompt id."""
    samples_per_prompt: int
    """Size of a group."""
    sampling: sampling_pb2.SamplingParams
    """How samples are drawn."""


async def collect(
    batch: Batch,
    pool: RolloutPool,
    router: RewardRouter,
    *,
    prompt_text: Callable[[Sequence[int]], str],
) -> Collection:
    """Generates and scores the batch; scoring overlaps generation.

    Raises:
        ServiceError: no rollout server could be used for as long as the pool's patience.
        RemoteError: a rollout server refused the call.
    """
    started_s = time.monotonic()
    collection = Collection()
    groups: dict[str, list[rollout_pb2.Sample]] = defaultdict(list)
    prompts = [prompt_proto(name, problem) for name, problem in batch.problems.items()]
    async with asyncio.TaskGroup() as scoring:
        tasks = []
        async for event in pool.generate(
            prompts,
            samples_per_prompt=batch.samples_per_prompt,
            sampling=batch.sampling,
            want=rollout_pb2.Want(),
        ):
            if isinstance(event, rollout_pb2.PromptError):
                collection.prompt_errors.append(event)
                continue
            group = groups[event.prompt_id]
            group.append(event)
            if len(group) == batch.samples_per_prompt:
                group.sort(key=lambda sample: sample.sample_index)
                tasks.append(scoring.create_task(_scored(batch, group, router, prompt_text)))
        collection.generate_s = time.monotonic() - started_s
    collection.samples = [sample for task in tasks for sample in task.result()]
    collection.total_s = time.monotonic() - started_s
    return collection


async def _scored(
    batch: Batch,
    group: Sequence[rollout_pb2.Sample],
    router: RewardRouter,
    prompt_text: Callable[[Sequence[int]], str],
) -> list[ScoredSample]:
    problem = batch.problems[group[0].prompt_id]
    prompt = prompt_text(group[0].prompt_token_ids)
    verdicts = await router.score(
        [
            Scorable(
                id=f"{sample.prompt_id}.{sample.sample_index}",
                group_id=sample.prompt_id,
                prompt=prompt,
                response=sample.text,
                references=problem.references,
                metadata={"token_count": len(sample.token_ids)},
            )
            for sample in group
        ]
    )
    return [
        ScoredSample(
            record=record_of(sample, verdict, step=batch.step, prompt=prompt, problem=problem),
            training=training_sample(sample, verdict),
        )
        for sample, verdict in zip(group, verdicts, strict=True)
    ]
