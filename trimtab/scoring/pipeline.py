"""Judges rows in batches, a bounded number at once, in order."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from trimtab.scoring.rows import Row
from trimtab.scoring.verdicts import Audit, Verdict

BATCH_CHARACTERS = 2 << 20
"""Keeps a batch far below the 16 MiB of a message: a character takes at most 4 bytes."""
_FIRST_ROWS = 32
_QUICK_S = 0.5
_SLOW_S = 2.0
_AHEAD = 4  # batches that are done may wait for a slow one before them: this many a slot


@dataclass(frozen=True, slots=True)
class Judged:
    """A batch of rows and what became of them."""

    rows: Sequence[Row]
    """The batch."""
    verdicts: Sequence[Verdict]
    """One a row."""
    audits: Sequence[Audit] | None = None
    """One a row; None if nobody audits."""


class Judge(Protocol):
    """Somebody who judges batches."""

    def judge(self, rows: Sequence[Row]) -> Coroutine[Any, Any, Judged]:
        """What became of each row."""
        ...


class Pace:
    """How many rows a batch gets: fewer where judging is slow, so that little is under way."""

    def __init__(self, most_rows: int) -> None:
        """Never more than `most_rows`."""
        self._most_rows = most_rows
        self.rows = min(most_rows, _FIRST_ROWS)
        """Rows of the next batch."""

    def note(self, rows: int, seconds: float) -> None:
        """A batch of `rows` took that long."""
        if seconds > _SLOW_S:
            self.rows = min(self.rows, max(1, rows // 2))
        elif seconds < _QUICK_S:
            self.rows = min(self._most_rows, max(self.rows, 2 * rows))


async def judged(
    rows: Iterable[Row], judge: Judge, *, batch: int, in_flight: int
) -> AsyncGenerator[Judged, None]:
    """The batches in the order of the rows; no more is read than may be under way or wait.

    A batch has at most `batch` rows; `in_flight` of them are judged at once.

    Raises:
        TrimtabError: whatever the rows or the judge raise; nothing goes on then.
    """
    pace = Pace(batch)

    async def work(batch_rows: Sequence[Row]) -> Judged:
        started_s = time.monotonic()
        found = await judge.judge(batch_rows)
        pace.note(len(batch_rows), time.monotonic() - started_s)
        return found

    waiting: deque[asyncio.Task[Judged]] = deque()
    try:
        for batch_rows in batches(rows, lambda: pace.rows):
            waiting.append(asyncio.create_task(work(batch_rows)))
            busy = [task for task in waiting if not task.done()]
            if len(busy) >= in_flight:
                await asyncio.wait(busy, return_when=asyncio.FIRST_COMPLETED)
            while waiting and (waiting[0].done() or len(waiting) >= in_flight * _AHEAD):
                yield await waiting.popleft()
        while waiting:
            yield await waiting.popleft()
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


def batches(rows: Iterable[Row], most_rows: Callable[[], int]) -> Iterator[list[Row]]:
    """The rows in batches that fit a message, unless a single row does not."""
    batch: list[Row] = []
    size = 0
    for row in rows:
        row_size = row.size
        if batch and (len(batch) >= most_rows() or size + row_size > BATCH_CHARACTERS):
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += row_size
    if batch:
        yield batch
