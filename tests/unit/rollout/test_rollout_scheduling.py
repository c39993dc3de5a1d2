"""Which samples begin next, and how many fit into memory."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import torch

from rollout_server.engine import GenerateTask, PromptTask, Sampling
from rollout_server.seeds import sample_seed
from rollout_server.transformers_engine.job import Job, PromptGroup
from rollout_server.transformers_engine.kv_cache import RowCache
from rollout_server.transformers_engine.memory import MemoryPlan, cache_budget_bytes
from rollout_server.transformers_engine.rows import RowTable
from rollout_server.transformers_engine.scheduler import Scheduler


def job(*lengths: int, samples: int = 1, priority: int = 0, max_tokens: int = 10) -> Job:
    prompts = [
        PromptTask(
            prompt_id=f"{length} tokens",
            token_ids=(1,) * length,
            sampling=Sampling(max_tokens=max_tokens),
            sample_indices=tuple(range(samples)),
            seeds=tuple(range(samples)),
        )
        for length in lengths
    ]
    return Job(GenerateTask(prompts=prompts, priority=priority), lambda _: None)


def taken(scheduler: Scheduler, free_rows: int) -> list[tuple[int, int]]:
    """Length of each prompt that begins, and how many samples of it."""
    result = []
    for group, begins in scheduler.take(free_rows, lambda group, _: group.waiting_count):
        group.next_sample += begins
        result.append((len(group.prompt.token_ids), begins))
    return result


async def test_priority_then_arrival_then_length_decide() -> None:
    scheduler = Scheduler()
    for each in (job(9, 3), job(5), job(7, priority=1)):
        scheduler.add(each)
    assert taken(scheduler, 10) == [(7, 1), (3, 1), (9, 1), (5, 1)]
    assert not scheduler


async def test_a_prompt_that_does_not_fit_whole_stays_at_the_head() -> None:
    scheduler = Scheduler()
    scheduler.add(job(3, 4, samples=5))
    assert taken(scheduler, 7) == [(3, 5), (4, 2)]
    assert scheduler.waiting_count == 3
    assert taken(scheduler, 7) == [(4, 3)]


async def test_cancelled_jobs_are_forgotten() -> None:
    scheduler = Scheduler()
    kept, dropped = job(3), job(4, 5)
    scheduler.add(kept)
    scheduler.add(dropped)
    dropped.cancel()
    scheduler.drop_cancelled()
    assert taken(scheduler, 10) == [(3, 1)]


def plan(budget_tokens: int) -> MemoryPlan:
    return MemoryPlan(RowTable(8), budget_bytes=budget_tokens * 16, token_bytes=16)


async def test_rows_are_bounded_by_the_longest_they_may_become() -> None:
    short, long = group(10, max_tokens=10), group(50, max_tokens=50)
    assert plan(200).fits(short, 0) == 10
    assert plan(200).fits(long, 0) == 2
    memory = plan(200)
    assert memory.fits(short, 0) == 10
    assert memory.fits(long, 1) == 1
    assert memory.fits(short, 2) == 0


async def test_a_sample_alone_always_fits() -> None:
    long = group(50, max_tokens=50)
    assert plan(1).fits(long, 0) == 1
    assert plan(1).fits(long, 1) == 0


def group(length: int, max_tokens: int) -> PromptGroup:
    alone = job(length, max_tokens=max_tokens)
    return PromptGroup(alone, alone.task.prompts[0])


def test_the_budget_is_part_of_the_memory_that_is_free() -> None:
    total_kib = int(Path("/proc/meminfo").read_text().split()[1])
    assert 0 < cache_budget_bytes(torch.device("cpu")) < total_kib * 1024


def test_caches_grow_and_close_gaps_without_changing_what_they_hold() -> None:
    layers = [(torch.arange(24.0).reshape(2, 1, 3, 4), -torch.arange(24.0).reshape(2, 1, 3, 4))]
    cache = RowCache()
    cache.ensure(3, 4, layers)
    cache.put(torch.tensor([0, 1, 2]), torch.tensor([1, 0, 1]), layers)
    cache.ensure(70, 300)
    assert cache.capacity[0] >= 70
    assert cache.capacity[1] >= 300
    cache.move(torch.tensor([2]), torch.tensor([1]), 3)
    cache.begin_step(torch.tensor([3, 3]), 4)
    new = torch.full((2, 1, 1, 4), 7.0)
    keys, values = cache.update(new, 2 * new, 0)
    for row in range(2):
        assert torch.equal(keys[row, :, :3], layers[0][0][1])
        assert torch.equal(values[row, :, :3], layers[0][1][1])
        assert keys[row, 0, 3].tolist() == [7.0] * 4
        assert values[row, 0, 3].tolist() == [14.0] * 4


@pytest.mark.parametrize(
    ("seed", "prompt_id", "index", "expected"),
    [(0, "a", 0, 0x699BA3D2ED74BC27), (7, "prompt-1", 3, 0x0364BBD66A1A8186)],
)
def test_seeds_follow_the_contract(seed: int, prompt_id: str, index: int, expected: int) -> None:
    assert sample_seed(seed, prompt_id, index) == expected


async def test_events_end_with_the_last_sample() -> None:
    done = job(3)
    done.cancel()
    done.cancel()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await anext(aiter(done.events()))
