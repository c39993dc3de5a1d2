"""What callers ask of a run while its driver works."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


class RunControl:
    """Requests that a driver meets between two steps."""

    def __init__(self) -> None:
        """Nothing is asked yet."""
        self.stopping = False
        self._checkpoints: list[asyncio.Future[str]] = []

    def stop(self) -> None:
        """Asks the driver to end after the step in progress."""
        self.stopping = True

    def request_checkpoint(self) -> asyncio.Future[str]:
        """Asks for a checkpoint; the future gives its folder."""
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._checkpoints.append(future)
        return future

    async def answer_checkpoint_requests(self, save: Callable[[], Awaitable[str]]) -> None:
        """Saves once for all who ask."""
        waiting, self._checkpoints = self._checkpoints, []
        if waiting:
            path = await save()
            for future in waiting:
                if not future.done():
                    future.set_result(path)

    def abandon(self) -> None:
        """Tells those who still wait that the run has ended."""
        for future in self._checkpoints:
            future.cancel()
        self._checkpoints.clear()
