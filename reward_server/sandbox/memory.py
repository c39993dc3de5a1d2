"""How much memory this process has had."""

from __future__ import annotations

import os
import resource
import sys

_STATUS_BYTES = 8192


class MemoryWatch:
    """Tells the peak, also when the jacket has closed the file system."""

    def __init__(self, proc_fd: int | None = None) -> None:
        """Made in the process that it is about, before the jacket is on.

        `proc_fd`: the folder /proc, where it may be out of sight.
        """
        try:
            name = "/proc/self/status" if proc_fd is None else "self/status"
            self.fd: int | None = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc_fd)
        except OSError:
            self.fd = None

    def peak_bytes(self) -> int:
        """The most address space that this process has had; where that is not told, memory."""
        try:
            if self.fd is not None:
                status = os.pread(self.fd, _STATUS_BYTES, 0)
                return int(status.split(b"VmPeak:")[1].split()[0]) * 1024
        except (OSError, IndexError):
            pass
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
