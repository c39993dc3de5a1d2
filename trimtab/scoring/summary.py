"""What a file of verdicts says as a whole, and which of its rows deserve a look."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from trimtab.scoring.verdicts import AUDITED_SCHEMA, REWARDED_NAMES

_BATCH_ROWS = 8192
_COLUMNS = (
    "row", "outcome", "reward", "extracted_answer", "detail", "elapsed_s", "cached", "confidence",
    "audit_outcome", "disagrees",
)  # fmt: skip


@dataclass(slots=True)
class Ranked:
    """The rows with the highest values, in bounded memory."""

    most: int
    """How many are kept."""
    _heap: list[tuple[float, int, Mapping[str, Any]]] = field(default_factory=list)

    def offer(self, value: float, row: Mapping[str, Any]) -> None:
        """Keeps the row if its value is among the highest; the earlier one of equals stays."""
        entry = (value, -row["row"], row)
        if len(self._heap) < self.most:
            heapq.heappush(self._heap, entry)
        elif self._heap and entry[:2] > self._heap[0][:2]:
            heapq.heapreplace(self._heap, entry)

    def rows(self) -> list[Mapping[str, Any]]:
        """The rows that were kept, the highest value first."""
        return [row for *_, row in sorted(self._heap, key=lambda entry: entry[:2], reverse=True)]


@dataclass(slots=True)
class Summary:
    """Counts over all rows, and the rows that stand out."""

    shown: int
    """How many rows stand out in each way."""
    outcomes: Counter[str] = field(default_factory=Counter)
    """Rows by outcome."""
    reward_count: int = 0
    """Rows with a reward."""
    reward_sum: float = 0.0
    """The sum of their rewards."""
    cached_count: int = 0
    """Rows whose verdict the server had found before."""
    audited_count: int = 0
    """Rows that the audit was asked about."""
    compared_count: int = 0
    """Those of them in which both gave a reward."""
    disagreement_count: int = 0
    """Those of them in which the rewards differ."""
    _slow: Ranked = field(init=False)
    _disagreeing: Ranked = field(init=False)
    _without_verdict: Ranked = field(init=False)
    _unsure: Ranked = field(init=False)

    def __post_init__(self) -> None:
        self._slow = Ranked(self.shown)
        self._disagreeing = Ranked(self.shown)
        self._without_verdict = Ranked(self.shown)
        self._unsure = Ranked(self.shown)

    def add(self, row: Mapping[str, Any]) -> None:
        """Takes a row of the output in."""
        self.outcomes[row["outcome"]] += 1
        self.cached_count += row["cached"]
        if row["elapsed_s"]:
            self._slow.offer(row["elapsed_s"], row)
        if row["reward"] is not None:
            self.reward_count += 1
            self.reward_sum += row["reward"]
        if row.get("audit_outcome") is not None:
            self.audited_count += 1
        if (disagrees := row.get("disagrees")) is not None:
            self.compared_count += 1
            self.disagreement_count += disagrees
        if disagrees:
            self._disagreeing.offer(0.0, row)
        elif row["outcome"] not in REWARDED_NAMES:
            self._without_verdict.offer(row["elapsed_s"], row)
        elif row["confidence"] is not None and row["confidence"] < 1:
            self._unsure.offer(-row["confidence"], row)

    @property
    def total(self) -> int:
        """All rows."""
        return self.outcomes.total()

    @property
    def slowest(self) -> list[Mapping[str, Any]]:
        """The rows that took longest, the slowest first."""
        return self._slow.rows()

    @property
    def doubtful(self) -> list[tuple[str, Mapping[str, Any]]]:
        """Rows to doubt and why: contradicted, without a verdict, or with low confidence.

        Each of these ways has its turn.
        """
        ways = (
            [(f"the audit says {row['audit_outcome']}", row) for row in self._disagreeing.rows()],
            [("no verdict", row) for row in self._without_verdict.rows()],
            [(f"confidence {row['confidence']:.2f}", row) for row in self._unsure.rows()],
        )
        in_turn = chain.from_iterable(zip_longest(*ways))
        return [entry for entry in in_turn if entry is not None][: self.shown]


def summarise(path: Path, *, shown: int) -> Summary:
    """The summary of a file of verdicts; at most `shown` rows stand out in each way."""
    summary = Summary(shown)
    for row in _rows(path):
        summary.add(row)
    return summary


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    with pq.ParquetFile(path) as file:
        audited = file.schema_arrow.names == AUDITED_SCHEMA.names
        names = [name for name in _COLUMNS if audited or name not in ("audit_outcome", "disagrees")]
        for batch in file.iter_batches(_BATCH_ROWS, columns=names):
            yield from batch.to_pylist()
