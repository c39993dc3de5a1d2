"""Scores a stream of items: results go out as they become known, a bounded number is open."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence

from reward_server.judging import Judge
from reward_server.results import Result, Work, cut_off
from reward_server.scorer import Scorer, answer_within_s, check_item, duplicate_id
from reward_server.verifiers.base import Item
from trimtab.errors import Reason, ServiceError

MAX_OPEN_ITEMS = 256
"""Items of one stream that may be unanswered; no more are read until some are."""
_MAX_RESULTS_PER_MESSAGE = 256


class StreamSession:
    """One stream."""

    def __init__(self, scorer: Scorer, judge: Judge) -> None:
        self._scorer = scorer
        self._judge = judge
        self._seen: set[str] = set()
        self._open: dict[str, tuple[Item, Work | None]] = {}
        self._answered: asyncio.Queue[Result] = asyncio.Queue()
        self._room = asyncio.Event()
        self._room.set()

    async def run(
        self, requests: AsyncIterator[Sequence[Item]], *, remaining_s: float
    ) -> AsyncIterator[list[Result]]:
        """The results in groups, in any order; every item that was read is answered.

        Raises:
            ServiceError: DUPLICATE_ID, INVALID_FIELD, or, with what was read answered first,
                SHUTTING_DOWN and DEADLINE_EXCEEDED where the caller had not finished.
            Overloaded: the queue was full at the beginning.
        """
        self._scorer.check_open()
        deadline_s = time.monotonic() + answer_within_s(remaining_s, MAX_OPEN_ITEMS)
        reading = asyncio.create_task(self._read(requests, deadline_s))
        draining = asyncio.create_task(self._scorer.draining.wait())
        try:
            while not reading.done() and not draining.done() and time.monotonic() < deadline_s:
                if results := await self._next({reading, draining}, deadline_s):
                    yield results
            finished = reading.done()
            if finished:
                reading.result()
            reading.cancel()
            while self._open and time.monotonic() < deadline_s:
                if results := await self._next(set(), deadline_s):
                    yield results
            self._cut_off()
            while results := self._take():
                yield results
            if not finished:
                raise _unfinished(draining=draining.done())
        finally:
            reading.cancel()
            draining.cancel()
            for _, work in self._open.values():
                if work is not None:
                    work.cancel()

    async def _read(self, requests: AsyncIterator[Sequence[Item]], deadline_s: float) -> None:
        count = 0
        async for items in requests:
            for index, item in enumerate(items):
                path = f"items[{index}]"
                check_item(item, path)
                if item.id in self._seen:
                    raise duplicate_id(item, path)
                self._seen.add(item.id)
                await self._room.wait()
                self._begin(item, deadline_s)
                count += 1
                if count % 16 == 0:
                    await asyncio.sleep(0)

    def _begin(self, item: Item, deadline_s: float) -> None:
        route = self._judge.route_of(item)
        if route is None:
            begun = self._judge.begin(item, prompt=True)
        else:
            [begun] = self._judge.forward(route, [item], deadline_s - time.monotonic())
        if isinstance(begun, Result):
            self._open[item.id] = (item, None)
            self._answered.put_nowait(begun)
        else:
            work = begun
            self._open[item.id] = (item, work)
            work.future.add_done_callback(
                lambda done: None if done.cancelled() else self._answered.put_nowait(work.result())
            )
        if len(self._open) >= MAX_OPEN_ITEMS:
            self._room.clear()

    async def _next(
        self, others: set[asyncio.Task[None] | asyncio.Task[bool]], deadline_s: float
    ) -> list[Result]:
        """The results that are known; waits for the first, for one of `others`, or the deadline."""
        if results := self._take():
            return results
        waiting = asyncio.create_task(self._answered.get())
        try:
            await asyncio.wait(
                {waiting, *others},
                timeout=deadline_s - time.monotonic(),
                return_when=asyncio.FIRST_COMPLETED,
            )
            first = [waiting.result()] if waiting.done() else []
        finally:
            waiting.cancel()
        return self._settled(first) + self._take()

    def _take(self) -> list[Result]:
        results: list[Result] = []
        while len(results) < _MAX_RESULTS_PER_MESSAGE and not self._answered.empty():
            results.append(self._answered.get_nowait())
        return self._settled(results)

    def _settled(self, results: list[Result]) -> list[Result]:
        items: list[Item] = []
        settled: list[Result] = []
        for result in results:
            # At the deadline an item's result may come right after the one that says it was cut.
            if (known := self._open.pop(result.id, None)) is not None:
                items.append(known[0])
                settled.append(result)
        if items:
            self._scorer.on_results(items, settled)
        if len(self._open) < MAX_OPEN_ITEMS:
            self._room.set()
        return settled

    def _cut_off(self) -> None:
        for item, work in list(self._open.values()):
            if work is not None:
                is_known = work.future.done() and not work.future.cancelled()
                self._answered.put_nowait(work.result() if is_known else cut_off(work, item))
                work.cancel()


def _unfinished(*, draining: bool) -> ServiceError:
    if draining:
        return ServiceError(
            Reason.SHUTTING_DOWN, "the server is shutting down: send the rest to another one"
        )
    return ServiceError(
        Reason.DEADLINE_EXCEEDED, "the stream's deadline came before its last item: give it more"
    )
