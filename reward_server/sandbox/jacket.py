"""What a forked process takes away from itself, once, before it reads any model text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from reward_server.sandbox.levels import Fit, Level
from reward_server.sandbox.rlimits import limit_resources


@dataclass(frozen=True, slots=True, kw_only=True)
class Jacket:
    """How tight it is."""

    memory_bytes: int
    """Address space."""
    writable_dir: Path | None = None
    """The only folder that can be written to; the zygote fills it in for a child that gets one."""
    file_bytes: int = 0
    """Largest file that can be written; 0: nothing can be written to files."""
    open_files: int = 32
    """Most open descriptors."""
    threads: int = 0
    """Threads beside the main one. Processes cannot be started in any case."""
    readable: tuple[Path, ...] = ()
    """Files and folders that can be read, besides the Python installation."""

    def to_settings(self) -> dict[str, Any]:
        """The jacket as JSON holds it."""
        plain = asdict(self)
        plain["writable_dir"] = None if self.writable_dir is None else str(self.writable_dir)
        plain["readable"] = [str(path) for path in self.readable]
        return plain

    @classmethod
    def from_settings(cls, plain: Mapping[str, Any]) -> Jacket:
        """The inverse of `to_settings`."""
        writable = plain["writable_dir"]
        return cls(
            **{
                **plain,
                "writable_dir": None if writable is None else Path(writable),
                "readable": tuple(Path(path) for path in plain["readable"]),
            }
        )


def put_on(jacket: Jacket) -> Fit:
    """Jackets this process, for good, and says how well that went.

    Whatever it raises must end the process: it may be half dressed.
    """
    if limit_resources(jacket):
        return Fit(Level.LIMITS)
    return Fit(Level.PROCESS)
