"""Remembers the batches of recent requests, so that a repeat shares one computation."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from reward_server.results import Result, Work, cut_off
from reward_server.verifiers.base import Item, Outcome
from trimtab.errors import Reason, ServiceError

MAX_BATCHES = 1024
"""Most requests that are remembered."""
MAX_RESULTS = 100_000
"""Most results that are remembered, over all requests."""
MAX_AGE_S = 600.0
"""How long a request is remembered after its last use."""


@dataclass(slots=True, eq=False)
class Batch:
    """The items of one request, its results so far, and the task that fills them in."""

    fingerprint: bytes
    items: Sequence[Item]
    results: list[Result | None] = field(default_factory=list)
    works: dict[int, Work] = field(default_factory=dict)
    task: asyncio.Task[None] | None = None
    waiter_count: int = 0
    used_s: float = 0.0

    def missing(self) -> list[int]:
        """The items that have no result, or one that another try may better."""
        return [
            index
            for index, result in enumerate(self.results)
            if result is None or result.verdict.outcome is Outcome.UNAVAILABLE
        ]

    def snapshot(self) -> list[Result]:
        """A result for every item; what is unfinished was cut by the call's deadline."""
        return [
            result if result is not None else cut_off(self.works.get(index), self.items[index])
            for index, result in enumerate(self.results)
        ]


class RecentBatches:
    """The batches by request id, least recently used first."""

    def __init__(self) -> None:
        self._batches: OrderedDict[str, Batch] = OrderedDict()
        self._result_count = 0

    def join(self, request_id: str, fingerprint: bytes, items: Sequence[Item]) -> Batch:
        """The batch of the request, new or as far as an earlier call brought it.

        Raises:
            ServiceError: the id was used for other items (INVALID_FIELD).
        """
        batch = self._batches.get(request_id) if request_id else None
        if batch is None:
            batch = Batch(fingerprint, items, [None] * len(items))
            if request_id:
                self._batches[request_id] = batch
                self._result_count += len(items)
        elif batch.fingerprint != fingerprint:
            raise ServiceError(
                Reason.INVALID_FIELD,
                f"request id {request_id[:100]!r} was used for other items: give each its own",
                field="request_id",
            )
        else:
            self._batches.move_to_end(request_id)
        batch.items = items
        batch.waiter_count += 1
        self._forget()
        return batch

    def leave(self, batch: Batch) -> None:
        """One call less that waits; the last one takes unfinished work along."""
        batch.waiter_count -= 1
        batch.used_s = time.monotonic()
        if batch.waiter_count:
            return
        if batch.task is not None:
            batch.task.cancel()
            batch.task = None
        # A repeat brings the texts again; only the results are worth keeping.
        batch.items = ()

    def _forget(self) -> None:
        oldest_s = time.monotonic() - MAX_AGE_S
        for request_id, batch in list(self._batches.items()):
            full = len(self._batches) > MAX_BATCHES or self._result_count > MAX_RESULTS
            if not full and batch.used_s > oldest_s:
                break
            if batch.waiter_count == 0:
                del self._batches[request_id]
                self._result_count -= len(batch.results)
            elif not full:
                break
