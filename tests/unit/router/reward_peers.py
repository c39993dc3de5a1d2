"""Reward servers that do what a test tells them, well or badly."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
from grpc import aio

from trimtab.common.v1 import outcome_pb2
from trimtab.reward.v1 import reward_pb2, reward_pb2_grpc

Context = aio.ServicerContext[Any, Any]
Answer = Callable[[reward_pb2.ScoreRequest, Context], Awaitable[list[reward_pb2.ScoreResult]]]


def correct(item_id: str, reward: float = 1.0, **fields: Any) -> reward_pb2.ScoreResult:
    """A verdict that keeps to the contract."""
    return reward_pb2.ScoreResult(
        id=item_id, outcome=outcome_pb2.OUTCOME_CORRECT, reward=reward, **fields
    )


async def well(request: reward_pb2.ScoreRequest, context: Context) -> list[reward_pb2.ScoreResult]:
    """Finds everything correct."""
    return [correct(item.id) for item in request.items]


def refusing(code: grpc.StatusCode) -> Answer:
    """Fails the call."""

    async def refuse(
        request: reward_pb2.ScoreRequest, context: Context
    ) -> list[reward_pb2.ScoreResult]:
        await context.abort(code, "as the test says")
        raise AssertionError

    return refuse


class Peer(reward_pb2_grpc.RewardServiceServicer):
    """Answers each call by the next of its answers, and from then on by the last."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.requests: list[reward_pb2.ScoreRequest] = []
        self.verifiers: list[reward_pb2.VerifierInfo] = []
        """What `GetInfo` offers."""
        self.target = ""

    async def Score(  # noqa: N802 - gRPC's name
        self, request: reward_pb2.ScoreRequest, context: Context
    ) -> reward_pb2.ScoreResponse:
        """Scores as told."""
        answer = self.answers[min(len(self.requests), len(self.answers) - 1)]
        self.requests.append(request)
        return reward_pb2.ScoreResponse(results=await answer(request, context))

    async def ScoreStream(  # noqa: N802 - gRPC's name
        self, request_iterator: AsyncIterator[reward_pb2.ScoreStreamRequest], context: Context
    ) -> AsyncIterator[reward_pb2.ScoreStreamResponse]:
        """Not offered."""
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "no stream")
        yield reward_pb2.ScoreStreamResponse()

    async def GetInfo(  # noqa: N802 - gRPC's name
        self, request: reward_pb2.GetInfoRequest, context: Context
    ) -> reward_pb2.GetInfoResponse:
        """Offers `verifiers`, at first none by name."""
        return reward_pb2.GetInfoResponse(verifiers=self.verifiers)


@asynccontextmanager
async def peer(*answers: Answer) -> AsyncIterator[Peer]:
    """A server for the length of a block."""
    servicer = Peer(*answers)
    server = aio.server()
    reward_pb2_grpc.add_RewardServiceServicer_to_server(servicer, server)
    servicer.target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield servicer
    finally:
        await server.stop(0)
