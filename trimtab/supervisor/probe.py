"""Finds out what, if anything, answers at a target."""

from __future__ import annotations

import asyncio
import contextlib
import time
from enum import StrEnum
from typing import Any

from grpc import StatusCode, aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from trimtab.addresses import host_and_port
from trimtab.client.channel import Tls, open_channel
from trimtab.errors import RemoteError
from trimtab.supervisor.greeting import greet
from trimtab.supervisor.services import PROGRAMS, ServiceName

_POLL_S = 0.2


class Presence(StrEnum):
    """What is at a target."""

    SERVING = "serving"
    """The service, ready."""
    NOT_READY = "not ready"
    """The service, starting or ending."""
    OTHER = "another program"
    """Something else."""
    NOTHING = "nothing"
    """Nobody answers."""


async def probe(
    service: ServiceName, target: str, *, tls: Tls | None = None, timeout_s: float = 3.0
) -> Presence:
    """What is at the target of a service, asked once."""
    address = host_and_port(target)
    if address is not None and not await _accepts(*address, timeout_s=timeout_s):
        return Presence.NOTHING
    channel = open_channel(target, tls=tls)
    stub: Any = health_pb2_grpc.HealthStub(channel)
    request = health_pb2.HealthCheckRequest(service=PROGRAMS[service].full_name)
    try:
        reply = await stub.Check(request, timeout=timeout_s)
    except aio.AioRpcError as error:
        if error.code() in (StatusCode.NOT_FOUND, StatusCode.UNIMPLEMENTED):
            return await _by_info(service, target, tls, timeout_s)
        # A port that accepts connections but speaks no gRPC belongs to somebody else.
        return Presence.OTHER if address is not None else Presence.NOTHING
    finally:
        await channel.close()
    serving = reply.status == health_pb2.HealthCheckResponse.SERVING
    return Presence.SERVING if serving else Presence.NOT_READY


async def wait_presence(
    service: ServiceName, target: str, *, tls: Tls | None = None, timeout_s: float
) -> Presence:
    """What is at the target; waits for one of ours that is not ready, at most `timeout_s`."""
    give_up_s = time.monotonic() + timeout_s
    while True:
        presence = await probe(service, target, tls=tls)
        if presence is not Presence.NOT_READY or time.monotonic() > give_up_s:
            return presence
        await asyncio.sleep(_POLL_S)


async def _by_info(
    service: ServiceName, target: str, tls: Tls | None, timeout_s: float
) -> Presence:
    """For servers of others that answer no health checks: the service's own cheap call."""
    try:
        await greet(service, target, tls=tls, timeout_s=timeout_s)
    except RemoteError:
        return Presence.OTHER
    return Presence.SERVING


async def _accepts(host: str, port: int, *, timeout_s: float) -> bool:
    try:
        async with asyncio.timeout(timeout_s):
            _, writer = await asyncio.open_connection(host, port)
    except OSError:  # a timeout is one
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True
