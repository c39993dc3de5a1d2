"""Runs asynchronous commands so that signals end them in order."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any

from trimtab.cli.console import say

Handler = Callable[[], None]


class Signals:
    """What SIGINT and SIGTERM do to a command.

    The first one cancels it, so that its `async with` blocks clean up; or, while `on_first` is
    set, calls that. The second one calls `on_second`, which kills, and cancels it.
    """

    def __init__(self, task: asyncio.Task[int]) -> None:
        """`task` is the command."""
        self._task = task
        self.received: list[int] = []
        """Signals that came, in order."""
        self.on_first: Handler | None = None
        """Called at the first signal in place of cancelling."""
        self.on_second: Handler | None = None
        """Called at the second signal."""

    def handle(self, number: int) -> None:
        """Acts on a signal."""
        self.received.append(number)
        if len(self.received) == 1:
            if self.on_first is not None:
                self.on_first()
            else:
                self._task.cancel()
        elif len(self.received) == 2:
            say("ending at once")
            if self.on_second is not None:
                self.on_second()
            if self.on_first is not None:
                self._task.cancel()


def run(command: Callable[[Signals], Coroutine[Any, Any, int]]) -> int:
    """Runs the command; gives its exit status, or 128 + the signal that cancelled it."""
    return asyncio.run(_run(command))


async def _run(command: Callable[[Signals], Coroutine[Any, Any, int]]) -> int:
    ready: asyncio.Future[Signals] = asyncio.get_running_loop().create_future()

    async def body() -> int:
        return await command(await ready)

    task = asyncio.create_task(body())
    signals = Signals(task)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, signals.handle, number)
    ready.set_result(signals)
    try:
        return await task
    except asyncio.CancelledError:
        if not signals.received:
            raise
        return 128 + signals.received[0]
