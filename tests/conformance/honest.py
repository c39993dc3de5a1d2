"""A small reward server that keeps to the contract in everything; broken ones are made from it.

`python -m tests.conformance.honest` serves it, `python -m tests.conformance.broken NAME` a broken
one; both print their target.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent import futures
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from grpc_status import rpc_status

from trimtab.common.v1.outcome_pb2 import (
    CAUSE_ITEM,
    CAUSE_MACHINERY,
    OUTCOME_RESOURCE_EXHAUSTED,
    OUTCOME_SCORED,
    OUTCOME_UNAVAILABLE,
    OUTCOME_VERIFIER_ERROR,
)
from trimtab.reward.v1 import reward_pb2, reward_pb2_grpc

SERVICE = "trimtab.reward.v1.RewardService"
VERSION = "brief-1"
MAX_ITEMS = 10_000
MAX_RESPONSE_BYTES = 1 << 20
MAX_MESSAGE_BYTES = 16 << 20
MOST_CALLS = 50
_MARGIN_S = 0.2
_THREADS = 100

Item = reward_pb2.ScoreItem
Result = reward_pb2.ScoreResult
Context = grpc.ServicerContext


class Honest(reward_pb2_grpc.RewardServiceServicer):
    """Rewards short responses. Broken servers override one of the small methods."""

    seconds_per_hard_item = 0.0
    """How slow it is where there is trigonometry."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.call_count = 0
        self.item_count = 0

    def Score(  # noqa: N802 - gRPC's name
        self, request: reward_pb2.ScoreRequest, context: Context
    ) -> reward_pb2.ScoreResponse:
        items = request.items
        if request.ByteSize() > MAX_MESSAGE_BYTES:
            refuse(context, code_pb2.RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE")
        if len(items) > MAX_ITEMS:
            refuse(context, code_pb2.INVALID_ARGUMENT, "TOO_MANY_ITEMS")
        if len({item.id for item in items}) < len(items):
            refuse(context, code_pb2.INVALID_ARGUMENT, "DUPLICATE_ID")
        with self.lock:
            self.call_count += 1
            self.item_count += len(items)
            is_full = self.call_count > MOST_CALLS
        try:
            if is_full:
                self.overloaded(context)
            results = self.scored(request, context)
            return reward_pb2.ScoreResponse(results=results)
        finally:
            with self.lock:
                self.call_count -= 1
                self.item_count -= len(items)

    def overloaded(self, context: Context) -> None:
        """What becomes of a call too many."""
        refuse(context, code_pb2.RESOURCE_EXHAUSTED, "OVERLOADED", retry_s=1)

    def scored(self, request: reward_pb2.ScoreRequest, context: Context) -> Sequence[Result]:
        """The results of a call."""
        results = []
        ends_s = time.monotonic() + self.patience_s(context)
        for item in request.items:
            if not context.is_active():
                return []
            is_late = time.monotonic() > ends_s
            if self.seconds_per_hard_item and "sin" in item.response and not is_late:
                time.sleep(self.seconds_per_hard_item)
            results.append(self.late(item) if is_late else self.judge(item))
        return results

    def patience_s(self, context: Context) -> float:
        """How long a call may take."""
        remaining_s = context.time_remaining()
        return 60.0 if remaining_s is None else remaining_s - _MARGIN_S

    def late(self, item: Item) -> Result:
        """The result of an item for which there was no time."""
        return Result(id=item.id, outcome=OUTCOME_UNAVAILABLE, cause=CAUSE_MACHINERY)

    def judge(self, item: Item) -> Result:
        """The verdict on one item."""
        asked = item.verifier_version if item.HasField("verifier_version") else VERSION
        if item.verifier not in ("", "brief") or asked != VERSION:
            return Result(id=item.id, outcome=OUTCOME_VERIFIER_ERROR, cause=CAUSE_MACHINERY)
        if len(item.response.encode()) > MAX_RESPONSE_BYTES:
            return Result(id=item.id, outcome=OUTCOME_RESOURCE_EXHAUSTED, cause=CAUSE_ITEM)
        reward = 1 / (1 + len(item.response))
        result = Result(id=item.id, outcome=OUTCOME_SCORED, reward=reward, confidence=1.0)
        result.components["brevity"] = reward
        result.spans.add(first_character=0, length=len(item.response), reward=reward)
        result.elapsed.FromMicroseconds(1)
        return result

    def ScoreStream(  # noqa: N802 - gRPC's name
        self, request_iterator: Iterator[reward_pb2.ScoreStreamRequest], context: Context
    ) -> Iterator[reward_pb2.ScoreStreamResponse]:
        seen: set[str] = set()
        for request in request_iterator:
            ids = [item.id for item in request.items]
            if len({*ids}) < len(ids) or seen & {*ids}:
                refuse(context, code_pb2.INVALID_ARGUMENT, "DUPLICATE_ID")
            seen.update(ids)
            results = [self.judge(item) for item in request.items]
            yield reward_pb2.ScoreStreamResponse(results=results)

    def GetInfo(  # noqa: N802 - gRPC's name
        self, request: reward_pb2.GetInfoRequest, context: Context
    ) -> reward_pb2.GetInfoResponse:
        return reward_pb2.GetInfoResponse(
            server="honest 1",
            verifiers=[reward_pb2.VerifierInfo(name="brief", type="length", version=VERSION)],
            max_items=MAX_ITEMS,
            max_response_bytes=MAX_RESPONSE_BYTES,
            max_message_bytes=MAX_MESSAGE_BYTES,
            running_count=self.item_count,
        )


def refuse(context: Context, code: int, reason: str, *, retry_s: int = 0) -> None:
    """Ends a call with a status that has details."""
    details: list[Message] = [error_details_pb2.ErrorInfo(reason=reason, domain="test")]
    if retry_s:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromSeconds(retry_s)
        details.append(retry)
    status = status_pb2.Status(code=code, message=reason)
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
    context.abort_with_status(rpc_status.to_status(status))


def serve(servicer: Honest) -> None:
    """Serves until killed; prints the target."""
    server = grpc.server(
        futures.ThreadPoolExecutor(_THREADS),
        options=[("grpc.max_receive_message_length", 2 * MAX_MESSAGE_BYTES)],
    )
    reward_pb2_grpc.add_RewardServiceServicer_to_server(servicer, server)
    healthy: Any = health.HealthServicer()
    for name in ("", SERVICE):
        healthy.set(name, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(healthy, server)
    reflection.enable_server_reflection((SERVICE, reflection.SERVICE_NAME), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"127.0.0.1:{port}\n")
    sys.stdout.flush()
    server.wait_for_termination()


class Thoughtful(Honest):
    """As honest, and slow enough to be cut, cancelled and overloaded."""

    seconds_per_hard_item = 0.001


if __name__ == "__main__":
    serve(Thoughtful())
