"""What the clients of all services share: a channel, and errors with their reason."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from types import TracebackType
from typing import Any, Self, TypeVar

from grpc import aio

from trimtab.client.channel import Balancing, Tls, health_of, open_channel
from trimtab.client.errors import from_rpc_error

R = TypeVar("R")


class ServiceClient:
    """A connection to one target; close it, or use it as an async context manager."""

    def __init__(
        self, target: str, *, tls: Tls | None, balancing: Balancing = "pick_first"
    ) -> None:
        """Connects when the first call is made."""
        self.target = target
        self._channel = open_channel(target, balancing=balancing, tls=tls)

    async def health(self, *, timeout_s: float = 2.0) -> str:
        """The server's health by name, as "SERVING"; "UNREACHABLE" if it does not answer."""
        return await health_of(self._channel, timeout_s=timeout_s)

    async def _result(self, call: Awaitable[R]) -> R:
        """The reply; a failed call becomes a RemoteError."""
        try:
            return await call
        except aio.AioRpcError as error:
            raise from_rpc_error(error, target=self.target) from error

    async def _events(self, call: Any) -> AsyncIterator[Any]:
        """The replies of a stream; leaving the loop early cancels the call."""
        try:
            async for reply in call:
                yield reply
        except aio.AioRpcError as error:
            raise from_rpc_error(error, target=self.target) from error
        finally:
            call.cancel()

    async def close(self) -> None:
        """Closes the connection."""
        await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()
