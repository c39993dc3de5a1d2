"""The outermost boundary of every HTTP call: size, deadline, hang-ups, and errors to replies."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from reward_server.http.replies import error_response, json_response, problem_response
from trimtab.errors import Overloaded, Reason, ServiceError
from trimtab.server.logs import get_logger
from trimtab.server.runtime import TRANSPORT_CAP_BYTES

_log = get_logger("http")
DEADLINE_HEADER = "connect-timeout-ms"
"""The header of the Connect protocol that tells how long the caller waits."""
_MAX_DEADLINE_DIGITS = 10
_CLIENT_GONE = 499
"""What proxies log where a client hung up; nobody is there to read it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What a handler gets."""

    body: bytes
    """The body, whole."""
    query: Mapping[str, str]
    """The parameters of the URL."""
    deadline_s: float
    """When the caller stops waiting, in `time.monotonic()`."""

    @property
    def remaining_s(self) -> float:
        """Time that is left."""
        return max(0.0, self.deadline_s - time.monotonic())


Handler = Callable[[Call], Awaitable[bytes]]


class Boundary:
    """Wraps handlers, so that they only raise `ServiceError` and return JSON."""

    def __init__(
        self, *, max_body_bytes: int, deadline_s: float, deadline_cap_s: float, max_calls: int
    ) -> None:
        """A call that says nothing of its deadline gets `deadline_s`."""
        self._max_body_bytes = max_body_bytes
        self._deadline_s = deadline_s
        self._deadline_cap_s = deadline_cap_s
        self._max_calls = max_calls
        self._call_count = 0

    def endpoint(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """The handler as a route's endpoint."""

        async def answer(request: Request) -> Response:
            structlog.contextvars.bind_contextvars(
                rpc=request.url.path, call_id=uuid.uuid4().hex[:16]
            )
            self._call_count += 1
            try:
                return json_response(await self._handled(request, handler))
            except ClientDisconnect:
                return Response(status_code=_CLIENT_GONE)
            except _WrongMediaType as error:
                return problem_response(415, "INVALID_ARGUMENT", "INVALID_FIELD", str(error))
            except Exception as error:  # noqa: BLE001 - the outermost boundary
                return error_response(_told(error))
            finally:
                self._call_count -= 1

        return answer

    async def _handled(self, request: Request, handler: Handler) -> bytes:
        if self._call_count > self._max_calls:
            raise Overloaded(
                f"{self._max_calls} calls are open already: come again later", retry_after_s=1.0
            )
        _check_media_type(request)
        timeout_s = self._timeout_s(request)
        deadline_s = time.monotonic() + timeout_s
        async with asyncio.timeout(timeout_s):
            body = await self._body(request)
            call = Call(body=body, query=request.query_params, deadline_s=deadline_s)
            return await _until_gone(request, handler(call))

    def _timeout_s(self, request: Request) -> float:
        text = request.headers.get(DEADLINE_HEADER)
        if text is None:
            return min(self._deadline_s, self._deadline_cap_s)
        usable = text.isascii() and text.isdigit() and len(text) <= _MAX_DEADLINE_DIGITS
        if not usable or not int(text):
            raise ServiceError(
                Reason.INVALID_FIELD,
                f"the header {DEADLINE_HEADER} is {text[:20]!r}: give whole milliseconds above 0",
                field=DEADLINE_HEADER,
            )
        return min(int(text) / 1000, self._deadline_cap_s)

    async def _body(self, request: Request) -> bytes:
        """The whole body; one that is too large is read on for a while, and forgotten.

        A client that is still sending when it is refused may never see why.
        """
        announced = request.headers.get("content-length", "0")
        if announced.isdigit() and int(announced) > TRANSPORT_CAP_BYTES:
            raise self._too_large(f"{int(announced):,}")
        parts: list[bytes] = []
        size_bytes = 0
        async for part in request.stream():
            size_bytes += len(part)
            if size_bytes > TRANSPORT_CAP_BYTES:
                raise self._too_large(f"more than {TRANSPORT_CAP_BYTES:,}")
            if size_bytes <= self._max_body_bytes:
                parts.append(part)
            else:
                parts.clear()
        if size_bytes > self._max_body_bytes:
            raise self._too_large(f"{size_bytes:,}")
        return b"".join(parts)

    def _too_large(self, size: str) -> ServiceError:
        return ServiceError(
            Reason.MESSAGE_TOO_LARGE,
            f"the body has {size} bytes, the limit is {self._max_body_bytes:,}: "
            "send fewer items in one call",
        )


async def _until_gone(request: Request, working: Awaitable[bytes]) -> bytes:
    """What `working` gives; gives it up when the client hangs up."""
    work = asyncio.ensure_future(working)
    gone = asyncio.ensure_future(request.receive())
    try:
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            return work.result()
        raise ClientDisconnect
    finally:
        gone.cancel()
        work.cancel()
        await asyncio.wait({work, gone})


class _WrongMediaType(Exception):
    pass


def _check_media_type(request: Request) -> None:
    """Refuses what is not JSON, which also keeps a browser's forms of other sites out."""
    media_type, _, _ = request.headers.get("content-type", "").partition(";")
    if media_type.strip().lower() != "application/json":
        raise _WrongMediaType(f"content-type is {media_type.strip()[:50]!r}: send application/json")


def _told(error: Exception) -> ServiceError:
    """The error as the caller is told of it, and the log."""
    if isinstance(error, TimeoutError):
        error = ServiceError(
            Reason.DEADLINE_EXCEEDED, f"the deadline came first: give more in {DEADLINE_HEADER}"
        )
    elif not isinstance(error, ServiceError):
        _log.error("call failed inside the server", exc_info=error)
        error = ServiceError(
            Reason.INTERNAL, f"{type(error).__name__}: {error}; the server's log has the trace"
        )
    _log.warning("call refused", reason=str(error.reason), message=error.message)
    return error
