"""Config of a reward server."""

from __future__ import annotations

import os

from pydantic import Field, model_validator

from trimtab.config.base import Model
from trimtab.config.http import HttpConfig
from trimtab.config.routes import RouteConfig
from trimtab.config.sandbox import SandboxConfig
from trimtab.config.server import ServerConfig
from trimtab.config.verifiers import (
    MathVerifierConfig,
    NumericVerifierConfig,
    VerifierConfig,
)

DEFAULT_REWARD_LISTEN = "127.0.0.1:50052"


class CacheConfig(Model):
    """How many verdicts of workers are remembered; a limit of 0 turns the cache off."""

    max_entries: int = Field(default=100_000, ge=0)
    """Most verdicts."""
    max_bytes: int = Field(default=64 << 20, ge=0)
    """Most memory that they may take, roughly."""


class QuarantineConfig(Model):
    """Which questions are kept away from workers because they have cost too many of them."""

    after_kills: int = Field(default=2, ge=1)
    """Workers that a question may cost."""
    max_entries: int = Field(default=10_000, ge=0)
    """Most questions whose dead workers are counted; 0: no quarantine."""
    ttl_s: float = Field(default=3600.0, gt=0)
    """How long a question is kept away, from the last worker that it cost."""


class AuditConfig(Model):
    """A second verifier that judges a share of what a first one has judged."""

    verifier: str
    """Who audits: a verifier or a route of this server."""
    of: str | None = None
    """Whose items; none: those of the first verifier."""
    share: float = Field(default=0.01, gt=0, le=1)
    """Share of the items, chosen by a hash of what is judged."""


class RewardServerConfig(ServerConfig):
    """A reward server."""

    listen: str = DEFAULT_REWARD_LISTEN
    """HOST:PORT; port 0: a free one. Beyond loopback it needs `tls` or `insecure`."""
    verifiers: dict[str, VerifierConfig] = {
        "math": MathVerifierConfig(),
        "numeric": NumericVerifierConfig(),
    }
    """Verifiers by name; items that name none get the first."""
    routes: dict[str, RouteConfig] = {}
    """Verifiers that other reward servers offer, by the name under which they are offered here."""
    workers: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1)
    """Worker processes that take items; default: one a core."""
    slow_workers: int = Field(default=64, ge=0)
    """Items that may go on beside those when they take long, each in a process more."""
    program_slots: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1)
    """Programs of `code` verifiers that run at a time; default: one a core."""
    program_libraries: list[str] = ["numpy"]
    """Packages that are loaded before programs run; others they may not find."""
    sandbox: SandboxConfig = SandboxConfig()
    """How well model text and programs must be locked in."""
    item_deadline_s: float = Field(default=1.0, gt=0)
    """Longest time for one item; the worker is killed after it."""
    worker_memory_bytes: int = Field(default=512 << 20, ge=256 << 20)
    """Address space of a worker."""
    worker_max_items: int = Field(default=10_000, ge=1)
    """Items after which a worker is replaced by a fresh one."""
    cache: CacheConfig = CacheConfig()
    """What is remembered of verdicts that took a worker."""
    quarantine: QuarantineConfig = QuarantineConfig()
    """What happens to items that cost worker after worker."""
    audit: AuditConfig | None = None
    """The audit; none: no audit."""
    max_waiting_items: int = Field(default=50_000, ge=1)
    """Items that may wait before calls are turned away."""
    max_items: int = Field(default=10_000, ge=1, le=10_000)
    """Most items in one Score."""
    max_response_bytes: int = Field(default=1 << 20, ge=1)
    """Longest response, in bytes of UTF-8; longer ones are RESOURCE_EXHAUSTED."""
    max_references: int = Field(default=100, ge=1)
    """Most references of one item; more are INVALID_REFERENCE."""
    max_references_bytes: int = Field(default=1 << 20, ge=1)
    """Longest references of one item together, in bytes of UTF-8; `code` has a limit of its own."""
    http: HttpConfig | None = None
    """JSON over HTTP on a port of its own, for other trainers; none: gRPC only."""

    @model_validator(mode="after")
    def _names_are_distinct(self) -> RewardServerConfig:
        for name, route in self.routes.items():
            if route.target is None:
                raise ValueError(
                    f"routes.{name}.target is required: where is the verifier offered?"
                )
        shared = sorted(self.verifiers.keys() & self.routes.keys())
        if shared:
            raise ValueError(f"{shared[0]!r} is named in `verifiers` and in `routes`: drop one")
        if not self.verifiers and not self.routes:
            raise ValueError("no verifier is configured: name one under `verifiers` or `routes`")
        if self.http and self.http.verifier not in {"", *self.verifiers, *self.routes}:
            raise ValueError(
                f"http.verifier {self.http.verifier!r} is neither in `verifiers` nor in `routes`"
            )
        return self

    @model_validator(mode="after")
    def _audit_names_two_verifiers(self) -> RewardServerConfig:
        if self.audit is None:
            return self
        names = [*self.verifiers, *self.routes]
        audited = self.audit.of or names[0]
        for field, name in (("verifier", self.audit.verifier), ("of", audited)):
            if name not in names:
                raise ValueError(
                    f"audit.{field}: {name!r} is no verifier here (there are {', '.join(names)})"
                )
        if audited == self.audit.verifier:
            raise ValueError(f"audit.verifier: {audited!r} cannot audit itself: name another one")
        return self
