"""Several real rollout servers behind one pool: nothing lost, nothing twice."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import pytest

from tests.services import Service, service
from tests.wire.rollout_weights import digest_of, tiny_weights, travelling
from trimtab.client import RolloutClient
from trimtab.client.rollout_pool import Event, RolloutPool, WeightsSnapshot
from trimtab.common.v1 import sampling_pb2
from trimtab.errors import Reason, RemoteError, ServiceError
from trimtab.rollout.v1 import rollout_pb2
from trimtab.weights.transfer import chunks, full_manifest

Params = sampling_pb2.SamplingParams
SHORT = Params(max_tokens=12, seed=1)
LONG = Params(min_tokens=150, max_tokens=150, seed=1)
Key = tuple[str, int]


@contextmanager
def replica() -> Iterator[Service]:
    with service(
        "rollout_server", "transformers.threads=1", "transformers.max_batch_size=8"
    ) as started:
        yield started


@pytest.fixture(scope="module")
def first() -> Iterator[Service]:
    with replica() as started:
        yield started


@pytest.fixture
def second() -> Iterator[Service]:
    with replica() as started:
        yield started


@asynccontextmanager
async def pool_of(
    *targets: str, call_timeout_s: float = 60.0, patience_s: float = 30.0, min_replicas: int = 1
) -> AsyncIterator[RolloutPool]:
    pool = RolloutPool(
        targets,
        tls=None,
        call_timeout_s=call_timeout_s,
        patience_s=patience_s,
        min_replicas=min_replicas,
    )
    try:
        yield pool
    finally:
        await pool.close()


def prompts(count: int) -> list[rollout_pb2.Prompt]:
    return [rollout_pb2.Prompt(id=f"p{n}", text=f"{n + 10}+20+3=") for n in range(count)]


def snapshot(version: int, noise: float = 0.01) -> WeightsSnapshot:
    tensors = travelling(tiny_weights(noise=noise, seed=version))
    return WeightsSnapshot(full_manifest(tensors, lineage="pool", version=version), tensors)


def generating(
    pool: RolloutPool,
    asked: Sequence[rollout_pb2.Prompt],
    sampling: Params,
    *,
    samples_per_prompt: int = 2,
) -> AsyncIterator[Event]:
    return pool.generate(
        asked,
        samples_per_prompt=samples_per_prompt,
        sampling=sampling,
        want=rollout_pb2.Want(),
    )


def keys(events: Sequence[Event]) -> Counter[Key]:
    assert all(isinstance(event, rollout_pb2.Sample) for event in events), events
    return Counter((event.prompt_id, event.sample_index) for event in events)


def once(count: int, samples_per_prompt: int = 2) -> Counter[Key]:
    return Counter((f"p{n}", index) for n in range(count) for index in range(samples_per_prompt))


async def info_of(target: str) -> rollout_pb2.GetInfoResponse:
    async with RolloutClient(target) as client:
        return await client.get_info()


def versions(events: Sequence[Event]) -> set[int]:
    return {
        span.weights.version
        for event in events
        if isinstance(event, rollout_pb2.Sample)
        for span in event.weights_spans
    }


async def test_replicas_share_the_work(first: Service, second: Service) -> None:
    for version, target in enumerate((first.target, second.target), start=1):
        sent = snapshot(version, noise=0.0)
        async with RolloutClient(target) as client:
            await client.update_weights(sent.manifest, chunks(sent.tensors), timeout_s=60)
    async with pool_of(first.target, second.target) as pool:
        events = [event async for event in generating(pool, prompts(6), LONG)]
    assert keys(events) == once(6)
    assert versions(events) == {1, 2}
    async with pool_of(first.target) as pool:
        alone = [event async for event in generating(pool, prompts(6), LONG)]
    assert texts(alone) == texts(events)


def texts(events: Sequence[Event]) -> dict[Key, str]:
    """A sample's seed is its own: the same text wherever it is drawn."""
    return {
        (event.prompt_id, event.sample_index): event.text
        for event in events
        if isinstance(event, rollout_pb2.Sample)
    }


async def test_both_get_the_weights(first: Service, second: Service) -> None:
    async with pool_of(first.target, second.target, min_replicas=2) as pool:
        for version in (1, 2):
            sent = snapshot(version)
            proofs = await pool.publish(sent)
            expected = digest_of(tiny_weights(noise=0.01, seed=version))
            assert [proof.live_digest for proof in proofs] == [expected] * 2
            infos = await pool.infos()
            assert set(infos) == {first.target, second.target}
            assert all(info.weights == sent.manifest.weights for info in infos.values())
            assert await pool.publish(sent) == []
        events = [event async for event in generating(pool, prompts(4), SHORT)]
    assert keys(events) == once(4)
    assert versions(events) == {2}


