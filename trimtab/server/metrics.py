"""Metrics for Prometheus, over HTTP: those of calls, which all servers have, and each one's own."""

from __future__ import annotations

import ssl
from collections.abc import Callable

from prometheus_client import Counter, Histogram, start_http_server

from trimtab.config.server import ServerConfig
from trimtab.errors import ConfigError
from trimtab.server.listening import address_of
from trimtab.server.logs import get_logger

_log = get_logger("metrics")
_CALLS = Counter("trimtab_calls", "Calls that have ended.", ["rpc", "code"])
_CALL_SECONDS = Histogram(
    "trimtab_call_seconds",
    "Seconds from a call's arrival to its end.",
    ["rpc"],
    buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000),
)


def count_call(rpc: str, code: str, elapsed_s: float) -> None:
    """Takes in a call that has ended with a status code, by name."""
    _CALLS.labels(rpc, code).inc()
    _CALL_SECONDS.labels(rpc).observe(elapsed_s)


def serve_metrics(config: ServerConfig) -> Callable[[], None]:
    """Serves the metrics where the config says, over TLS if it has any; gives what ends that.

    Raises:
        ConfigError: the address cannot be listened on, or must not be without TLS.
    """
    if config.metrics_listen is None:
        return lambda: None
    host, port = address_of(config.metrics_listen, config, field="metrics_listen")
    tls = config.tls
    try:
        server, thread = start_http_server(
            port,
            host.strip("[]"),
            certfile=str(tls.cert_file) if tls else None,
            keyfile=str(tls.key_file) if tls else None,
            client_cafile=str(tls.client_ca_file) if tls and tls.client_ca_file else None,
            client_auth_required=bool(tls and tls.client_ca_file),
        )
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"cannot listen on {config.metrics_listen}: {error.strerror or error}",
            field="metrics_listen",
        ) from error
    _log.info("serving metrics", address=f"{host}:{server.server_port}")

    def end() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return end
