"""The server that is checked: plain calls, what they gave, and how they failed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from types import TracebackType
from typing import Any, Self

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2
from grpc import aio

from trimtab.client.channel import open_channel
from trimtab.client.errors import remote_error
from trimtab.conformance.items import ItemMaker
from trimtab.conformance.laws import Laws
from trimtab.conformance.model import NotJudged
from trimtab.conformance.options import Options
from trimtab.reward.v1 import reward_pb2
from trimtab.reward.v1.reward_pb2_grpc import RewardServiceStub

_DETAILS_KEY = "grpc-status-details-bin"
_CONNECT_S = 10.0
_ALIVE_S = 10.0
MAX_ITEMS = 10_000
"""The contract's most items in a call."""
MAX_RESPONSE_BYTES = 1 << 20
"""The contract's longest response."""
MAX_MESSAGE_BYTES = 16 << 20
"""The contract's largest message."""


class Refused(Exception):
    """A call that failed as a whole."""

    def __init__(self, error: aio.AioRpcError) -> None:
        self.code = error.code().name
        """The status by name."""
        self.reason = ""
        """What ErrorInfo says; empty: there was none."""
        self.retry_delay_s: float | None = None
        """What RetryInfo says; None: there was none."""
        self.where = ""
        """The check that made the call."""
        message = " ".join((error.details() or "").split())
        super().__init__(f"{self.code}: {message[:200]}" if message else self.code)
        for key, value in error.trailing_metadata() or ():
            if key == _DETAILS_KEY and isinstance(value, bytes):
                self._read(value)

    def _read(self, packed: bytes) -> None:
        try:
            details = status_pb2.Status.FromString(packed).details
            for detail in details:
                info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
                if detail.Unpack(info):
                    self.reason = info.reason
                elif detail.Unpack(retry):
                    self.retry_delay_s = retry.retry_delay.ToNanoseconds() / 1e9
        except DecodeError:
            return  # details that cannot be read tell as little as none


