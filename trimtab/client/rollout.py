"""Client of one RolloutService."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from types import TracebackType

from grpc import aio

from trimtab.client.channel import Tls, health_of, open_channel
from trimtab.client.errors import from_rpc_error
from trimtab.common.v1 import weights_pb2
from trimtab.rollout.v1 import rollout_pb2
from trimtab.rollout.v1.rollout_pb2_grpc import RolloutServiceStub


class RolloutClient:
    """Calls one rollout server."""

    def __init__(self, target: str, *, tls: Tls | None = None) -> None:
        """`target` names exactly one server: its weights are its own."""
        self.target = target
        self._channel = open_channel(target, tls=tls)
        self._stub = RolloutServiceStub(self._channel)

    async def generate(
        self, request: rollout_pb2.GenerateRequest, *, timeout_s: float
    ) -> AsyncIterator[rollout_pb2.GenerateResponse]:
        """The events of a generation as they come.

        Raises:
            RemoteError: the call failed, or broke off.
        """
        call = self._stub.Generate(request, timeout=timeout_s)
        try:
            async for event in call:
                yield event
        except aio.AioRpcError as error:
            raise from_rpc_error(error, target=self.target) from error
        finally:
            call.cancel()

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

        try:
            response = await self._stub.UpdateWeights(requests(), timeout=timeout_s)
        except aio.AioRpcError as error:
            raise from_rpc_error(error, target=self.target) from error
        return response.proof

    async def load_weights(
        self, request: rollout_pb2.LoadWeightsRequest, *, timeout_s: float
    ) -> rollout_pb2.WeightsProof:
        """Lets the server load weights from its own disk.

        Raises:
            RemoteError: the call failed; the old weights serve on.
        """
        try:
            response = await self._stub.LoadWeights(request, timeout=timeout_s)
        except aio.AioRpcError as error:
            raise from_rpc_error(error, target=self.target) from error
        return response.proof

    async def get_info(self, *, timeout_s: float = 10.0) -> rollout_pb2.GetInfoResponse:
        """What the server serves.

        Raises:
            RemoteError: the call failed.
        """
        try:
            return await self._stub.GetInfo(rollout_pb2.GetInfoRequest(), timeout=timeout_s)
        except aio.AioRpcError as error:
            raise from_rpc_error(error, target=self.target) from error

    async def health(self, *, timeout_s: float = 2.0) -> str:
        """The server's health by name, as "SERVING"; "UNREACHABLE" if it does not answer."""
        return await health_of(self._channel, timeout_s=timeout_s)

    async def close(self) -> None:
        """Closes the connection."""
        await self._channel.close()

    async def __aenter__(self) -> RolloutClient:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()
