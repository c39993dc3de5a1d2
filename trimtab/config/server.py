"""What the configs of all three servers have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from trimtab.config.base import Model

MAX_MESSAGE_BYTES = 16 << 20
"""The contract's cap on a message."""


class TlsConfig(Model):
    """TLS of a server."""

    cert_file: Path
    """PEM file with the certificate chain."""
    key_file: Path
    """PEM file with the private key."""
    client_ca_file: Path | None = None
    """PEM file with the authority that clients' certificates must come from; none: any client."""


class ServerConfig(Model):
    """How a server listens, logs and ends."""

    listen: str = "127.0.0.1:0"
    """HOST:PORT; port 0: a free one. Beyond loopback it needs `tls` or `insecure`."""
    tls: TlsConfig | None = None
    """TLS files; none: plaintext."""
    insecure: bool = False
    """Allows plaintext beyond loopback, for a network that is trusted."""
    metrics_listen: str | None = None
    """HOST:PORT of metrics for Prometheus over HTTP, by the same rules; none: no metrics."""
    max_message_bytes: int = Field(default=MAX_MESSAGE_BYTES, ge=1 << 16, le=MAX_MESSAGE_BYTES)
    """Largest message that is taken."""
    max_concurrent_calls: int = Field(default=1024, ge=1)
    """Calls at once, health checks included, above which gRPC itself turns callers away."""
    deadline_cap_s: float = Field(default=3600.0, gt=0)
    """Deadline of a call that has none of its own."""
    drain_delay_s: float = Field(default=0.0, ge=0)
    """Wait between NOT_SERVING and refusing calls, for balancers to notice."""
    drain_grace_s: float = Field(default=10.0, ge=0)
    """How long running calls may take to end on SIGTERM."""
    log_format: Literal["console", "json"] = "console"
    """Lines for people or for machines, on standard error."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important events that are logged."""
