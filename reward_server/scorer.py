"""Scores batches: checks the request, shares repeats, and answers before the call's deadline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from reward_server.batches import Batch, RecentBatches
from reward_server.judging import Judge
from reward_server.pools import Pools
from reward_server.results import Result, Work
from reward_server.verifiers.base import Item
from trimtab.errors import Overloaded, Reason, ServiceError

MIN_MARGIN_S = 0.02
"""Least time between the answer and the call's deadline."""
MARGIN_SHARE = 0.05
"""The same as a share of the call's time; the larger one counts."""
_MARGIN_PER_ITEM_S = 40e-6  # to write the results
_MOST_WRITING_SHARE = 0.5
_TURN_S = 0.005  # how long one call may hold the event loop
_Add = Callable[[int, Work], None]


def answer_within_s(remaining_s: float, item_count: int) -> float:
    """How long a call may work so that its answer still arrives in time.

    `item_count`: the items of all calls that may have to be answered at the same moment.
    """
    margin_s = max(MIN_MARGIN_S, MARGIN_SHARE * remaining_s)
    writing_s = min(item_count * _MARGIN_PER_ITEM_S, _MOST_WRITING_SHARE * remaining_s)
    return max(0.0, remaining_s - margin_s - writing_s)


def check_item(item: Item, path: str) -> None:
    """Refuses an item without an id, or without time.

    Raises:
        ServiceError: INVALID_FIELD that names the field below `path`.
    """
    if not item.id:
        raise ServiceError(
            Reason.INVALID_FIELD, "every item needs an id of its own", field=f"{path}.id"
        )
    if item.timeout_s is not None and item.timeout_s <= 0:
        raise ServiceError(
            Reason.INVALID_FIELD,
            f"a timeout of {item.timeout_s:g} s leaves no time: give more, or none",
            field=f"{path}.timeout",
        )


def duplicate_id(item: Item, path: str) -> ServiceError:
    """The error of an id that came before."""
    return ServiceError(
        Reason.DUPLICATE_ID, f"id {item.id[:100]!r} is used twice", field=f"{path}.id"
    )


class Scorer:
    """Scores whole requests."""

    def __init__(
        self,
        judge: Judge,
        pool: Pools,
        *,
        max_items: int,
        max_waiting_items: int,
        on_results: Callable[[Sequence[Item], Sequence[Result]], None],
    ) -> None:
        """A call of more than `max_items`, or onto a full queue, is refused.

        `on_results` is told of each group of items and their results just before they are given.
        """
        self.on_results = on_results
        self._judge = judge
        self._pool = pool
        self._max_items = max_items
        self._max_waiting_items = max_waiting_items
        self._recent = RecentBatches()
        self._open_item_count = 0
        self._turn = asyncio.Lock()
        self.draining = asyncio.Event()
        """Set when the server stops taking work."""

    async def score(
        self, items: Sequence[Item], *, request_id: str, fingerprint: bytes, remaining_s: float
    ) -> list[Result]:
        """One result per item in order, in less than `remaining_s` seconds.

        Raises:
            ServiceError: TOO_MANY_ITEMS, INVALID_FIELD, DUPLICATE_ID, SHUTTING_DOWN.
            Overloaded: the queue is full.
        """
        began_s = time.monotonic()
        self.check_open()
        self._check(items)
        batch = self._recent.join(request_id, fingerprint, items)
        self._open_item_count += len(items)
        deadline_s = began_s + answer_within_s(remaining_s, self._open_item_count)
        try:
            if batch.task is None and batch.missing():
                batch.task = asyncio.create_task(self._compute(batch, deadline_s))
            if (task := batch.task) is not None:
                # A repeat may have a later deadline than the call that began the work.
                await asyncio.wait({task}, timeout=deadline_s - time.monotonic())
                if task.done():
                    batch.task = None
                    task.result()
            results = batch.snapshot()
            self.on_results(items, results)
            return results
        finally:
            self._open_item_count -= len(items)
            self._recent.leave(batch)

    def check_open(self) -> None:
        """Refuses work that the server has no room or no time left for.

        Raises:
            ServiceError: SHUTTING_DOWN.
            Overloaded: the queue is full.
        """
        if self.draining.is_set():
            raise ServiceError(
                Reason.SHUTTING_DOWN, "the server is shutting down: call another one"
            )
        if self._pool.waiting_count >= self._max_waiting_items:
            raise self._overloaded(0)

    def _check(self, items: Sequence[Item]) -> None:
        if len(items) > self._max_items:
            raise ServiceError(
                Reason.TOO_MANY_ITEMS,
                f"{len(items)} items in one call; at most {self._max_items}: split them",
                field="items",
            )
        seen: set[str] = set()
        for index, item in enumerate(items):
            check_item(item, f"items[{index}]")
            if item.id in seen:
                raise duplicate_id(item, f"items[{index}]")
            seen.add(item.id)

    async def _compute(self, batch: Batch, deadline_s: float) -> None:
        """Fills in the results that the batch misses, each when it is known."""
        works: dict[int, Work] = {}
        batch.works = works
        finished = asyncio.Event()

        def take(index: int, work: Work, future: asyncio.Future[Any]) -> None:
            works.pop(index, None)
            if not future.cancelled():
                batch.results[index] = work.result()
            if not works:
                finished.set()

        def add(index: int, work: Work) -> None:
            works[index] = work
            work.future.add_done_callback(partial(take, index, work))

        try:
            await self._begin(batch, add, deadline_s)
            while works:
                finished.clear()
                await finished.wait()
        finally:
            for work in works.values():
                work.cancel()
            works.clear()

    async def _begin(self, batch: Batch, add: _Add, deadline_s: float) -> None:
        """Begins the items that have no result; `add` gets the work that this takes."""
        routed: dict[str, list[int]] = {}
        indices = iter(batch.missing())
        # A small call is begun in its first turn; large ones then take turns with each other, one
        # at a time, so that the event loop is never long away from what else there is to do.
        is_begun = self._begin_some(batch, add, indices, routed)
        while not is_begun:
            async with self._turn:
                await asyncio.sleep(0)
                is_begun = self._begin_some(batch, add, indices, routed)
        for route, places in routed.items():
            items = [batch.items[index] for index in places]
            forwarded = self._judge.forward(route, items, deadline_s - time.monotonic())
            for index, work in zip(places, forwarded, strict=True):
                add(index, work)

    def _begin_some(
        self,
        batch: Batch,
        add: _Add,
        indices: Iterator[int],
        routed: dict[str, list[int]],
    ) -> bool:
        """Begins items for one turn; True if there are no more."""
        turn_s = time.monotonic() + _TURN_S
        for index in indices:
            item = batch.items[index]
            if (route := self._judge.route_of(item)) is not None:
                routed.setdefault(route, []).append(index)
                continue
            begun = self._judge.begin(item)
            if isinstance(begun, Result):
                batch.results[index] = begun
            else:
                add(index, begun)
                if self._pool.waiting_count > self._max_waiting_items:
                    raise self._overloaded(len(batch.items))
            if time.monotonic() > turn_s:
                return False
        return True

    def _overloaded(self, item_count: int) -> Overloaded:
        limit = self._max_waiting_items
        # The workers' pace is unknown here; what is known is that they have this much to do.
        retry_after_s = min(30.0, max(0.1, 0.01 * limit / self._pool.worker_count))
        advice = f"; a call of {item_count} needs to be split" if item_count > limit else ""
        return Overloaded(
            f"{limit} items are waiting already: come again later{advice}",
            retry_after_s=retry_after_s,
        )
