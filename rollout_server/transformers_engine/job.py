"""The samples of one call, seen by the event loop and by the thread that generates."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rollout_server.engine import Event, GenerateTask, ProgressCount, PromptTask
from trimtab.errors import ServiceError

if TYPE_CHECKING:
    from rollout_server.transformers_engine.model import Prefilled


class Job:
    """A task under way; `Generation` for the service.

    The event loop owns the queue and `cancelled`; the thread that generates owns the counts.
    """

    def __init__(self, task: GenerateTask, on_end: Callable[[Job], None]) -> None:
        """`on_end` is called once, in the event loop, when the job needs the engine no more."""
        self.task = task
        self.arrived_s = time.monotonic()
        self.total_count = task.sample_count
        self.waiting_count = self.total_count
        self.finished_count = 0
        self.generated_token_count = 0
        self.cancelled = False
        self._queue: asyncio.Queue[Event | ServiceError] = asyncio.Queue()
        self._on_end: Callable[[Job], None] | None = on_end

    def deliver(self, event: Event | ServiceError) -> None:
        """Hands over what is known now; an error ends the job. Called in the event loop."""
        self._queue.put_nowait(event)

    async def events(self) -> AsyncIterator[Event]:
        """Each event as it comes; ends after the last sample."""
        left = self.total_count
        while left:
            event = await self._queue.get()
            if isinstance(event, ServiceError):
                raise event
            left -= not isinstance(event, ProgressCount)
            yield event

    def cancel(self) -> None:
        """Gives up what has not finished. Called in the event loop; fine after the end."""
        self.cancelled = True
        if self._on_end is not None:
            on_end, self._on_end = self._on_end, None
            on_end(self)


@dataclass(slots=True)
class PromptGroup:
    """The samples of one prompt that have not begun."""

    job: Job
    prompt: PromptTask
    next_sample: int = 0
    """How many have begun."""
    prefilled: Prefilled | None = field(default=None)
    """Kept while the prompt's samples wait for free rows; dropped when the weights change."""

    @property
    def waiting_count(self) -> int:
        """Samples that have not begun."""
        return len(self.prompt.sample_indices) - self.next_sample
