from __future__ import annotations

from collections.abc import Sequence

import pytest

from trimtab.client import Item
from trimtab.common.v1 import outcome_pb2
from trimtab.errors import RemoteError, TrimtabError
from trimtab.integrations.attempts import Attempts
from trimtab.reward.v1 import reward_pb2

PATIENT_S = 600.0


def attempts_of(*responses: str, patience_s: float = PATIENT_S) -> Attempts:
    items = [Item(id="any", response=response) for response in responses]
    return Attempts(items, target="server", patience_s=patience_s)


def answered(
    request: reward_pb2.ScoreRequest, outcomes: Sequence[str] = (), cause: str = "MACHINERY"
) -> reward_pb2.ScoreResponse:
    """A reply in which the first items have these outcomes, the others are right."""
    response = reward_pb2.ScoreResponse()
    for index, item in enumerate(request.items):
        result = response.results.add(id=item.id, outcome=outcome_pb2.OUTCOME_CORRECT, reward=1.0)
        if index < len(outcomes):
            result.ClearField("reward")
            result.outcome = outcome_pb2.Outcome.Value(f"OUTCOME_{outcomes[index]}")
            result.cause = outcome_pb2.Cause.Value(f"CAUSE_{cause}")
    return response


def failure(code: str, reason: str = "") -> RemoteError:
    return RemoteError(code=code, reason=reason, message="", target="server", metadata={})


def test_a_call_is_one_request() -> None:
    attempts = attempts_of("a", "b", "c")
    [request] = attempts.requests()
    attempts.took(request, answered(request))
    assert attempts.is_done
    assert attempts.requests() == []
    assert [result.id for result in attempts.results()] == ["0", "1", "2"]


def test_no_items_are_no_request() -> None:
    assert attempts_of().is_done
    assert attempts_of().results() == []


def test_requests_stay_below_the_cap_of_a_message() -> None:
    attempts = attempts_of(*["x" * (1 << 20)] * 7, *["y"] * 10_000)
    requests = attempts.requests()
    assert all(request.ByteSize() <= 4 << 20 for request in requests)
    assert all(len(request.items) <= 4096 for request in requests)
    assert [item.id for request in requests for item in request.items] == [
        str(index) for index in range(10_007)
    ]


def test_a_response_too_long_for_a_message_is_not_sent() -> None:
    attempts = attempts_of("x" * (4 << 20), "y")
    [request] = attempts.requests()
    assert [item.id for item in request.items] == ["1"]
    attempts.took(request, answered(request))
    first, second = attempts.results()
    assert (first.outcome, first.cause) == (
        outcome_pb2.OUTCOME_RESOURCE_EXHAUSTED, outcome_pb2.CAUSE_ITEM,
    )  # fmt: skip
    assert second.outcome == outcome_pb2.OUTCOME_CORRECT


def test_a_request_that_failed_comes_again_as_it_was() -> None:
    attempts = attempts_of("a", "b")
    [request] = attempts.requests()
    attempts.failed(failure("UNAVAILABLE"))
    assert attempts.requests() == [request]
    assert request.request_id


def test_what_was_cut_comes_again_alone_as_another_request() -> None:
    attempts = attempts_of("a", "b", "c", "d")
    [request] = attempts.requests()
    attempts.took(request, answered(request, ["TIMED_OUT", "UNAVAILABLE", "RESOURCE_EXHAUSTED"]))
    [again] = attempts.requests()
    assert [item.id for item in again.items] == ["0", "1", "2"]
    attempts.took(again, answered(again, ["TIMED_OUT"]))
    [third] = attempts.requests()
    assert [item.id for item in third.items] == ["0"]
    assert len({request.request_id, again.request_id, third.request_id}) == 3


@pytest.mark.parametrize("outcome", ["INVALID_REFERENCE", "VERIFIER_ERROR", "ABSTAINED"])
def test_what_repeating_cannot_mend_is_final(outcome: str) -> None:
    attempts = attempts_of("a")
    [request] = attempts.requests()
    attempts.took(request, answered(request, [outcome]))
    assert attempts.is_done


def test_a_response_to_blame_is_final() -> None:
    attempts = attempts_of("a")
    [request] = attempts.requests()
    attempts.took(request, answered(request, ["TIMED_OUT"], cause="ITEM"))
    assert attempts.is_done


def test_patience_ends() -> None:
    attempts = attempts_of("a", "b", patience_s=-1)
    with pytest.raises(RemoteError):
        attempts.failed(failure("UNAVAILABLE"))
    [request] = attempts.requests()
    attempts.took(request, answered(request, ["UNAVAILABLE"]))
    assert attempts.results()[0].outcome == outcome_pb2.OUTCOME_UNAVAILABLE


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("INVALID_ARGUMENT", "INVALID_FIELD"), ("DEADLINE_EXCEEDED", ""), ("INTERNAL", ""),
        ("RESOURCE_EXHAUSTED", "MESSAGE_TOO_LARGE"),
    ],
)  # fmt: skip
def test_other_failures_end_the_call(code: str, reason: str) -> None:
    with pytest.raises(RemoteError):
        attempts_of("a").failed(failure(code, reason))


def test_a_server_that_breaks_the_contract_is_said() -> None:
    attempts = attempts_of("a", "b")
    [request] = attempts.requests()
    with pytest.raises(TrimtabError, match="broke the contract"):
        attempts.took(request, reward_pb2.ScoreResponse())


def test_pauses_grow_up_to_a_bound() -> None:
    attempts = attempts_of("a")
    pauses = [attempts.pause_s() for _ in range(20)]
    assert 0.1 <= pauses[0] <= 0.2
    assert all(5.0 <= pause <= 10.0 for pause in pauses[-5:])
