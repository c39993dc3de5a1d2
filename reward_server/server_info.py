"""What a reward server tells about itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reward_server.sandbox.levels import Level


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A verifier that can be named."""

    name: str
    """What `ScoreItem.verifier` names."""
    type: str
    """The kind; "route" for one on another server."""
    version: str
    """Changes whenever its verdicts may."""
    item_timeout_s: float
    """Time limit of an item."""
    options: Mapping[str, Any]
    """The options in force."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerInfo:
    """The contract's `GetInfoResponse`."""

    server: str
    """Name and version."""
    offers: Sequence[Offer]
    """The first one is used where an item names none."""
    sandbox_level: Level
    """How well model text is locked in."""
    sandbox_lacks: Sequence[str]
    """What the system lacks for a higher level, one line each."""
    max_items: int
    """Most items in one call."""
    max_response_bytes: int
    """Longest response."""
    max_message_bytes: int
    """Largest message."""
    worker_count: int
    """Worker processes."""
    running_count: int
    """Items that are being judged."""
    waiting_count: int
    """Items that wait."""
    max_waiting_count: int
    """Most items that may wait."""
