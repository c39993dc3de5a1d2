"""The RolloutService: messages in, domain objects to the engine, messages out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

from grpc import aio

from rollout_server.engine import Engine, InFlight, WeightsRef
from rollout_server.info import ServerFacts, info_message
from rollout_server.prompts import PromptEncoder
from rollout_server.replies import (
    IN_FLIGHT_BY_WIRE,
    bad_prompt_message,
    event_message,
    proof_message,
)
from rollout_server.requests import check_weights, plan
from rollout_server.weights import WeightsDesk
from trimtab.common.v1 import weights_pb2
from trimtab.errors import Reason, ServiceError
from trimtab.rollout.v1 import rollout_pb2, rollout_pb2_grpc

Context = aio.ServicerContext[Any, Any]


class RolloutService(rollout_pb2_grpc.RolloutServiceServicer):
    """Serves one engine."""

    def __init__(
        self, engine: Engine, encoder: PromptEncoder, desk: WeightsDesk, facts: ServerFacts
    ) -> None:
        self._engine = engine
        self._encoder = encoder
        self._desk = desk
        self._facts = facts
        self._draining = False

    def drain(self) -> None:
        """Takes no more work; what is under way goes on."""
        self._draining = True

    async def Generate(
        self, request: rollout_pb2.GenerateRequest, context: Context
    ) -> AsyncIterator[rollout_pb2.GenerateResponse]:
        """Generates samples of many prompts."""
        self._check_open()
        self._check_minimum(request)
        planned = await asyncio.to_thread(
            plan,
            request,
            encoder=self._encoder,
            info=self._engine.info,
            max_samples=self._facts.max_samples_per_call,
        )
        self._check_minimum(request)
        for bad in planned.bad:
            yield bad_prompt_message(bad)
        if not planned.task.prompts:
            return
        generation = self._engine.generate(planned.task)
        # A call that is cut off while a message is being written runs no `finally` of ours.
        cast(Any, context).add_done_callback(lambda _: generation.cancel())
        async for event in generation.events():
            yield event_message(event)

    async def UpdateWeights(
        self, request_iterator: AsyncIterator[rollout_pb2.UpdateWeightsRequest], context: Context
    ) -> rollout_pb2.UpdateWeightsResponse:
        """Takes new weights from the stream."""
        self._check_open()
        header = await _header(request_iterator)
        if header.WhichOneof("source") not in (None, "inline"):
            raise ServiceError(
                Reason.NOT_IMPLEMENTED,
                f"this server takes no weights from {header.WhichOneof('source')!r}: send them "
                "inline, or use LoadWeights for files",
                field="header.source",
            )
        proof = await self._desk.update(
            header.request_id,
            header.manifest,
            _chunks(request_iterator),
            _in_flight(header.in_flight),
        )
        return rollout_pb2.UpdateWeightsResponse(proof=proof_message(proof))

    async def LoadWeights(
        self, request: rollout_pb2.LoadWeightsRequest, context: Context
    ) -> rollout_pb2.LoadWeightsResponse:
        """Takes new weights from files."""
        self._check_open()
        if not request.HasField("weights"):
            raise ServiceError(
                Reason.INVALID_FIELD, "say what the weights are called", field="weights"
            )
        weights = request.weights
        proof = await self._desk.load(
            request.request_id,
            request.path,
            WeightsRef(weights.lineage, weights.version, weights.digest),
            _in_flight(request.in_flight),
        )
        return rollout_pb2.LoadWeightsResponse(proof=proof_message(proof))

    async def GetInfo(
        self, request: rollout_pb2.GetInfoRequest, context: Context
    ) -> rollout_pb2.GetInfoResponse:
        """Tells what is served and how busy it is."""
        return info_message(self._engine, self._facts, draining=self._draining)

    async def ScoreTokens(
        self, request: rollout_pb2.ScoreTokensRequest, context: Context
    ) -> AsyncIterator[rollout_pb2.ScoreTokensResponse]:
        """Is not offered."""
        raise _not_offered("ScoreTokens")
        yield rollout_pb2.ScoreTokensResponse()

    async def Pause(
        self, request: rollout_pb2.PauseRequest, context: Context
    ) -> rollout_pb2.PauseResponse:
        """Is not offered."""
        raise _not_offered("Pause")

    async def Resume(
        self, request: rollout_pb2.ResumeRequest, context: Context
    ) -> rollout_pb2.ResumeResponse:
        """Is not offered."""
        raise _not_offered("Resume")

    async def Sleep(
        self, request: rollout_pb2.SleepRequest, context: Context
    ) -> rollout_pb2.SleepResponse:
        """Is not offered."""
        raise _not_offered("Sleep")

    async def WakeUp(
        self, request: rollout_pb2.WakeUpRequest, context: Context
    ) -> rollout_pb2.WakeUpResponse:
        """Is not offered."""
        raise _not_offered("WakeUp")

    def _check_open(self) -> None:
        if self._draining:
            raise ServiceError(
                Reason.SHUTTING_DOWN, "the server is shutting down: ask another, or this one later"
            )

    def _check_minimum(self, request: rollout_pb2.GenerateRequest) -> None:
        if request.HasField("min_weights"):
            check_weights(request.min_weights, self._engine.weights)


async def _header(
    requests: AsyncIterator[rollout_pb2.UpdateWeightsRequest],
) -> rollout_pb2.UpdateWeightsHeader:
    async for request in requests:
        if request.WhichOneof("payload") != "header":
            raise ServiceError(Reason.STREAM_OUT_OF_ORDER, "the first message must be the header")
        return request.header
    raise ServiceError(Reason.STREAM_INCOMPLETE, "the stream ended without a header")


async def _chunks(
    requests: AsyncIterator[rollout_pb2.UpdateWeightsRequest],
) -> AsyncIterator[weights_pb2.WeightsChunk]:
    async for request in requests:
        if request.WhichOneof("payload") != "chunk":
            raise ServiceError(Reason.STREAM_OUT_OF_ORDER, "after the header only chunks may come")
        yield request.chunk


def _in_flight(mode: rollout_pb2.InFlightMode.ValueType) -> InFlight:
    if mode not in IN_FLIGHT_BY_WIRE:
        raise ServiceError(
            Reason.NOT_IMPLEMENTED,
            "this server cannot keep running samples across a change of weights: use WAIT or ABORT",
            field="in_flight",
        )
    return IN_FLIGHT_BY_WIRE[mode]


def _not_offered(rpc: str) -> ServiceError:
    return ServiceError(
        Reason.NOT_IMPLEMENTED,
        f"this server does not offer {rpc}; GetInfo lists what it can do",
    )
