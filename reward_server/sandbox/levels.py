"""How well a process is locked in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum


class Level(IntEnum):
    """The contract's `SandboxLevel`, name by name; a higher one includes the lower ones."""

    NONE = 1
    """Verifiers run in the server's own process."""
    PROCESS = 2
    """Worker processes that are killed at the deadline."""
    LIMITS = 3
    """Limits on memory, processor time, files and processes."""
    JACKET = 4
    """No file system, network or signals."""
    ISOLATED = 5
    """Namespaces and a cgroup of their own."""


@dataclass(frozen=True, slots=True)
class Fit:
    """How well a jacket sits."""

    level: Level
    """The level that is reached."""
    lacks: tuple[str, ...] = ()
    """What is missing for the next ones, one line each."""


def lowest(fits: Iterable[Fit]) -> Fit:
    """What holds for all of them: the lowest level, and whatever any of them lacks."""
    each = list(fits)
    lacks = dict.fromkeys(line for fit in each for line in fit.lacks)
    return Fit(min((fit.level for fit in each), default=Level.NONE), tuple(lacks))
