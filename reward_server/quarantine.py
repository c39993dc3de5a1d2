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

    def __len__(self) -> int:
        """How many questions are held; may be asked by any thread."""
        return sum(map(self._is_held, list(self._records.values())))

    def kills(self, key: bytes) -> int:
        """How many workers the question has cost if it is held; else 0."""
        record = self._records.get(key)
        return record.kill_count if record is not None and self._is_held(record) else 0

    def add(self, key: bytes, kill_count: int) -> None:
        """Takes in that the question has cost that many workers more."""
        self._forget()
        before = self._records.pop(key, None)
        kills_before = before.kill_count if before is not None else 0
        record = self._records[key] = _Record(kills_before + kill_count, self._clock())
        if kills_before < self._after_kills <= record.kill_count:
            _log.warning("question quarantined", digest=key.hex()[:16], kills=record.kill_count)
        if len(self._records) > self._max_entries:
            self._records.popitem(last=False)

    def _forget(self) -> None:
        while self._records and self._is_over(next(iter(self._records.values()))):
            self._records.popitem(last=False)

    def _is_held(self, record: _Record) -> bool:
        return record.kill_count >= self._after_kills and not self._is_over(record)

    def _is_over(self, record: _Record) -> bool:
        return self._clock() - record.last_s > self.ttl_s
