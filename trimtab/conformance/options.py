"""What is checked, and how hard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from trimtab.client.channel import Tls
from trimtab.conformance.cases import Case


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How much is sent where amount matters."""

    hurried_items: int = 10_000
    """Items of the call whose deadline is short."""
    hurried_s: float = 1.0
    """That deadline."""
    parallel_calls: int = 48
    """Calls at once that must not be mixed up."""
    cancelled_items: int = 5_000
    """Items of the call that is cancelled."""
    rise_s: float = 3.0
    """How long to wait until GetInfo tells of its work."""
    flood_calls: int = 64
    """Calls at once that are to overload the server."""
    flood_items: int = 1_000
    """Items in each of them."""
    flood_s: float = 10.0
    """Their deadline."""


QUICK = replace(Scale(), hurried_items=2_000, hurried_s=0.5, cancelled_items=1_000)
"""The scale of `--quick`, which leaves the heavy checks out besides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Who is checked, and how."""

    target: str
    """A gRPC target."""
    tls: Tls | None = None
    """TLS files; None: plaintext."""
    verifier: str = ""
    """The verifier that items name; empty: the server's first."""
    timeout_s: float = 30.0
    """Deadline of every call that needs no other."""
    is_quick: bool = False
    """Leaves the heavy checks out."""
    only: Sequence[str] = ()
    """Names of checks, `*` for any letters; empty: all."""
    skip: Sequence[str] = ()
    """Names of checks that are left out."""
    cases: Sequence[Case] = ()
    """Known answers."""
    scale: Scale = field(default_factory=Scale)
    """How much is sent."""