async def test_a_killed_servers_samples_come_from_the_other(
    first: Service, second: Service
) -> None:
    async with pool_of(first.target, second.target) as pool:
        await pool.publish(snapshot(3))
        running = generating(pool, prompts(16), LONG)
        events = [await anext(running)]
        second.kill()
        events += [event async for event in running]
    assert keys(events) == once(16)
    assert versions(events) == {3}


async def test_a_restarted_server_gets_the_weights_before_use(
    first: Service, second: Service
) -> None:
    sent = snapshot(4)
    async with pool_of(first.target, second.target, min_replicas=2) as pool:
        await pool.publish(sent)
        running = generating(pool, prompts(16), LONG)
        events = [await anext(running)]
        second.kill()
        restart = asyncio.create_task(asyncio.to_thread(second.start))
        events += [event async for event in running]
        await restart
        again = [event async for event in generating(pool, prompts(4), SHORT)]
    assert keys(events) == once(16)
    assert keys(again) == once(4)
    assert versions(events) == versions(again) == {4}
    assert (await info_of(second.target)).weights == sent.manifest.weights


async def test_a_server_that_is_frozen_costs_time_but_no_samples(
    first: Service, second: Service
) -> None:
    async with pool_of(first.target, second.target, call_timeout_s=3.0) as pool:
        running = generating(pool, prompts(8), LONG)
        events = [await anext(running)]
        second.process.send_signal(signal.SIGSTOP)
        try:
            events += [event async for event in running]
        finally:
            second.process.send_signal(signal.SIGCONT)
    assert keys(events) == once(8)


async def test_a_newcomer_that_is_gone_does_not_hold_up_the_others(first: Service) -> None:
    async with pool_of(first.target, "127.0.0.1:1") as pool:
        proofs = await pool.publish(snapshot(5))
        events = [event async for event in generating(pool, prompts(3), SHORT)]
    assert [proof.weights.version for proof in proofs] == [5]
    assert keys(events) == once(3)


async def publish_some(pool: RolloutPool) -> None:
    await pool.publish(snapshot(1))


async def generate_some(pool: RolloutPool) -> None:
    await anext(generating(pool, prompts(1), SHORT))


@pytest.mark.parametrize("work", [publish_some, generate_some, RolloutPool.infos])
async def test_nobody_there_is_said_after_the_patience(
    work: Callable[[RolloutPool], Awaitable[object]],
) -> None:
    async with pool_of("127.0.0.1:1", patience_s=0.5) as pool:
        with pytest.raises(ServiceError) as caught:
            await work(pool)
    assert caught.value.reason is Reason.PEER_UNAVAILABLE
    assert "127.0.0.1:1" in caught.value.message


async def test_too_few_replicas_are_said(first: Service) -> None:
    async with pool_of(first.target, "127.0.0.1:1", patience_s=0.5, min_replicas=2) as pool:
        with pytest.raises(ServiceError) as caught:
            await pool.publish(snapshot(6))
    assert caught.value.reason is Reason.PEER_UNAVAILABLE


async def test_what_is_wrong_with_a_request_is_raised_at_once(first: Service) -> None:
    async with pool_of(first.target, patience_s=3600.0) as pool:
        with pytest.raises(RemoteError) as caught:
            await anext(generating(pool, prompts(1) * 2, SHORT))
        assert caught.value.code == "INVALID_ARGUMENT"
        assert caught.value.reason == "DUPLICATE_ID"
        good = [event async for event in generating(pool, prompts(1), SHORT)]
    assert keys(good) == once(1)


async def test_weights_that_do_not_fit_are_raised_at_once(first: Service) -> None:
    tensors = travelling(tiny_weights())[1:]
    bad = WeightsSnapshot(full_manifest(tensors, lineage="pool", version=9), tensors)
    async with pool_of(first.target, patience_s=3600.0) as pool:
        with pytest.raises(RemoteError) as caught:
            await pool.publish(bad)
    assert caught.value.reason == "MISSING_TENSOR"


async def test_a_bad_prompt_fails_alone(first: Service) -> None:
    asked = [*prompts(2), rollout_pb2.Prompt(id="bad", text="1+" * 2000)]
    async with pool_of(first.target) as pool:
        events = [event async for event in generating(pool, asked, SHORT)]
    errors = [event for event in events if isinstance(event, rollout_pb2.PromptError)]
    assert [(error.prompt_id, error.reason) for error in errors] == [("bad", "PROMPT_TOO_LONG")]
    assert keys([event for event in events if event not in errors]) == once(2)


async def test_leaving_early_ends_the_calls(first: Service) -> None:
    async with pool_of(first.target) as pool:
        running = generating(pool, prompts(4), LONG, samples_per_prompt=8)
        await anext(running)
        await running.aclose()  # type: ignore[attr-defined]
    give_up_s = time.monotonic() + 30
    while (await info_of(first.target)).running_count:
        assert time.monotonic() < give_up_s, "the server still generates"
