"""The kernel's limits on what one process may use."""

from __future__ import annotations

import resource

_STACK_BYTES = 64 << 20


def limit_resources(
    *, memory_bytes: int, file_bytes: int, open_files: int, processes: int | None
) -> list[str]:
    """Limits address space, files and processes of this process's user; gives what is refused.

    `processes`: of the user, this one included; None: no limit.
    """
    wanted = {
        "AS": memory_bytes,
        "CORE": 0,
        "FSIZE": file_bytes,
        "NOFILE": open_files,
        "STACK": _lower(resource.RLIMIT_STACK, _STACK_BYTES),
        "MSGQUEUE": 0,
        "MEMLOCK": 0,
    }
    if processes is not None:
        wanted["NPROC"] = processes
    refused = []
    for name, value in wanted.items():
        kind = getattr(resource, f"RLIMIT_{name}", None)
        if kind is None:  # not on this system
            continue
        try:
            resource.setrlimit(kind, (value, value))
        except (OSError, ValueError) as error:
            refused.append(f"RLIMIT_{name}: {error}")
    return refused


def _lower(kind: int, value: int) -> int:
    """The value, or the limit that holds already if that is lower."""
    _, hard = resource.getrlimit(kind)
    return value if hard == resource.RLIM_INFINITY else min(value, hard)
