"""The kernel's limits on what one process may use."""

from __future__ import annotations

import os
import resource
from typing import Protocol

_STACK_BYTES = 64 << 20


class Bounds(Protocol):
    """What is limited; see `Jacket`."""

    @property
    def memory_bytes(self) -> int:
        """Address space."""
        ...

    @property
    def file_bytes(self) -> int:
        """Largest file."""
        ...

    @property
    def open_files(self) -> int:
        """Most open descriptors."""
        ...

    @property
    def threads(self) -> int:
        """Threads beside the main one."""
        ...


def limit_resources(bounds: Bounds) -> bool:
    """Limits memory, files and processes; True if every limit is in force.

    Only an unprivileged user is held by the limit on processes, so it is tried out.
    """
    wanted = (
        (resource.RLIMIT_AS, bounds.memory_bytes),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, bounds.file_bytes),
        (resource.RLIMIT_NOFILE, bounds.open_files),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_STACK, _STACK_BYTES),
    )
    in_force = True
    for kind, value in wanted:
        try:
            resource.setrlimit(kind, (value, value))
        except (OSError, ValueError):
            in_force = False
    return in_force and not _can_fork()


def _can_fork() -> bool:
    try:
        pid = os.fork()
    except OSError:
        return False
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return True
