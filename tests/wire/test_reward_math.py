"""Options, limits and checks of `math` on a real server."""

from collections.abc import Iterator

import pytest
from google.protobuf import struct_pb2

from tests.wire.reward_server_process import RewardServer, item, running_reward_server
from trimtab.common.v1 import outcome_pb2
from trimtab.reward.v1 import reward_pb2


@pytest.fixture(scope="module")
def server() -> Iterator[RewardServer]:
    """A server with two policies."""
    with running_reward_server(
        "verifiers={math: {type: math}, strict: {type: math, percent: strict, units: require}}"
    ) as running:
        yield running


def outcomes(server: RewardServer, *items: reward_pb2.ScoreItem) -> list[str]:
    """The outcomes by name."""
    names = outcome_pb2.Outcome.Name
    return [names(one.outcome).removeprefix("OUTCOME_") for one in server.score(*items)]


def test_two_policies_judge_the_same_answer_differently(server: RewardServer) -> None:
    answers = [(r"\boxed{15\%}", "15"), (r"\boxed{3}", r"3\text{ kg}")]
    for _ in range(2):  # the second time from the cache
        for response, gold in answers:
            asked = [item(name, response, gold, verifier=name) for name in ("math", "strict")]
            assert outcomes(server, *asked) == ["CORRECT", "INCORRECT"]


def test_an_answer_beyond_the_limits_is_its_own_fault(server: RewardServer) -> None:
    [result] = server.score(item("1", r"\boxed{\cos(7^{7^{7^{7}}})}", "x+1"))
    assert result.outcome == outcome_pb2.OUTCOME_RESOURCE_EXHAUSTED
    assert result.cause == outcome_pb2.CAUSE_ITEM
    assert not result.HasField("reward")


def test_references_are_checked_without_a_response(server: RewardServer) -> None:
    metadata = struct_pb2.Struct()
    metadata["check_references"] = True
    asked = []
    for number, gold in enumerate(("x^2+1", r"\frac{1}{", r"\foo\bar", "yes")):
        one = item(str(number), "", gold)
        one.metadata.CopyFrom(metadata)
        asked.append(one)
    assert outcomes(server, *asked) == [
        "NO_ANSWER", "INVALID_REFERENCE", "INVALID_REFERENCE", "NO_ANSWER",
    ]  # fmt: skip


def test_algebra_is_decided_in_a_worker(server: RewardServer) -> None:
    asked = [
        item("1", r"\boxed{\cos^2 t-\sin^2 t}", r"\cos 2t"),
        item("2", r"\boxed{(-\infty, 3)}", "x < 3"),
        item("3", r"\boxed{\frac{3^{40}}{7}}", r"\frac{3^{40}+1}{7}"),
    ]
    assert outcomes(server, *asked) == ["CORRECT", "CORRECT", "INCORRECT"]
