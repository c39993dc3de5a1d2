"""What the shipped server computes once, and what it computes again."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

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

POLICIES = (
    "verifiers={math: {type: math}, lenient: {type: math, strip_thinking: false}, "
    "same: {type: math}, either: {type: composite, parts: {math: {}}}}"
)


@pytest.fixture(scope="module")
def server() -> Iterator[RewardServer]:
    with running_reward_server(POLICIES) as running:
        yield running


@pytest.fixture
def patient() -> Iterator[RewardServer]:
    with running_reward_server("item_deadline_s=600", "workers=1", "slow_workers=0") as running:
        yield running


def renamed(asked: reward_pb2.ScoreItem, item_id: str, verifier: str = "") -> reward_pb2.ScoreItem:
    """The same item under another id."""
    return item(item_id, asked.response, *asked.references, verifier=verifier)


def cached(results: list[reward_pb2.ScoreResult]) -> list[bool]:
    return [result.cached for result in results]


def send(server: RewardServer, *items: reward_pb2.ScoreItem, timeout_s: float = TIMEOUT_S) -> Any:
    return server.stub.Score.future(reward_pb2.ScoreRequest(items=items), timeout=timeout_s)


def test_duplicates_in_a_batch_are_computed_once_and_keep_their_ids(server: RewardServer) -> None:
    asked = algebra("0")
    other = algebra("other")
    results = server.score(asked, *(renamed(asked, str(index)) for index in range(1, 5)), other)
    assert [result.id for result in results] == ["0", "1", "2", "3", "4", "other"]
    assert {result.outcome for result in results} == {outcome_pb2.OUTCOME_CORRECT}
    assert cached(results) == [False, True, True, True, True, False]
    assert {result.extracted_answer for result in results[:5]} == {results[0].extracted_answer}


def test_duplicates_that_hang_cost_one_worker() -> None:
    with running_reward_server("workers=1", "slow_workers=0") as server:
        asked = hanging("0")
        # One after the other they would take far longer than the call has.
        results = server.score(
            asked, *(renamed(asked, str(index)) for index in range(1, 100)), timeout_s=20
        )
        assert {(result.outcome, result.cause) for result in results} == {
            (outcome_pb2.OUTCOME_TIMED_OUT, outcome_pb2.CAUSE_ITEM)
        }
        assert not any(cached(results))


def test_a_verdict_is_remembered_for_calls_streams_and_composites(server: RewardServer) -> None:
    asked = algebra("a")
    [first] = server.score(asked)
    [again] = server.score(renamed(asked, "b"))
    requests = iter([reward_pb2.ScoreStreamRequest(items=[renamed(asked, "c")])])
    [response] = server.stub.ScoreStream(requests, timeout=TIMEOUT_S)
    [part] = server.score(renamed(asked, "d", "either"))
    assert cached([first, again, *response.results, part]) == [False, True, True, True]
    assert (again.reward, again.extracted_answer) == (first.reward, first.extracted_answer)
    assert again.verifier_version == first.verifier_version
    assert (first.elapsed.ToNanoseconds() > 0, again.elapsed.ToNanoseconds()) == (True, 0)


def test_policies_share_verdicts_only_if_they_are_the_same(server: RewardServer) -> None:
    asked = algebra("a")
    server.score(asked)
    assert cached(server.score(renamed(asked, "b", "lenient"))) == [False]
    assert cached(server.score(renamed(asked, "c", "same"))) == [True]
    assert cached(server.score(renamed(asked, "d", "lenient"))) == [True]


def test_another_reference_is_another_question(server: RewardServer) -> None:
    asked = algebra("a")
    server.score(asked)
    [result] = server.score(item("b", asked.response, "x-1"))
    assert (result.outcome, result.cached) == (outcome_pb2.OUTCOME_INCORRECT, False)


def test_a_waiter_that_gives_up_leaves_the_work_to_the_others(patient: RewardServer) -> None:
    [worker] = patient.worker_pids()
    os.kill(worker, signal.SIGSTOP)
    asked = algebra("a")
    first = send(patient, asked)
    eventually(lambda: patient.info().running_count == 1)
    [cut] = patient.score(renamed(asked, "b"), timeout_s=1)
    second = send(patient, renamed(asked, "c"))
    # The next item waits, so the one before it has been taken in.
    third = send(patient, algebra("d"))
    eventually(lambda: patient.info().waiting_count == 1)
    first.cancel()
    third.cancel()
    eventually(lambda: patient.info().waiting_count == 0)
    assert patient.info().running_count == 1
    os.kill(worker, signal.SIGCONT)
    [result] = second.result().results
    assert (cut.outcome, cut.cause) == (outcome_pb2.OUTCOME_TIMED_OUT, outcome_pb2.CAUSE_MACHINERY)
    assert (result.id, result.outcome) == ("c", outcome_pb2.OUTCOME_CORRECT)
    assert patient.worker_pids() == {worker}


def test_work_ends_when_the_last_waiter_gives_up(patient: RewardServer) -> None:
    asked = hanging("a")
    calls = [send(patient, asked), send(patient, renamed(asked, "b"))]
    eventually(lambda: patient.info().running_count == 1)
    for call in calls:
        call.cancel()
    eventually(lambda: patient.info().running_count == 0)
    assert all(call.cancelled() for call in calls)


def test_a_shorter_time_limit_cuts_only_its_own_item() -> None:
    with running_reward_server("item_deadline_s=600", "workers=2", "slow_workers=0") as server:
        asked = hanging("a")
        waiting = send(server, asked)
        eventually(lambda: server.info().running_count == 1)
        hasty = renamed(asked, "b")
        hasty.timeout.CopyFrom(Duration(nanos=100_000_000))
        [result] = server.score(hasty)
        assert result.outcome == outcome_pb2.OUTCOME_TIMED_OUT
        assert not waiting.done()
        waiting.cancel()


@pytest.mark.parametrize("limit", ["max_entries", "max_bytes"])
def test_the_cache_can_be_off(limit: str) -> None:
    with running_reward_server(f"cache.{limit}=0") as server:
        asked = algebra("a")
        assert cached(server.score(asked)) == [False]
        assert cached(server.score(asked)) == [False]


def test_the_cache_has_a_bound() -> None:
    with running_reward_server("cache.max_entries=2") as server:
        asked = [algebra(str(index)) for index in range(3)]
        server.score(*asked[:2])
        server.score(asked[0])  # used more lately than the second
        server.score(asked[2])
        assert cached(server.score(asked[0])) == [True]
        assert cached(server.score(asked[1])) == [False]
