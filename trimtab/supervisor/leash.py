"""Ties a program to its parent: `python leash.py PARENT_PID PROGRAM [ARGUMENT]...`.

Run by path, before anything else is imported, so that a child cannot outlive a parent that is
killed at any moment. Where the system has no such tie the program simply runs.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def _tie_to(parent_pid: int) -> None:
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # The parent may have died before the tie held; nobody would then tell this process.
    if os.getppid() != parent_pid:
        sys.exit(1)


if __name__ == "__main__":
    _tie_to(int(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606
