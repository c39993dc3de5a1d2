"""Tells whether an item is to blame for the workers that died under it.

A crash is the item's own doing. SIGKILL is not, unless the kernel killed for want of memory: an
operator may kill workers, and whatever kills many of them at random kills some item's worker twice.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

from reward_server.verifiers.base import Cause, Outcome, Verdict, failed

MAX_OWN_DEATHS = 2
"""Workers that an item may cost by its own doing before it is given up."""
MAX_DEATHS = 5
"""Workers that may die under an item whatever the reason."""
_VMSTAT = Path("/proc/vmstat")


def out_of_memory_kills() -> int | None:
    """Kills for want of memory since the system started; None: the kernel does not say."""
    try:
        text = _VMSTAT.read_text()
    except OSError:
        return None
    for line in text.splitlines():
        name, _, count = line.partition(" ")
        if name == "oom_kill":
            return int(count)
    return None


class Deaths:
    """The workers that died under one item."""

    def __init__(self, kernel_kills: Callable[[], int | None] = out_of_memory_kills) -> None:
        self.own_count = 0
        """Deaths that the item is to blame for."""
        self._kernel_kills = kernel_kills
        self._kernel_kills_before: int | None = None
        self._killed_count = 0

    def add(self, what: str, status: int | None) -> Verdict | None:
        """Takes in a death of that exit status; gives the verdict if nobody should try again."""
        if status != -signal.SIGKILL:
            self.own_count += 1
            if self.own_count < MAX_OWN_DEATHS:
                return None
            starved = status == -signal.SIGXCPU
            outcome = Outcome.RESOURCE_EXHAUSTED if starved else Outcome.VERIFIER_ERROR
            return failed(outcome, f"{what}, twice", cause=Cause.ITEM)
        self._killed_count += 1
        before, self._kernel_kills_before = self._kernel_kills_before, self._kernel_kills()
        if before is not None and before != self._kernel_kills_before:
            self.own_count = MAX_OWN_DEATHS
            detail = "the system ran out of memory under it, twice"
            return failed(Outcome.RESOURCE_EXHAUSTED, detail, cause=Cause.ITEM)
        if self._killed_count < MAX_DEATHS:
            return None
        return failed(Outcome.UNAVAILABLE, f"{what} from outside, {self._killed_count} times")
