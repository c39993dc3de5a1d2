"""Items that cost the shipped server worker after worker."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration

from tests.wire.reward_server_process import (
    TIMEOUT_S,
    RewardServer,
    algebra,
    hanging,
    item,
    running_reward_server,
)
from trimtab.common.v1 import outcome_pb2
from trimtab.reward.v1 import reward_pb2

HASTY = "item_deadline_s=0.2"


def outcome_of(server: RewardServer, asked: reward_pb2.ScoreItem, timeout_s: float = 30.0) -> str:
    [result] = server.score(asked, timeout_s=timeout_s)
    return outcome_pb2.Outcome.Name(result.outcome).removeprefix("OUTCOME_")


def test_an_item_that_hung_twice_is_not_run_again() -> None:
    verifiers = "verifiers={math: {type: math}, total: {type: composite, parts: {math: {}}}}"
    with running_reward_server(HASTY, verifiers) as server:
        asked = hanging("a")
        assert [outcome_of(server, asked) for _ in range(2)] == ["TIMED_OUT", "TIMED_OUT"]
        results = server.score(
            asked,
            item("b", asked.response, *asked.references, verifier="total"),
            item("c", asked.response, "43"),
            algebra("d"),
        )
        assert [result.outcome for result in results] == [
            outcome_pb2.OUTCOME_RESOURCE_EXHAUSTED,
            outcome_pb2.OUTCOME_RESOURCE_EXHAUSTED,
            outcome_pb2.OUTCOME_TIMED_OUT,  # another reference is another question
            outcome_pb2.OUTCOME_CORRECT,
        ]
        assert results[0].cause == results[1].cause == outcome_pb2.CAUSE_ITEM
        assert "in quarantine: it has cost 2 workers" in results[0].detail
        requests = iter([reward_pb2.ScoreStreamRequest(items=[asked])])
        [response] = server.stub.ScoreStream(requests, timeout=TIMEOUT_S)
        assert response.results[0].outcome == outcome_pb2.OUTCOME_RESOURCE_EXHAUSTED


def test_limits_of_the_callers_do_not_count() -> None:
    with running_reward_server("item_deadline_s=3") as server:
        hurried = hanging("a")
        patiently = reward_pb2.ScoreItem()
        patiently.CopyFrom(hurried)
        hurried.timeout.CopyFrom(Duration(nanos=100_000_000))
        for _ in range(2):
            assert outcome_of(server, hurried) == "TIMED_OUT"
            assert outcome_of(server, patiently, timeout_s=1.0) == "TIMED_OUT"
        assert [outcome_of(server, patiently) for _ in range(3)] == [
            "TIMED_OUT", "TIMED_OUT", "RESOURCE_EXHAUSTED",
        ]  # fmt: skip


def test_want_of_memory_counts() -> None:
    with running_reward_server("worker_memory_bytes=268435456", "item_deadline_s=20") as server:
        greedy = item("a", r"\boxed{\int_0^1 (x+y+z)^{19999} dx}", "42")
        details = [server.score(greedy)[0].detail for _ in range(3)]
        assert ["quarantine" in detail for detail in details] == [False, False, True]


def test_duplicates_that_hang_together_count_once() -> None:
    with running_reward_server(HASTY) as server:
        asked = hanging("a")
        twin = item("b", asked.response, *asked.references)
        for expected in ("TIMED_OUT", "TIMED_OUT", "RESOURCE_EXHAUSTED"):
            results = server.score(asked, twin)
            names = {outcome_pb2.Outcome.Name(result.outcome) for result in results}
            assert names == {f"OUTCOME_{expected}"}


def test_the_quarantine_can_be_off_and_the_count_be_set() -> None:
    with running_reward_server(HASTY, "quarantine.max_entries=0") as server:
        asked = hanging("a")
        assert {outcome_of(server, asked) for _ in range(4)} == {"TIMED_OUT"}
    with running_reward_server(HASTY, "quarantine.after_kills=1") as server:
        assert outcome_of(server, asked) == "TIMED_OUT"
        assert outcome_of(server, asked) == "RESOURCE_EXHAUSTED"