class Peer:
    """A connection to the server, and what was learnt about it."""

    def __init__(self, options: Options) -> None:
        """Connects when asked to."""
        self.options = options
        """What was asked for."""
        self.items = ItemMaker(options.verifier)
        """Makes items that no call has sent before."""
        self.laws = Laws()
        """What was seen of the results of all calls."""
        self.info: reward_pb2.GetInfoResponse | None = None
        """What GetInfo said; None: it did not answer."""
        self.refusals: list[Refused] = []
        """Calls that failed, in order."""
        self.where = ""
        """The check that runs."""
        self.heeds_deadlines = True
        """False once it was seen that the server does not."""
        self._has_stream: bool | None = None
        self.channel = open_channel(options.target, tls=options.tls)
        """For the services beside RewardService."""
        self.stub = RewardServiceStub(self.channel)
        """For calls of which the laws are to know nothing."""

    async def connect(self) -> None:
        """Returns once the server has answered as a RewardService.

        Raises:
            RemoteError: nobody answers, or something else.
        """
        target, tls = self.options.target, self.options.tls
        patience_s = min(_CONNECT_S, self.options.timeout_s)
        try:
            await asyncio.wait_for(self.channel.channel_ready(), patience_s)
        except TimeoutError as error:
            hint = (
                "does it listen there, with TLS?" if tls else "does it listen there, without TLS?"
            )
            message = f"no connection within {patience_s:g} s: {hint}"
            raise remote_error(message, target=target) from error
        try:
            self.info = await self.stub.GetInfo(
                reward_pb2.GetInfoRequest(), timeout=self.options.timeout_s
            )
        except aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                return
            await self._ask_for_score(error)

    async def _ask_for_score(self, unimplemented: aio.AioRpcError) -> None:
        """Without GetInfo it may still be one that offers Score alone."""
        try:
            await self.stub.Score(reward_pb2.ScoreRequest(), timeout=self.options.timeout_s)
        except aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNIMPLEMENTED:
                message = f"no trimtab.reward.v1.RewardService there: {error.details()}"
                raise remote_error(message, target=self.options.target) from unimplemented

    @property
    def max_items(self) -> int:
        """Most items in a call, as the server tells, else as the contract does."""
        told = self.info.max_items if self.info else 0
        return min(told or MAX_ITEMS, MAX_ITEMS)

    @property
    def max_response_bytes(self) -> int:
        """Longest response."""
        return (self.info.max_response_bytes if self.info else 0) or MAX_RESPONSE_BYTES

    @property
    def max_message_bytes(self) -> int:
        """Largest message."""
        return (self.info.max_message_bytes if self.info else 0) or MAX_MESSAGE_BYTES

    async def score(
        self,
        items: Sequence[reward_pb2.ScoreItem],
        *,
        timeout_s: float | None = None,
        request_id: str = "",
        is_matched: bool = True,
    ) -> list[reward_pb2.ScoreResult]:
        """The results of a call; without `is_matched` the laws do not compare them with the items.

        Raises:
            Refused: the call failed.
        """
        request = reward_pb2.ScoreRequest(request_id=request_id, items=items)
        try:
            response = await self.stub.Score(request, timeout=timeout_s or self.options.timeout_s)
        except aio.AioRpcError as error:
            raise self._refused(error) from error
        results = list(response.results)
        if is_matched:
            self.laws.note_batch(items, results, self.where)
        else:
            self.laws.note_results([], results, self.where)
        return results

    async def answers(
        self,
        items: Sequence[reward_pb2.ScoreItem],
        *,
        timeout_s: float | None = None,
        request_id: str = "",
    ) -> dict[str, reward_pb2.ScoreResult]:
        """The results by id.

        Raises:
            Refused: the call failed.
            NotJudged: they do not match the items, which is for another check to say.
        """
        results = await self.score(items, timeout_s=timeout_s, request_id=request_id)
        found = {result.id: result for result in results}
        if len(results) != len(items) or any(item.id not in found for item in items):
            raise NotJudged("the results do not match the items: see one-result-per-item")
        return found

    async def stream(
        self, requests: AsyncIterator[Sequence[reward_pb2.ScoreItem]]
    ) -> AsyncGenerator[Sequence[reward_pb2.ScoreResult]]:
        """The results of a stream, message by message.

        Raises:
            Refused: the stream failed.
            NotJudged: the server has none.
        """

        if self._has_stream is None:
            self._has_stream = await self._asked_for_stream()
        if not self._has_stream:
            raise NotJudged("the server has no ScoreStream")
        call: Any = self.stub.ScoreStream(timeout=self.options.timeout_s)
        writing = asyncio.create_task(_write(call, requests))
        try:
            while (response := await call.read()) is not aio.EOF:
                yield response.results
        except aio.AioRpcError as error:
            raise self._refused(error) from error
        finally:
            writing.cancel()
            call.cancel()
            await asyncio.wait({writing})

    async def _asked_for_stream(self) -> bool:
        # Asked without a message: writing to a call that has ended looks like an INTERNAL error.
        call: Any = self.stub.ScoreStream(timeout=self.options.timeout_s)
        try:
            await call.done_writing()
            await call.read()
        except aio.AioRpcError as error:
            return error.code() is not grpc.StatusCode.UNIMPLEMENTED
        finally:
            call.cancel()
        return True

    async def load(self) -> int | None:
        """Items that the server says it judges or holds; None: it does not say."""
        try:
            info = await self.stub.GetInfo(
                reward_pb2.GetInfoRequest(), timeout=self.options.timeout_s
            )
        except aio.AioRpcError:
            return None
        return info.running_count + info.waiting_count

    async def is_alive(self) -> bool:
        """True if the server answers an item, or a call without items, in whatever way."""
        dead = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
        for items in (self.items.plain(1), []):
            try:
                await self.stub.Score(reward_pb2.ScoreRequest(items=items), timeout=_ALIVE_S)
            except aio.AioRpcError as error:
                if error.code() in dead:
                    continue
            return True
        return False

    def _refused(self, error: aio.AioRpcError) -> Refused:
        refused = Refused(error)
        refused.where = self.where
        self.refusals.append(refused)
        return refused

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.channel.close()


async def _write(call: Any, requests: AsyncIterator[Sequence[reward_pb2.ScoreItem]]) -> None:
    """Sends everything; stops where the server has ended the stream, which the reader tells."""
    with contextlib.suppress(aio.AioRpcError, asyncio.InvalidStateError):
        async for items in requests:
            await call.write(reward_pb2.ScoreStreamRequest(items=items))
        await call.done_writing()
