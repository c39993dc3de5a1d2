"""Channels to the services: limits, keep-alive, retries, balancing, TLS."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any, Literal, Protocol

import grpc
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from trimtab.client.errors import remote_error
from trimtab.errors import ConfigError

Balancing = Literal["pick_first", "round_robin"]
_CAP_BYTES = 64 << 20


class Tls(Protocol):
    """TLS files of a connection; each may be None."""

    @property
    def ca_file(self) -> Path | None:
        """PEM file with the authority of the server's certificate; None: the system's."""

    @property
    def cert_file(self) -> Path | None:
        """PEM file with this side's certificate."""

    @property
    def key_file(self) -> Path | None:
        """PEM file with its private key."""


def open_channel(
    target: str, *, balancing: Balancing = "pick_first", tls: Tls | None = None
) -> aio.Channel:
    """A channel that pings every 30 s and retries calls that never reached a server.

    Raises:
        ConfigError: a TLS file cannot be read.
    """
    options = _options(balancing)
    if tls is None:
        return aio.insecure_channel(target, options=options)
    return aio.secure_channel(target, _credentials(tls), options=options)


def open_sync_channel(
    target: str, *, balancing: Balancing = "pick_first", tls: Tls | None = None
) -> grpc.Channel:
    """The same for callers without an event loop; threads may share it.

    Raises:
        ConfigError: a TLS file cannot be read.
    """
    options = _options(balancing)
    if tls is None:
        return grpc.insecure_channel(target, options=options)
    return grpc.secure_channel(target, _credentials(tls), options=options)


def _options(balancing: Balancing) -> tuple[tuple[str, int | str], ...]:
    return (
        ("grpc.max_receive_message_length", _CAP_BYTES),
        ("grpc.max_send_message_length", _CAP_BYTES),
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.max_reconnect_backoff_ms", 2_000),
        ("grpc.enable_retries", 1),
        ("grpc.service_config", _service_config(balancing)),
    )


def _credentials(tls: Tls) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(
        root_certificates=_read(tls.ca_file),
        private_key=_read(tls.key_file),
        certificate_chain=_read(tls.cert_file),
    )


def _service_config(balancing: Balancing) -> str:
    retry = {
        "maxAttempts": 4,
        "initialBackoff": "0.1s",
        "maxBackoff": "2s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    return json.dumps(
        {
            "loadBalancingConfig": [{balancing: {}}],
            "methodConfig": [{"name": [{}], "retryPolicy": retry}],
        }
    )


def _read(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}", field="tls") from error


async def health_of(channel: aio.Channel, *, timeout_s: float) -> str:
    """The server's health by name, as "SERVING"; "UNREACHABLE" if it does not answer."""
    stub: Any = health_pb2_grpc.HealthStub(channel)
    try:
        reply = await stub.Check(health_pb2.HealthCheckRequest(), timeout=timeout_s)
    except aio.AioRpcError:
        return "UNREACHABLE"
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status))


async def wait_until_serving(target: str, *, timeout_s: float, tls: Tls | None = None) -> None:
    """Returns once the server's health is SERVING.

    Raises:
        RemoteError: it was not within `timeout_s` seconds.
    """
    give_up_s = time.monotonic() + timeout_s
    channel = open_channel(target, tls=tls)
    try:
        while True:
            left_s = give_up_s - time.monotonic()
            state = await health_of(channel, timeout_s=max(0.01, min(2.0, left_s)))
            if state == "SERVING":
                return
            if left_s <= 0:
                raise remote_error(
                    f"not serving after {timeout_s:g} s (health: {state})", target=target
                )
            await asyncio.sleep(min(0.1, max(left_s, 0)))
    finally:
        await channel.close()
