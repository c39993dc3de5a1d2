"""What a worker process takes away from itself before it reads any model text."""

from __future__ import annotations

import ctypes
import math
import os
import resource
import signal
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_MAX_OPEN_FILES = 32


def die_with_parent(parent_pid: int) -> None:
    """Has the kernel kill this process when its parent ends, however that ends (Linux only)."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # The parent may have ended before the kernel was told.
    if os.getppid() != parent_pid:
        os._exit(1)


def limit_resources(memory_bytes: int) -> bool:
    """Limits memory, files and processes; True if every limit is in force.

    Only an unprivileged user is held by the limit on processes, so it is tried out.
    """
    wanted = (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, _MAX_OPEN_FILES),
        (resource.RLIMIT_NPROC, 0),
    )
    in_force = True
    for kind, value in wanted:
        try:
            resource.setrlimit(kind, (value, value))
        except (OSError, ValueError):
            in_force = False
    return in_force and not _can_fork()


def limit_cpu(seconds: float) -> None:
    """Ends this process by SIGXCPU after that much more processor time."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used_s = usage.ru_utime + usage.ru_stime
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    # Whole seconds, and the deadline itself is enforced from outside: this is the second net.
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used_s + seconds) + 1, hard))


def peak_memory_bytes() -> int:
    """The most address space that this process has had; where that is not told, memory."""
    try:
        status = Path("/proc/self/status").read_bytes()
        return int(status.split(b"VmPeak:")[1].split()[0]) * 1024
    except (OSError, IndexError):
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _can_fork() -> bool:
    try:
        pid = os.fork()
    except OSError:
        return False
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return True
