"""Which waiting samples begin next."""

from __future__ import annotations

import heapq
from collections.abc import Callable

from rollout_server.transformers_engine.job import Job, PromptGroup

_Key = tuple[int, int, int, int]


class Scheduler:
    """A queue of prompts: higher priority first, then earlier calls.

    Within a call prompts go by length, so that neighbours in a batch are similarly long.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[_Key, PromptGroup]] = []
        self._job_count = 0
        self.waiting_count = 0
        """Samples that have not begun."""

    def __bool__(self) -> bool:
        return bool(self._heap)

    def add(self, job: Job) -> None:
        """Queues the job's prompts."""
        self._job_count += 1
        self.waiting_count += job.waiting_count
        for index, prompt in enumerate(job.task.prompts):
            key = (-job.task.priority, self._job_count, len(prompt.token_ids), index)
            heapq.heappush(self._heap, (key, PromptGroup(job, prompt)))

    def drop_cancelled(self) -> None:
        """Forgets the prompts of cancelled jobs."""
        if any(group.job.cancelled for _, group in self._heap):
            self._heap = [entry for entry in self._heap if not entry[1].job.cancelled]
            heapq.heapify(self._heap)
            self.waiting_count = sum(group.waiting_count for _, group in self._heap)

    def forget_prefilled(self) -> None:
        """Drops what old weights have computed."""
        for _, group in self._heap:
            group.prefilled = None

    def take(
        self, free_rows: int, fits: Callable[[PromptGroup, int], int]
    ) -> list[tuple[PromptGroup, int]]:
        """The prompts that begin now, and how many samples of each.

        `fits(group, rows)` tells how many samples of a group fit into memory beside `rows` that
        were taken before. A prompt with samples left over stays at the head of the queue.
        """
        taken: list[tuple[PromptGroup, int]] = []
        rows = 0
        while self._heap and rows < free_rows:
            _, group = self._heap[0]
            begins = min(group.waiting_count, free_rows - rows, fits(group, rows))
            if begins <= 0:
                break
            taken.append((group, begins))
            rows += begins
            self.waiting_count -= begins
            if begins < group.waiting_count:
                break
            heapq.heappop(self._heap)
        return taken
