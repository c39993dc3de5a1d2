"""Client of one RolloutService."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from trimtab.client.base import ServiceClient
from trimtab.client.channel import Tls
from trimtab.common.v1 import weights_pb2
from trimtab.rollout.v1 import rollout_pb2
from trimtab.rollout.v1.rollout_pb2_grpc import RolloutServiceStub


class RolloutClient(ServiceClient):
    """Calls one rollout server."""

    def __init__(self, target: str, *, tls: Tls | None = None) -> None:
        """`target` names exactly one server: its weights are its own."""
        super().__init__(target, tls=tls)
        self._stub = RolloutServiceStub(self._channel)

    async def generate(
        self, request: rollout_pb2.GenerateRequest, *, timeout_s: float
    ) -> AsyncIterator[rollout_pb2.GenerateResponse]:
        """The events of a generation as they come.

        Raises:
            RemoteError: the call failed, or broke off.
        """
        call = self._stub.Generate(request, timeout=timeout_s)
        async for event in self._events(call):
            yield event

    async def update_weights(
        self,
        manifest: weights_pb2.WeightsManifest,
        chunks: Iterator[weights_pb2.WeightsChunk],
        *,
        timeout_s: float,
        request_id: str = "",
        in_flight: rollout_pb2.InFlightMode.ValueType = rollout_pb2.IN_FLIGHT_MODE_WAIT,
    ) -> rollout_pb2.WeightsProof:
        """Pushes weights and gives the server's proof that they serve.

        Raises:
            RemoteError: the call failed; the old weights serve on.
        """

        async def requests() -> AsyncIterator[rollout_pb2.UpdateWeightsRequest]:
            header = rollout_pb2.UpdateWeightsHeader(
                request_id=request_id,
                manifest=manifest,
                in_flight=in_flight,
                inline=rollout_pb2.InlineSource(),
            )
            yield rollout_pb2.UpdateWeightsRequest(header=header)
            for chunk in chunks:
                yield rollout_pb2.UpdateWeightsRequest(chunk=chunk)

        response = await self._result(self._stub.UpdateWeights(requests(), timeout=timeout_s))
        return response.proof

    async def load_weights(
        self, request: rollout_pb2.LoadWeightsRequest, *, timeout_s: float
    ) -> rollout_pb2.WeightsProof:
        """Lets the server load weights from its own disk.

        Raises:
            RemoteError: the call failed; the old weights serve on.
        """
        response = await self._result(self._stub.LoadWeights(request, timeout=timeout_s))
        return response.proof

    async def get_info(self, *, timeout_s: float = 10.0) -> rollout_pb2.GetInfoResponse:
        """What the server serves.

        Raises:
            RemoteError: the call failed.
        """
        return await self._result(
            self._stub.GetInfo(rollout_pb2.GetInfoRequest(), timeout=timeout_s)
        )
