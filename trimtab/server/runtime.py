"""Runs one gRPC server from listening to its last drained call."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import grpc
from grpc import aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from trimtab.config.server import ServerConfig, TlsConfig
from trimtab.errors import ConfigError
from trimtab.server.boundary import CallBoundary
from trimtab.server.listening import address_of, listening_socket
from trimtab.server.logs import get_logger
from trimtab.server.metrics import serve_metrics

_log = get_logger("server")
_STOP_MARGIN_S = 5.0
TRANSPORT_CAP_BYTES = 64 << 20
"""gRPC's own cap: above it, its plain error; between ours and this one, ours with ErrorInfo."""

_OPTIONS = (
    ("grpc.max_receive_message_length", TRANSPORT_CAP_BYTES),
    ("grpc.max_send_message_length", TRANSPORT_CAP_BYTES),
    # Clients ping every 30 s; the default of five minutes would answer that with a disconnect.
    ("grpc.http2.min_ping_interval_without_data_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.so_reuseport", 0),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSpec:
    """A service to run: how to add it, and what to do around its life."""

    name: str
    """Short name, as "reward"."""
    full_name: str
    """Full proto name, as "trimtab.reward.v1.RewardService"."""
    add: Callable[[aio.Server], None]
    """Registers the servicer."""
    start: Callable[[], Awaitable[None]]
    """Makes it ready; health is NOT_SERVING until it returns."""
    drain: Callable[[], Awaitable[None]]
    """Stops taking work; called before the grace period."""
    close: Callable[[], Awaitable[None]]
    """Frees everything; called after the last call."""
    health_changed: Callable[[bool], None] | None = None
    """Told True once health is SERVING, and False once it no longer is."""
    failed: Awaitable[str] | None = None
    """Completes with a reason when the service can no longer serve; the server then exits 1."""
    health: Callable[[], Mapping[str, bool]] | None = None
    """Further names of the health service, and whether each serves once the service is ready."""


async def serve(spec: ServiceSpec, config: ServerConfig) -> int:
    """Serves until SIGTERM or SIGINT, drains, and gives the exit status.

    Raises:
        ConfigError: the address cannot be listened on, or must not be without TLS.
    """
    server = aio.server(
        interceptors=[
            CallBoundary(
                max_message_bytes=config.max_message_bytes, deadline_cap_s=config.deadline_cap_s
            )
        ],
        options=_OPTIONS,
        maximum_concurrent_rpcs=config.max_concurrent_calls,
    )
    spec.add(server)
    health_servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    reflection.enable_server_reflection(
        (spec.full_name, health.SERVICE_NAME, reflection.SERVICE_NAME), server
    )
    await _set_health(health_servicer, spec, serving=False)
    address = _listen(server, config)
    end_metrics = serve_metrics(config)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await server.start()
    try:
        starting = asyncio.ensure_future(spec.start())
        stopping = asyncio.ensure_future(stop.wait())
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            await _set_health(health_servicer, spec, serving=True)
            # One line on standard output for whoever started this process; logs go elsewhere.
            print(f"{spec.name} serving on {address}", flush=True)  # noqa: T201
            _log.info("serving", address=address)
            _tell(spec, serving=True)
        else:
            starting.cancel()
        reason = await _stop_or_failure(stopping, spec.failed)
        await _set_health(health_servicer, spec, serving=False)
        _tell(spec, serving=False)
        if reason:
            _log.error("cannot go on", reason=reason)
        else:
            _log.info("draining", grace_s=config.drain_grace_s)
        await asyncio.sleep(config.drain_delay_s)
        await spec.drain()
        await _stop(server, 0 if reason else config.drain_grace_s)
        return 1 if reason else 0
    finally:
        await _stop(server, 0)
        await spec.close()
        end_metrics()


def _tell(spec: ServiceSpec, *, serving: bool) -> None:
    if spec.health_changed is not None:
        spec.health_changed(serving)


async def _stop(server: aio.Server, grace_s: float) -> None:
    """Ends the calls, but never waits for gRPC much longer than the grace."""
    stopping = asyncio.ensure_future(server.stop(grace_s))
    await asyncio.wait({stopping}, timeout=grace_s + _STOP_MARGIN_S)
    if not stopping.done():
        _log.warning("calls did not end", grace_s=grace_s)
        stopping.cancel()


async def _stop_or_failure(
    stopping: asyncio.Future[Literal[True]], failed: Awaitable[str] | None
) -> str:
    """Waits for a signal (an empty string) or for the service's own failure (its reason)."""
    failing = asyncio.ensure_future(failed) if failed is not None else None
    waited: set[asyncio.Future[Any]] = {stopping} | ({failing} if failing is not None else set())
    await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
    if failing is not None and failing.done():
        return failing.result()
    if failing is not None:
        failing.cancel()
    return ""


async def _set_health(
    servicer: health.aio.HealthServicer, spec: ServiceSpec, *, serving: bool
) -> None:
    status: Any = health_pb2.HealthCheckResponse
    names = {"": serving, spec.full_name: serving}
    if spec.health is not None:
        names |= {name: serving and holds for name, holds in spec.health().items()}
    for name, serves in names.items():
        await servicer.set(name, status.SERVING if serves else status.NOT_SERVING)


def _listen(server: aio.Server, config: ServerConfig) -> str:
    """Binds the address and gives it with the port that was really taken."""
    host, port = address_of(config.listen, config, field="listen")
    if port:
        # gRPC would not say that a port is in use, so the system is asked.
        listening_socket(host, port, field="listen").close()
    try:
        if config.tls is None:
            bound = server.add_insecure_port(config.listen)
        else:
            bound = server.add_secure_port(config.listen, _credentials(config.tls))
    except RuntimeError as error:
        raise ConfigError(
            f"cannot listen on {config.listen}: the address does not exist here, or may not be "
            "bound, or the TLS files do not hold: see the log above",
            field="listen",
        ) from error
    return f"{host}:{bound}"


def _credentials(tls: TlsConfig) -> grpc.ServerCredentials:
    pair = (_read("tls.key_file", tls.key_file), _read("tls.cert_file", tls.cert_file))
    if tls.client_ca_file is None:
        return grpc.ssl_server_credentials([pair])
    client_ca = _read("tls.client_ca_file", tls.client_ca_file)
    return grpc.ssl_server_credentials(
        [pair], root_certificates=client_ca, require_client_auth=True
    )


def _read(field: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}", field=field) from error
