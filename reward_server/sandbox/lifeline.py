"""Ties a process to the one that started it."""

from __future__ import annotations

import os
import signal
import sys

from reward_server.sandbox import kernel


class Lifeline:
    """Held by a parent; its children end when it does."""

    def __init__(self) -> None:
        """Made in the parent."""
        self._pid = os.getpid()

    def attach(self) -> None:
        """Has the kernel kill this process, a child, when the parent ends, however that ends.

        The kernel forgets it when the process changes its user. Linux only.
        """
        if sys.platform == "linux":
            kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
        # The parent may have ended before the kernel was told.
        if os.getppid() != self._pid:
            os._exit(1)
