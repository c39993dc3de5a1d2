"""The RewardService on the wire: messages to domain objects and back, nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from google.protobuf.duration_pb2 import Duration
from grpc import aio

from reward_server.results import Result
from reward_server.scorer import Scorer
from reward_server.server_info import ServerInfo
from reward_server.stream import StreamSession
from reward_server.verifiers.base import Cause, Item, Outcome
from trimtab.common.v1 import outcome_pb2
from trimtab.reward.v1 import reward_pb2, reward_pb2_grpc

_OUTCOMES = {value: outcome_pb2.Outcome.Value(f"OUTCOME_{value}") for value in Outcome}
_CAUSES = {value: outcome_pb2.Cause.Value(f"CAUSE_{value}") for value in Cause}
Context = aio.ServicerContext[Any, Any]


class RewardService(reward_pb2_grpc.RewardServiceServicer):
    """The servicer."""

    def __init__(
        self,
        scorer: Scorer,
        new_session: Callable[[], StreamSession],
        info: Callable[[], ServerInfo],
        *,
        deadline_cap_s: float,
    ) -> None:
        """A call without a deadline gets `deadline_cap_s`."""
        self._scorer = scorer
        self._new_session = new_session
        self._info = info
        self._deadline_cap_s = deadline_cap_s

    async def Score(
        self, request: reward_pb2.ScoreRequest, context: Context
    ) -> reward_pb2.ScoreResponse:
        """Scores a batch."""
        return await self.score_within(request, self._remaining_s(context))

    async def score_within(
        self, request: reward_pb2.ScoreRequest, remaining_s: float
    ) -> reward_pb2.ScoreResponse:
        """Scores a batch within so many seconds, however it came here."""
        results = await self._scorer.score(
            [to_item(item) for item in request.items],
            request_id=request.request_id,
            fingerprint=_fingerprint(request),
            remaining_s=remaining_s,
        )
        return reward_pb2.ScoreResponse(results=[to_message(result) for result in results])

    async def ScoreStream(
        self, request_iterator: AsyncIterator[reward_pb2.ScoreStreamRequest], context: Context
    ) -> AsyncIterator[reward_pb2.ScoreStreamResponse]:
        """Scores items as they arrive."""
        items = ([to_item(item) for item in request.items] async for request in request_iterator)
        session = self._new_session()
        async for results in session.run(items, remaining_s=self._remaining_s(context)):
            yield reward_pb2.ScoreStreamResponse(results=[to_message(item) for item in results])

    async def GetInfo(
        self,
        request: reward_pb2.GetInfoRequest,
        context: Context,
    ) -> reward_pb2.GetInfoResponse:
        """Tells what this server offers and how busy it is."""
        return self.info()

    def info(self) -> reward_pb2.GetInfoResponse:
        """What this server offers and how busy it is."""
        info = self._info()
        response = reward_pb2.GetInfoResponse(
            server=info.server,
            sandbox_level=reward_pb2.SandboxLevel.Value(f"SANDBOX_LEVEL_{info.sandbox_level.name}"),
            max_items=info.max_items,
            max_response_bytes=info.max_response_bytes,
            max_message_bytes=info.max_message_bytes,
            worker_count=info.worker_count,
            running_count=info.running_count,
            waiting_count=info.waiting_count,
            max_waiting_count=info.max_waiting_count,
            sandbox_lacks=info.sandbox_lacks,
        )
        for offer in info.offers:
            verifier = response.verifiers.add(
                name=offer.name,
                type=offer.type,
                version=offer.version,
                item_timeout=_duration(offer.item_timeout_s),
            )
            verifier.options.update(dict(offer.options))
        return response

    def _remaining_s(self, context: Context) -> float:
        remaining_s = context.time_remaining()
        if remaining_s is None:
            return self._deadline_cap_s
        return min(remaining_s, self._deadline_cap_s)


def to_item(message: reward_pb2.ScoreItem) -> Item:
    """The item of a message."""
    return Item(
        id=message.id,
        verifier=message.verifier,
        prompt=message.prompt,
        response=message.response,
        references=tuple(message.references),
        metadata=dict(message.metadata) if message.HasField("metadata") else {},
        timeout_s=_seconds(message.timeout) if message.HasField("timeout") else None,
        verifier_version=(
            message.verifier_version if message.HasField("verifier_version") else None
        ),
        origin=message,
    )


def to_message(result: Result) -> reward_pb2.ScoreResult:
    """The message of a result."""
    if isinstance(result.origin, reward_pb2.ScoreResult):
        return result.origin
    verdict = result.verdict
    message = reward_pb2.ScoreResult(
        id=result.id,
        outcome=_OUTCOMES[verdict.outcome],
        reward=verdict.reward,
        extracted_answer=verdict.extracted_answer,
        verifier_version=result.verifier_version,
    )
    # Most results leave the rest at its default, and setting that takes as long as the above.
    if verdict.detail:
        message.detail = verdict.detail
    if verdict.cause is not Cause.UNSPECIFIED:
        message.cause = _CAUSES[verdict.cause]
    if verdict.components:
        message.components.update(verdict.components)
    if verdict.confidence is not None:
        message.confidence = verdict.confidence
    if result.cached:
        message.cached = True
    if result.elapsed_s:
        message.elapsed.CopyFrom(_duration(result.elapsed_s))
    return message


def _fingerprint(request: reward_pb2.ScoreRequest) -> bytes:
    """Tells one request's contents from another's; empty where no repeat is to be recognised."""
    if not request.request_id:
        return b""
    return hashlib.sha256(request.SerializeToString(deterministic=True)).digest()


def _seconds(duration: Duration) -> float:
    return duration.seconds + duration.nanos / 1e9


def _duration(seconds: float) -> Duration:
    whole = int(seconds)
    return Duration(seconds=whole, nanos=int((seconds - whole) * 1e9))
