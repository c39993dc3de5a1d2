"""The limit that a child sets itself for each item."""

from __future__ import annotations

import math
import resource


def limit_cpu(seconds: float) -> None:
    """Ends this process by SIGXCPU after that much more processor time."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used_s = usage.ru_utime + usage.ru_stime
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    # Whole seconds, and the deadline itself is enforced from outside: this is the second net.
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used_s + seconds) + 1, hard))
