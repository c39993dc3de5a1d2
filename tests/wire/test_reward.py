"""The RewardService, rule by rule, on a real server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from tests.wire.reward_server_process import (
    TIMEOUT_S,
    RewardServer,
    algebra,
    error_info,
    eventually,
    hanging,
    item,
    running_reward_server,
    unpack_detail,
)
from trimtab.common.v1 import outcome_pb2
from trimtab.reward.v1 import reward_pb2

SERVICE = "trimtab.reward.v1.RewardService"
FOREVER = "item_deadline_s=600"


@pytest.fixture(scope="module")
def server() -> Iterator[RewardServer]:
    with running_reward_server() as running:
        yield running


@pytest.fixture(scope="module")
def patient() -> Iterator[RewardServer]:
    """A server whose items may take for ever, with a short queue."""
    with running_reward_server(
        FOREVER, "max_waiting_items=8", "workers=1", "slow_workers=0"
    ) as running:
        yield running


def outcomes(results: list[reward_pb2.ScoreResult]) -> list[str]:
    return [outcome_pb2.Outcome.Name(result.outcome).removeprefix("OUTCOME_") for result in results]


def test_results_come_in_request_order_whatever_happens_to_neighbours(
    server: RewardServer,
) -> None:
    results = server.score(
        hanging("hangs"),
        item("right", r"\boxed{42}", "42"),
        item("wrong", r"\boxed{41}", "42"),
        item("silent", "no idea", "42"),
        algebra("algebra"),
        item("unreferenced", r"\boxed{42}"),
        item("unknown", r"\boxed{42}", "42", verifier="nobody"),
        item("number", "so 42", "42", verifier="numeric"),
    )
    assert [result.id for result in results] == [
        "hangs", "right", "wrong", "silent", "algebra", "unreferenced", "unknown", "number",
    ]  # fmt: skip
    assert outcomes(results) == [
        "TIMED_OUT", "CORRECT", "INCORRECT", "NO_ANSWER", "CORRECT", "INVALID_REFERENCE",
        "VERIFIER_ERROR", "CORRECT",
    ]  # fmt: skip
    rewards = [result.reward if result.HasField("reward") else None for result in results]
    assert rewards == [None, 1.0, 0.0, 0.0, 1.0, None, None, 1.0]
    causes = [result.cause for result in results]
    item_cause, machinery = outcome_pb2.CAUSE_ITEM, outcome_pb2.CAUSE_MACHINERY
    assert causes == [item_cause, 0, 0, 0, 0, machinery, machinery, 0]


def test_a_result_tells_how_it_came_about(server: RewardServer) -> None:
    asked = algebra("1")
    [judged, unknown] = server.score(asked, algebra("2", verifier="nobody"))
    assert asked.response == rf"\boxed{{{judged.extracted_answer}}}"
    assert judged.verifier_version == server.info().verifiers[0].version
    assert judged.elapsed.ToNanoseconds() > 0
    assert "math, numeric" in unknown.detail


def test_an_empty_batch_gives_no_results(server: RewardServer) -> None:
    assert server.score() == []


def test_more_items_than_allowed_are_refused(server: RewardServer) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        server.score(*(item(str(index), "", "1") for index in range(10_001)))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert error_info(caught.value).reason == "TOO_MANY_ITEMS"


def test_as_many_items_as_allowed_are_scored(server: RewardServer) -> None:
    results = server.score(
        *(item(str(index), f"#### {index}", str(index)) for index in range(10_000))
    )
    assert outcomes(results) == ["CORRECT"] * 10_000


def test_an_item_without_an_id_is_refused_by_name(server: RewardServer) -> None:
    items = [item(name, "7", "7") for name in ("a", "b", "c", "")]
    with pytest.raises(grpc.RpcError) as caught:
        server.score(*items)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    info = error_info(caught.value)
    assert (info.reason, info.metadata["field"]) == ("INVALID_FIELD", "items[3].id")


def test_a_duplicate_id_is_refused(server: RewardServer) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        server.score(item("a", "7", "7"), item("a", "8", "8"))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert error_info(caught.value).reason == "DUPLICATE_ID"


@pytest.mark.parametrize("seconds", [0, -1])
def test_a_timeout_that_leaves_no_time_is_refused(server: RewardServer, seconds: int) -> None:
    timeless = item("a", "7", "7")
    timeless.timeout.CopyFrom(Duration(seconds=seconds))
    with pytest.raises(grpc.RpcError) as caught:
        server.score(timeless)
    info = error_info(caught.value)
    assert (info.reason, info.metadata["field"]) == ("INVALID_FIELD", "items[0].timeout")


def test_an_item_may_shorten_its_time(patient: RewardServer) -> None:
    hasty = hanging("a")
    hasty.timeout.CopyFrom(Duration(nanos=100_000_000))
    [result] = patient.score(hasty)
    assert outcomes([result]) == ["TIMED_OUT"]
    assert result.cause == outcome_pb2.CAUSE_ITEM
    assert "0.1 s" in result.detail


def test_only_the_asked_for_version_judges(server: RewardServer) -> None:
    right, other = item("a", r"\boxed{7}", "7"), item("b", r"\boxed{7}", "7")
    right.verifier_version = server.info().verifiers[0].version
    other.verifier_version = "math-0+00000000"
    results = server.score(right, other)
    assert outcomes(results) == ["CORRECT", "VERIFIER_ERROR"]
    assert results[1].cause == outcome_pb2.CAUSE_MACHINERY
    assert right.verifier_version in results[1].detail


def test_a_response_over_the_limit_is_not_judged(server: RewardServer) -> None:
    limit = server.info().max_response_bytes
    answer = "so 7"
    results = server.score(
        item("fits", " " * (limit - len(answer)) + answer, "7", verifier="numeric"),
        item("over", " " * limit + answer, "7", verifier="numeric"),
        item("wide", "\u00e9" * (limit // 2) + answer, "7", verifier="numeric"),
    )
    assert outcomes(results) == ["CORRECT", "RESOURCE_EXHAUSTED", "RESOURCE_EXHAUSTED"]
    assert results[1].cause == outcome_pb2.CAUSE_ITEM


def test_a_long_response_is_judged_by_a_worker(server: RewardServer) -> None:
    [result] = server.score(item("a", "thinking " * 100_000 + r"\boxed{7}", "7"))
    assert outcomes([result]) == ["CORRECT"]


def test_a_call_answers_before_its_deadline(patient: RewardServer) -> None:
    results = patient.score(
        hanging("runs"),
        item("quick", r"\boxed{42}", "42"),
        algebra("waits"),
        timeout_s=2,
    )
    assert outcomes(results) == ["TIMED_OUT", "CORRECT", "UNAVAILABLE"]
    assert [result.cause for result in results] == [
        outcome_pb2.CAUSE_MACHINERY, outcome_pb2.CAUSE_UNSPECIFIED, outcome_pb2.CAUSE_MACHINERY,
    ]  # fmt: skip
    assert outcomes(patient.score(algebra("next"))) == ["CORRECT"]


def test_a_cancelled_call_frees_its_worker(patient: RewardServer) -> None:
    request = reward_pb2.ScoreRequest(items=[hanging(str(index)) for index in range(4)])
    call = patient.stub.Score.future(request, timeout=TIMEOUT_S)
    eventually(lambda: patient.info().waiting_count == 3)
    call.cancel()
    assert outcomes(patient.score(algebra("next"))) == ["CORRECT"]
    assert patient.info().waiting_count == 0


def test_a_full_queue_turns_calls_away_with_a_delay(patient: RewardServer) -> None:
    items = [hanging(str(index)) for index in range(8)]
    holding = patient.stub.Score.future(reward_pb2.ScoreRequest(items=items), timeout=TIMEOUT_S)
    eventually(lambda: patient.info().running_count == 1)
    with pytest.raises(grpc.RpcError) as caught:
        patient.score(algebra("a"), algebra("b"))
    holding.cancel()
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert error_info(caught.value).reason == "OVERLOADED"
    retry = error_details_pb2.RetryInfo()
    assert unpack_detail(caught.value, retry)
    assert retry.retry_delay.ToNanoseconds() > 0
    assert outcomes(patient.score(algebra("a"))) == ["CORRECT"]


def test_repeats_of_a_request_share_one_computation(patient: RewardServer) -> None:
    request = reward_pb2.ScoreRequest(request_id="shared", items=[hanging("a")])
    first = patient.stub.Score.future(request, timeout=TIMEOUT_S)
    eventually(lambda: patient.info().running_count == 1)
    second = patient.stub.Score.future(request, timeout=2)
    # Alone it would wait behind the first one, and be UNAVAILABLE.
    assert outcomes(list(second.result().results)) == ["TIMED_OUT"]
    assert patient.info().running_count == 1
    first.cancel()


def test_a_repeat_is_answered_from_the_record(server: RewardServer) -> None:
    asked = algebra("a")
    first = server.score(asked, request_id="recorded")
    again = server.score(asked, request_id="recorded")
    assert first == again  # the time that it took included


def test_a_repeat_finishes_what_a_deadline_cut(patient: RewardServer) -> None:
    request = reward_pb2.ScoreRequest(items=[hanging("held")])
    holding = patient.stub.Score.future(request, timeout=TIMEOUT_S)
    eventually(lambda: patient.info().running_count == 1)
    asked = algebra("a")
    cut = patient.score(asked, request_id="cut", timeout_s=1)
    holding.cancel()
    again = patient.score(asked, request_id="cut")
    assert (outcomes(cut), outcomes(again)) == (["UNAVAILABLE"], ["CORRECT"])


def test_a_request_id_is_not_for_other_items(server: RewardServer) -> None:
    server.score(item("a", "7", "7"), request_id="taken")
    with pytest.raises(grpc.RpcError) as caught:
        server.score(item("a", "8", "7"), request_id="taken")
    info = error_info(caught.value)
    assert (info.reason, info.metadata["field"]) == ("INVALID_FIELD", "request_id")


def test_a_message_over_the_cap_is_refused_with_a_reason(server: RewardServer) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        server.score(*(item(str(index), "x" * (1 << 20), "7") for index in range(20)))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert error_info(caught.value).reason == "MESSAGE_TOO_LARGE"


def test_the_info_is_complete(server: RewardServer) -> None:
    info = server.info()
    assert info.server.startswith("trimtab ")
    assert [(verifier.name, verifier.type) for verifier in info.verifiers] == [
        ("math", "math"), ("numeric", "numeric"),
    ]  # fmt: skip
    for verifier in info.verifiers:
        assert verifier.version.startswith(f"{verifier.type}-")
        assert verifier.item_timeout.ToMilliseconds() == 1000
    assert info.verifiers[0].options["strip_thinking"] is True
    assert info.sandbox_level >= reward_pb2.SANDBOX_LEVEL_PROCESS
    # Whatever keeps it from the highest level is said.
    isolated = info.sandbox_level == reward_pb2.SANDBOX_LEVEL_ISOLATED
    assert bool(info.sandbox_lacks) is not isolated
    assert (info.max_items, info.max_response_bytes) == (10_000, 1 << 20)
    assert (info.max_message_bytes, info.max_waiting_count) == (16 << 20, 50_000)
    assert (info.worker_count, info.running_count, info.waiting_count) == (2, 0, 0)


def test_health_and_reflection_answer(server: RewardServer) -> None:
    health: Any = health_pb2_grpc.HealthStub(server.channel)
    for name in ("", SERVICE):
        response = health.Check(health_pb2.HealthCheckRequest(service=name), timeout=TIMEOUT_S)
        assert response.status == health_pb2.HealthCheckResponse.SERVING
    stub: Any = reflection_pb2_grpc.ServerReflectionStub
    reflection = stub(server.channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    [response] = reflection.ServerReflectionInfo(iter([request]), timeout=TIMEOUT_S)
    assert SERVICE in [service.name for service in response.list_services_response.service]


def test_a_stream_answers_every_item(server: RewardServer) -> None:
    messages = [
        reward_pb2.ScoreStreamRequest(
            items=[item(f"{part}.{index}", f"#### {index}", str(index)) for index in range(300)]
        )
        for part in range(3)
    ]
    messages.append(reward_pb2.ScoreStreamRequest())
    messages.append(reward_pb2.ScoreStreamRequest(items=[hanging("hangs")]))
    found: dict[str, int] = {}
    for response in server.stub.ScoreStream(iter(messages), timeout=TIMEOUT_S):
        for result in response.results:
            assert result.id not in found
            found[result.id] = result.outcome
    assert len(found) == 901
    assert found.pop("hangs") == outcome_pb2.OUTCOME_TIMED_OUT
    assert set(found.values()) == {outcome_pb2.OUTCOME_CORRECT}


def test_a_stream_gives_results_while_it_is_open(server: RewardServer) -> None:
    answered = threading.Event()

    def requests() -> Iterator[reward_pb2.ScoreStreamRequest]:
        yield reward_pb2.ScoreStreamRequest(items=[item("a", r"\boxed{7}", "7")])
        assert answered.wait(TIMEOUT_S)
        yield reward_pb2.ScoreStreamRequest(items=[item("b", r"\boxed{7}", "7")])

    found = []
    for response in server.stub.ScoreStream(requests(), timeout=TIMEOUT_S):
        found += [result.id for result in response.results]
        answered.set()
    assert found == ["a", "b"]


def test_a_duplicate_id_ends_a_stream(server: RewardServer) -> None:
    message = reward_pb2.ScoreStreamRequest(items=[item("a", r"\boxed{7}", "7")])
    with pytest.raises(grpc.RpcError) as caught:
        list(server.stub.ScoreStream(iter([message, message]), timeout=TIMEOUT_S))
    assert error_info(caught.value).reason == "DUPLICATE_ID"


def test_a_stream_answers_what_it_read_before_its_deadline(patient: RewardServer) -> None:
    message = reward_pb2.ScoreStreamRequest(items=[hanging("runs"), algebra("waits")])
    results = [
        result
        for response in patient.stub.ScoreStream(iter([message]), timeout=2)
        for result in response.results
    ]
    assert {result.id: outcomes([result]) for result in results} == {
        "runs": ["TIMED_OUT"], "waits": ["UNAVAILABLE"],
    }  # fmt: skip
