"""The outermost boundary of every call: sizes, deadlines, request ids, and errors to statuses."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any, NoReturn, cast

import grpc
import structlog
from google.protobuf.message import Message
from grpc import aio

from trimtab.errors import Reason, ServiceError
from trimtab.server.logs import get_logger
from trimtab.server.metrics import count_call
from trimtab.server.status import status_code, status_message, trailing_metadata

_log = get_logger("calls")
_SLOW_FREE = ("/grpc.health.", "/grpc.reflection.")
REQUEST_ID_KEY = "x-request-id"

Context = aio.ServicerContext[Any, Any]


class CallBoundary(aio.ServerInterceptor):
    """Wraps every handler, so that handlers only raise `ServiceError` and return messages."""

    def __init__(self, *, max_message_bytes: int, deadline_cap_s: float) -> None:
        """A call without a deadline gets `deadline_cap_s`; a larger message is refused."""
        self._max_message_bytes = max_message_bytes
        self._deadline_cap_s = deadline_cap_s

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Gives the handler of the call, wrapped."""
        handler = cast(Any, await continuation(handler_call_details))
        method = handler_call_details.method
        if handler is None or method.startswith(_SLOW_FREE):
            return cast("grpc.RpcMethodHandler[Any, Any]", handler)
        inner = (
            handler.stream_stream
            or handler.stream_unary
            or handler.unary_stream
            or handler.unary_unary
        )
        kind = f"{'stream' if handler.request_streaming else 'unary'}_" + (
            "stream" if handler.response_streaming else "unary"
        )
        wrap = self._streaming if handler.response_streaming else self._unary
        factory = getattr(grpc, f"{kind}_rpc_method_handler")
        wrapped = factory(
            wrap(method, inner, handler.request_streaming),
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )
        return cast("grpc.RpcMethodHandler[Any, Any]", wrapped)

    def _unary(
        self, method: str, inner: Callable[..., Awaitable[Message]], request_streaming: bool
    ) -> Callable[..., Awaitable[Message]]:
        async def handle(request: Any, context: Context) -> Message:
            call = _Call(method)
            _bind(context, call.rpc)
            try:
                async with asyncio.timeout(self._missing_deadline_s(context)):
                    checked = self._checked(request, request_streaming)
                    response = await inner(checked, context)
                call.code = "OK"
                return response
            except Exception as error:  # noqa: BLE001 - the outermost boundary
                await _abort(context, error, call)
            finally:
                call.end()

        return handle

    def _streaming(
        self, method: str, inner: Callable[..., AsyncGenerator[Message]], request_streaming: bool
    ) -> Callable[..., AsyncIterator[Message]]:
        async def handle(request: Any, context: Context) -> AsyncIterator[Message]:
            call = _Call(method)
            _bind(context, call.rpc)
            try:
                async with asyncio.timeout(self._missing_deadline_s(context)):
                    checked = self._checked(request, request_streaming)
                    # Closed at once when the call ends early, not when garbage is collected.
                    async with contextlib.aclosing(inner(checked, context)) as responses:
                        async for response in responses:
                            yield response
                call.code = "OK"
            except Exception as error:  # noqa: BLE001 - the outermost boundary
                await _abort(context, error, call)
            finally:
                call.end()

        return handle

    def _missing_deadline_s(self, context: Context) -> float | None:
        """The cap where the caller gave no deadline; gRPC itself enforces the caller's."""
        remaining_s = context.time_remaining()
        # Without a deadline gRPC reports none, or a time beyond any caller's patience.
        unbounded = remaining_s is None or remaining_s > 10 * 365 * 86400
        return self._deadline_cap_s if unbounded else None

    def _checked(self, request: Any, request_streaming: bool) -> Any:
        if request_streaming:
            return self._checked_stream(request)
        self._check_size(request)
        return request

    async def _checked_stream(self, requests: AsyncIterator[Message]) -> AsyncIterator[Message]:
        async for request in requests:
            self._check_size(request)
            yield request

    def _check_size(self, request: Message) -> None:
        size_bytes = request.ByteSize()
        if size_bytes > self._max_message_bytes:
            raise ServiceError(
                Reason.MESSAGE_TOO_LARGE,
                f"the message has {size_bytes:,} bytes, the limit is "
                f"{self._max_message_bytes:,}: send fewer items in one message",
                metadata={"size": str(size_bytes), "limit": str(self._max_message_bytes)},
            )


class _Call:
    """One call's way through the boundary, for the metrics."""

    def __init__(self, method: str) -> None:
        self.rpc = method.rsplit("/", 1)[-1]
        self.code = "CANCELLED"
        """How it ends, unless somebody learns better: nobody is told of a cancellation."""
        self._started_s = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._started_s

    def end(self) -> None:
        count_call(self.rpc, self.code, self.elapsed_s)


def _bind(context: Context, rpc: str) -> None:
    metadata = {str(key): value for key, value in context.invocation_metadata() or ()}
    request_id = metadata.get(REQUEST_ID_KEY) or uuid.uuid4().hex[:16]
    structlog.contextvars.bind_contextvars(
        rpc=rpc,
        call_id=request_id if isinstance(request_id, str) else request_id.decode("latin-1"),
    )


async def _abort(context: Context, error: Exception, call: _Call) -> NoReturn:
    """Ends the call with the status that the error asks for."""
    if isinstance(error, TimeoutError):
        error = ServiceError(
            Reason.DEADLINE_EXCEEDED,
            "the call had no deadline of its own and ran into the server's cap; give it one",
        )
    elif isinstance(error, aio.AbortError):
        raise error
    elif not isinstance(error, ServiceError):
        _log.error("call failed inside the server", exc_info=error)
        error = ServiceError(
            Reason.INTERNAL, f"{type(error).__name__}: {error}; the server's log has the trace"
        )
    code = status_code(error)
    call.code = code.name
    _log.warning(
        "call refused",
        code=code.name,
        reason=str(error.reason),
        message=error.message,
        elapsed_s=round(call.elapsed_s, 4),
    )
    await context.abort(code, status_message(error), cast(Any, trailing_metadata(error)))
    raise AssertionError("abort does not return")
