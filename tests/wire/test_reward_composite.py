"""Composites of the shipped server: their parts are judged like items of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.wire.reward_server_process import (
    TIMEOUT_S,
    RewardServer,
    algebra,
    eventually,
    hanging,
    item,
    running_reward_server,
)
from trimtab.common.v1 import outcome_pb2
from trimtab.reward.v1 import reward_pb2

VERIFIERS = (
    "verifiers={total: {type: composite, minimum: -1.0, parts: {math: {}, "
    "brief: {weight: 0.5, minimum: -0.5}}}, math: {type: math}, "
    "both: {type: composite, parts: {math: {weight: 0.5}, lenient: {weight: 0.5}}}, "
    "lenient: {type: math, strip_thinking: false}, "
    "brief: {type: length, unit: characters, max_length: 80, margin: 20}}"
)


@pytest.fixture(scope="module")
def server() -> Iterator[RewardServer]:
    with running_reward_server(VERIFIERS) as running:
        yield running


def test_a_composite_is_offered_and_may_be_the_first(server: RewardServer) -> None:
    offered = server.info().verifiers
    assert [(verifier.name, verifier.type) for verifier in offered] == [
        ("total", "composite"), ("math", "math"), ("both", "composite"), ("lenient", "math"),
        ("brief", "length"),
    ]  # fmt: skip
    [result] = server.score(item("a", r"\boxed{7}", "7"))
    assert (result.outcome, result.reward) == (outcome_pb2.OUTCOME_CORRECT, 1.0)
    assert result.verifier_version == offered[0].version
    assert dict(result.components) == {"math": 1.0, "brief": 0.0}


def test_a_batch_mixes_parts_that_take_workers_and_parts_that_do_not(server: RewardServer) -> None:
    padding = "." * 60
    long = algebra("long")
    long.response += padding
    results = server.score(
        algebra("algebra"),
        long,
        algebra("twice", verifier="both"),
        item("wrong", r"\boxed{8}" + 2 * padding, "7"),
        hanging("hangs"),
        algebra("plain", verifier="math"),
    )
    assert [(result.id, result.outcome) for result in results] == [
        ("algebra", outcome_pb2.OUTCOME_CORRECT),
        ("long", outcome_pb2.OUTCOME_CORRECT),
        ("twice", outcome_pb2.OUTCOME_CORRECT),
        ("wrong", outcome_pb2.OUTCOME_INCORRECT),
        ("hangs", outcome_pb2.OUTCOME_TIMED_OUT),
        ("plain", outcome_pb2.OUTCOME_CORRECT),
    ]
    assert [result.reward for result in results[:4]] == [1.0, 0.75, 1.0, -0.25]
    assert not results[4].HasField("reward")
    assert results[4].cause == outcome_pb2.CAUSE_ITEM
    assert results[4].detail.startswith("math: ")


def test_a_stream_takes_composites(server: RewardServer) -> None:
    items = [algebra(str(index)) for index in range(20)]
    requests = iter([reward_pb2.ScoreStreamRequest(items=items)])
    found = {
        result.id: result.reward
        for response in server.stub.ScoreStream(requests, timeout=TIMEOUT_S)
        for result in response.results
    }
    assert found == {str(index): 1.0 for index in range(20)}


def test_a_deadline_and_a_cancellation_reach_every_part() -> None:
    with running_reward_server(
        VERIFIERS, "item_deadline_s=600", "workers=1", "slow_workers=0"
    ) as server:
        endless = hanging("a", verifier="both")
        [result] = server.score(endless, timeout_s=1)
        assert result.outcome == outcome_pb2.OUTCOME_TIMED_OUT
        assert result.cause == outcome_pb2.CAUSE_MACHINERY
        eventually(lambda: server.info().running_count + server.info().waiting_count == 0)
        call = server.stub.Score.future(reward_pb2.ScoreRequest(items=[endless]), timeout=TIMEOUT_S)
        eventually(lambda: server.info().waiting_count == 1)
        call.cancel()
        eventually(lambda: server.info().running_count + server.info().waiting_count == 0)
        [result] = server.score(algebra("b", verifier="both"))
        assert result.outcome == outcome_pb2.OUTCOME_CORRECT
