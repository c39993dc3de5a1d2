"""How calls reach a reward server."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from trimtab.config.base import Model


class ClientTlsConfig(Model):
    """TLS of a connection."""

    ca_file: Path | None = None
    """PEM file with the authority of the server's certificate; none: the system's authorities."""
    cert_file: Path | None = None
    """PEM file with this side's certificate, where the server asks for one."""
    key_file: Path | None = None
    """PEM file with its private key."""


class RouteConfig(Model):
    """Where a verifier is offered, and how patient to be with it."""

    target: str | None = None
    """gRPC target of a reward server, as `dns:///style:50052`; none: the run's own server."""
    verifier: str | None = None
    """The verifier's name there; none: the name it has here."""
    timeout_s: float = Field(default=30.0, gt=0)
    """Deadline of one call."""
    max_in_flight: int = Field(default=64, ge=1)
    """Calls at once."""
    batch_size: int = Field(default=64, ge=1, le=10_000)
    """Items in one call."""
    patience_s: float = Field(default=60.0, ge=0)
    """How long an unreachable server is retried before its items become UNAVAILABLE."""
    tls: ClientTlsConfig | None = None
    """TLS files; none: plaintext."""


class RewardConfig(RouteConfig):
    """One verifier's part in a sample's reward."""

    weight: float = 1.0
    """Factor of this verifier's reward in the sum."""
