"""Judges rows in batches, a bounded number at once, in order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from trimtab.scoring.rows import Row
from trimtab.scoring.verdicts import Audit, Verdict

BATCH_CHARACTERS = 2 << 20
"""Keeps a batch far below the 16 MiB of a message: a character takes at most 4 bytes."""
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


async def judged(
    rows: Iterable[Row], judge: Judge, *, batch: int, in_flight: int
) -> AsyncGenerator[Judged, None]:
    """The batches in the order of the rows; no more is read than may be under way or wait.

    A batch has at most `batch` rows; `in_flight` of them are judged at once.

    Raises:
        TrimtabError: whatever the rows or the judge raise; nothing goes on then.
    """
    waiting: deque[asyncio.Task[Judged]] = deque()
    try:
        for batch_rows in batches(rows, batch):
            waiting.append(asyncio.create_task(judge.judge(batch_rows)))
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


def batches(rows: Iterable[Row], most_rows: int) -> Iterator[list[Row]]:
    """The rows in batches that fit a message, unless a single row does not."""
    batch: list[Row] = []
    size = 0
    for row in rows:
        row_size = row.size
        if batch and (len(batch) >= most_rows or size + row_size > BATCH_CHARACTERS):
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += row_size
    if batch:
        yield batch
