"""The way to a verifier: order, retries and limits, against good and bad servers."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf import json_format

from tests.services import Service, service
from tests.unit.router.reward_peers import Answer, Context, correct, peer, refusing, well
from trimtab.client.reward import Item
from trimtab.common.v1 import outcome_pb2
from trimtab.config.routes import RouteConfig
from trimtab.config.run import RewardPeerConfig, RewardsConfig
from trimtab.errors import Reason, ServiceError
from trimtab.outcomes import outcome_name
from trimtab.reward.v1 import reward_pb2
from trimtab.router import RewardRouter, Scorable
from trimtab.router.route import Route

Request = reward_pb2.ScoreRequest
Results = list[reward_pb2.ScoreResult]
ITEMS = [Item(id=str(number), response="46+5=51", references=["51"]) for number in range(5)]


@pytest.fixture(scope="module")
def server() -> Iterator[Service]:
    with service("reward_server", "workers=1") as started:
        yield started


async def scored(
    target: str,
    items: list[Item] = ITEMS,
    *,
    name: str = "numeric",
    deadline_s: float | None = None,
    **options: Any,
) -> Results:
    route = Route(name, RouteConfig(**options), own_target=target)
    try:
        return await route.score(items, deadline_s=deadline_s)
    finally:
        await route.close()


def outcomes(results: Results) -> list[str]:
    return [outcome_name(result.outcome) for result in results]


@pytest.mark.parametrize("batch_size", [1, 2, 5, 64])
async def test_a_real_server_answers_in_order(server: Service, batch_size: int) -> None:
    items = [
        Item(id=str(number), response=f"it is {number % 3}", references=["1"])
        for number in range(11)
    ]
    results = await scored(server.target, items, batch_size=batch_size, max_in_flight=3)
    assert [result.id for result in results] == [item.id for item in items]
    assert [result.reward for result in results] == [float(n % 3 == 1) for n in range(11)]


async def test_nothing_to_score_is_nothing(server: Service) -> None:
    assert await scored(server.target, []) == []


async def test_a_verifier_may_have_another_name_there(server: Service) -> None:
    rewards = RewardsConfig.model_validate({"mine": {"verifier": "numeric", "weight": 0.5}})
    router = RewardRouter(rewards, RewardPeerConfig(target=server.target))
    await router.check(timeout_s=10)
    made = await router.score([scorable("46+5=51"), scorable("46+5=50")])
    await router.close()
    assert [sample.reward for sample in made] == [0.5, 0.0]
    assert [dict(sample.components) for sample in made] == [{"mine": 1.0}, {"mine": 0.0}]


def scorable(response: str) -> Scorable:
    return Scorable(id=response, group_id="g", prompt="?", response=response, references=["51"])


async def test_a_verifier_that_is_not_offered_is_named(server: Service) -> None:
    rewards = RewardsConfig.model_validate({"numeric": {}, "stile": {}})
    router = RewardRouter(rewards, RewardPeerConfig(target=server.target))
    with pytest.raises(ServiceError, match="no verifier 'stile', only math, numeric") as caught:
        await router.check(timeout_s=10)
    await router.close()
    assert caught.value.reason is Reason.CONFIG_INVALID
    assert caught.value.field == "rewards.stile"


async def test_a_server_that_is_not_there_is_named() -> None:
    rewards = RewardsConfig.model_validate({"numeric": {}})
    router = RewardRouter(rewards, RewardPeerConfig(target="127.0.0.1:1"))
    with pytest.raises(ServiceError) as caught:
        await router.check(timeout_s=2)
    await router.close()
    assert caught.value.reason is Reason.PEER_UNAVAILABLE
    assert caught.value.field == "rewards.numeric"


async def test_two_servers_make_one_reward(server: Service) -> None:
    async with peer(well) as style:
        rewards = RewardsConfig.model_validate(
            {"numeric": {}, "style": {"target": style.target, "weight": 0.25}}
        )
        router = RewardRouter(rewards, RewardPeerConfig(target=server.target))
        made = await router.score([scorable("46+5=51"), scorable("46+5=50")])
        await router.close()
    assert [sample.reward for sample in made] == [1.25, 0.25]
    assert [sample.correct for sample in made] == [True, False]


async def reversed_order(request: Request, context: Context) -> Results:
    return [correct(item.id) for item in reversed(request.items)]


async def one_missing(request: Request, context: Context) -> Results:
    return [correct(item.id) for item in request.items[1:]]


async def one_too_many(request: Request, context: Context) -> Results:
    return [correct(item.id) for item in (*request.items, request.items[0])]


async def strangers(request: Request, context: Context) -> Results:
    return [correct(f"x{item.id}") for item in request.items]


async def nothing(request: Request, context: Context) -> Results:
    return []


@pytest.mark.parametrize("answer", [reversed_order, one_missing, one_too_many, strangers, nothing])
async def test_results_that_do_not_match_count_for_nothing(answer: Answer) -> None:
    async with peer(answer) as bad:
        results = await scored(bad.target)
    assert [result.id for result in results] == [item.id for item in ITEMS]
    assert outcomes(results) == ["verifier_error"] * 5
    assert {result.cause for result in results} == {outcome_pb2.CAUSE_MACHINERY}
    assert not any(result.HasField("reward") for result in results)


async def test_one_bad_result_spoils_only_itself() -> None:
    async def one_nan(request: Request, context: Context) -> Results:
        return [correct(item.id, math.nan if item.id == "2" else 1.0) for item in request.items]

    async with peer(one_nan) as bad:
        results = await scored(bad.target)
    assert outcomes(results) == ["correct", "correct", "verifier_error", "correct", "correct"]


MENDABLE = [
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.CANCELLED,
]


@pytest.mark.parametrize("code", MENDABLE)
async def test_trouble_that_passes_is_retried_as_the_same_request(code: grpc.StatusCode) -> None:
    async with peer(refusing(code), refusing(code), well) as flaky:
        results = await scored(flaky.target)
        assert outcomes(results) == ["correct"] * 5
        ids = [request.request_id for request in flaky.requests]
    assert len(ids) == 3
    assert len(set(ids)) == 1
    assert ids[0]


async def test_each_batch_is_a_request_of_its_own() -> None:
    async with peer(well) as good:
        await scored(good.target, batch_size=2)
        assert len({request.request_id for request in good.requests}) == 3


@pytest.mark.parametrize(
    "code",
    [
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.PERMISSION_DENIED,
    ],
)
async def test_a_refusal_is_not_retried(code: grpc.StatusCode) -> None:
    async with peer(refusing(code)) as refuser:
        results = await scored(refuser.target)
        assert len(refuser.requests) == 1
    assert outcomes(results) == ["unavailable"] * 5
    assert {result.cause for result in results} == {outcome_pb2.CAUSE_MACHINERY}
    assert all(code.name in result.detail for result in results)


@pytest.mark.parametrize("code", MENDABLE)
async def test_trouble_that_stays_is_given_up(code: grpc.StatusCode) -> None:
    async with peer(refusing(code)) as broken:
        results = await scored(broken.target, patience_s=0)
    assert outcomes(results) == ["unavailable"] * 5


async def test_a_server_that_is_not_there_makes_items_unavailable() -> None:
    results = await scored("127.0.0.1:1", patience_s=0)
    assert outcomes(results) == ["unavailable"] * 5


async def hang(request: Request, context: Context) -> Results:
    await asyncio.Event().wait()
    return []


@pytest.mark.parametrize("limits", [{"timeout_s": 0.2}, {"deadline_s": 0.2}])
async def test_a_server_that_hangs_makes_items_timed_out(limits: dict[str, Any]) -> None:
    async with peer(hang) as hanging:
        results = await scored(hanging.target, **limits)
        assert len(hanging.requests) == 1
    assert outcomes(results) == ["timed_out"] * 5
    assert {result.cause for result in results} == {outcome_pb2.CAUSE_MACHINERY}


async def test_a_deadline_covers_retries() -> None:
    left_s: list[float] = []

    async def full_after_a_while(request: Request, context: Context) -> Results:
        left_s.append(context.time_remaining())
        await asyncio.sleep(0.5)
        await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "full")
        raise AssertionError

    async def record(request: Request, context: Context) -> Results:
        left_s.append(context.time_remaining())
        return await well(request, context)

    async with peer(full_after_a_while, record) as slow:
        results = await scored(slow.target, deadline_s=8.0)
    assert outcomes(results) == ["correct"] * 5
    assert left_s[1] < left_s[0] - 0.4


async def test_a_deadline_covers_the_wait_for_a_slot() -> None:
    async with peer(hang) as hanging:
        results = await scored(
            hanging.target, batch_size=1, max_in_flight=1, deadline_s=0.2, timeout_s=5.0
        )
    first, *others = outcomes(results)
    assert first == "timed_out"
    assert others.count("unavailable") >= 3


async def test_calls_at_once_are_bounded() -> None:
    running = most = 0
    all_in = asyncio.Event()

    async def wait_for_company(request: Request, context: Context) -> Results:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 2:
            all_in.set()
        await all_in.wait()
        running -= 1
        return await well(request, context)

    async with peer(wait_for_company) as counting:
        await scored(counting.target, ITEMS[:4], batch_size=1, max_in_flight=2)
    assert most == 2


SURROGATE = "4\ud8006"


@pytest.mark.parametrize(
    "item",
    [
        Item(id="a", response=SURROGATE),
        Item(id="a", response="", prompt=SURROGATE),
        Item(id="a", response="", references=["x", SURROGATE]),
        Item(id="a", response="", group_id=SURROGATE),
        Item(id="a", response="", metadata={SURROGATE: 1}),
        Item(id="a", response="", metadata={"k": ["x", {"deep": SURROGATE}]}),
    ],
)
async def test_lone_surrogates_are_replaced_and_said(item: Item) -> None:
    whole = Item(id="b", response="46 \N{GRINNING FACE}")
    async with peer(well) as good:
        results = await scored(good.target, [item, whole])
        sent = good.requests[0]
    assert "\N{REPLACEMENT CHARACTER}" in str(sent.items[0]) or "\\357\\277\\275" in str(sent)
    assert "U+FFFD" in results[0].detail
    assert results[1].detail == ""
    assert sent.items[1].response == whole.response


async def test_metadata_travels() -> None:
    metadata: dict[str, Any] = {
        "n": 1.5,
        "none": None,
        "flag": True,
        "list": [1, {"x": "y"}],
        "map": {"a": {}},
    }
    async with peer(well) as good:
        await scored(good.target, [Item(id="a", response="", metadata=metadata)])
        (sent,) = good.requests[0].items
    assert json_format.MessageToDict(sent.metadata) == metadata
