"""Keeps questions that cost worker after worker away from the workers."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from trimtab.server.logs import get_logger

_log = get_logger("reward.quarantine")


@dataclass(slots=True)
class _Record:
    kill_count: int
    last_s: float


class Quarantine:
    """Counts the workers that each question has cost; the oldest count is forgotten first."""

    def __init__(
        self,
        *,
        after_kills: int,
        max_entries: int,
        ttl_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Holds a question from its `after_kills`th worker on until `ttl_s` after the last one.

        `max_entries` bounds what is counted; with 0 nothing is.
        """
        self.ttl_s = ttl_s
        """How long a question is held, in seconds."""
        self._after_kills = after_kills
        self._max_entries = max_entries
        self._clock = clock
        self._records: OrderedDict[bytes, _Record] = OrderedDict()
        self._held_count = 0

    def __len__(self) -> int:
        """How many questions are held."""
        self._forget()
        return self._held_count

    def kills(self, key: bytes) -> int:
        """How many workers the question has cost if it is held; else 0."""
        record = self._records.get(key)
        if record is None or record.kill_count < self._after_kills or self._is_over(record):
            return 0
        return record.kill_count

    def add(self, key: bytes, kill_count: int) -> None:
        """Takes in that the question has cost that many workers more."""
        self._forget()
        before = self._records.pop(key, None)
        kills_before = before.kill_count if before is not None else 0
        record = self._records[key] = _Record(kills_before + kill_count, self._clock())
        if kills_before < self._after_kills <= record.kill_count:
            self._held_count += 1
            _log.warning("question quarantined", digest=key.hex()[:16], kills=record.kill_count)
        if len(self._records) > self._max_entries:
            self._drop_oldest()

    def _forget(self) -> None:
        while self._records and self._is_over(next(iter(self._records.values()))):
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        _, record = self._records.popitem(last=False)
        self._held_count -= record.kill_count >= self._after_kills

    def _is_over(self, record: _Record) -> bool:
        return self._clock() - record.last_s > self.ttl_s
