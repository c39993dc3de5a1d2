"""Judges recorded samples again and notes what changes."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from trimtab.errors import ConfigError
from trimtab.scoring.pipeline import Judge, judged
from trimtab.scoring.recorded import Sample
from trimtab.scoring.rows import Row
from trimtab.scoring.verdicts import Verdict

_GROUP_ROWS = 8192
_CLOSE = 1e-9  # rewards are sums of weighted parts, whose order may differ


class Rescored(NamedTuple):
    """A row of `rescored/<name>.parquet`."""

    file: str
    step: int
    dataset: str
    prompt_id: str
    sample_index: int
    state: str
    references: Sequence[str]
    outcome_before: str
    outcome: str
    reward_before: float | None
    reward: float | None
    changed: bool
    extracted_answer_before: str
    extracted_answer: str
    detail: str
    components: Sequence[tuple[str, float]]
    verifier_version_before: str
    verifier_version: str
    elapsed_s: float


SCHEMA = pa.schema(
    [
        ("file", pa.string()),
        ("step", pa.int64()),
        ("dataset", pa.string()),
        ("prompt_id", pa.string()),
        ("sample_index", pa.int32()),
        ("state", pa.string()),
        ("references", pa.list_(pa.string())),
        ("outcome_before", pa.string()),
        ("outcome", pa.string()),
        ("reward_before", pa.float64()),
        ("reward", pa.float64()),
        ("changed", pa.bool_()),
        ("extracted_answer_before", pa.string()),
        ("extracted_answer", pa.string()),
        ("detail", pa.string()),
        ("components", pa.map_(pa.string(), pa.float64())),
        ("verifier_version_before", pa.string()),
        ("verifier_version", pa.string()),
        ("elapsed_s", pa.float64()),
    ]
)
"""Columns of `rescored/<name>.parquet`."""


@dataclass(frozen=True, slots=True)
class Replaced:
    """Which part of the recorded reward the new one stands for."""

    names: Sequence[str] = ()
    """Recorded components to look for, in this order; none: the whole reward."""

    def reward(self, sample: Sample) -> float | None:
        """The recorded reward of that part; None if the sample has none."""
        recorded: float | None = sample.values["reward"]
        components = sample.components
        parts = [name for name in components if "/" not in name]
        if recorded is None or len(parts) < 2:
            return recorded
        return next((components[name] for name in self.names if name in components), recorded)


@dataclass(slots=True)
class Means:
    """Mean rewards of the samples of one file."""

    count: int = 0
    changed_count: int = 0
    before: list[float] = field(default_factory=lambda: [0.0, 0.0])
    after: list[float] = field(default_factory=lambda: [0.0, 0.0])

    def add(self, row: Rescored) -> None:
        """Takes a sample in."""
        self.count += 1
        self.changed_count += row.changed
        for sums, reward in ((self.before, row.reward_before), (self.after, row.reward)):
            if reward is not None:
                sums[0] += reward
                sums[1] += 1

    @property
    def mean_before(self) -> float | None:
        """Over the samples that had a reward."""
        return self.before[0] / self.before[1] if self.before[1] else None

    @property
    def mean_after(self) -> float | None:
        """Over the samples that have a reward now."""
        return self.after[0] / self.after[1] if self.after[1] else None


class Changes:
    """What rescoring changed, as a whole."""

    def __init__(self, *, example_count: int) -> None:
        """Keeps `example_count` examples of each transition."""
        self._example_count = example_count
        self.count = 0
        """Samples that were judged again."""
        self.changed_count = 0
        """Those of them whose outcome or reward is another one now."""
        self.transitions: Counter[tuple[str, str]] = Counter()
        """Samples by outcome before and after."""
        self.means: dict[tuple[str, int], Means] = {}
        """By data set, empty for training, and step."""
        self.versions_before: Counter[str] = Counter()
        """Samples by the version that judged them then."""
        self.versions: Counter[str] = Counter()
        """Samples by the version that judged them now."""
        self._examples: dict[tuple[str, str], list[Rescored]] = {}

    def add(self, row: Rescored) -> None:
        """Takes a sample in."""
        self.count += 1
        transition = (row.outcome_before, row.outcome)
        self.transitions[transition] += 1
        self.means.setdefault((row.dataset, row.step), Means()).add(row)
        self.versions_before[row.verifier_version_before] += 1
        self.versions[row.verifier_version] += 1
        if row.changed:
            self.changed_count += 1
            examples = self._examples.setdefault(transition, [])
            if len(examples) < self._example_count:
                examples.append(row)

    @property
    def outcomes(self) -> Counter[str]:
        """Samples by their outcome now."""
        found: Counter[str] = Counter()
        for (_, now), count in self.transitions.items():
            found[now] += count
        return found

    def examples(self) -> list[Rescored]:
        """Changed samples, each transition in its turn."""
        in_turn = zip_longest(*self._examples.values())
        found = [row for turn in in_turn for row in turn if row is not None]
        return found[: self._example_count]


async def rescored(
    recorded: Iterable[Sample],
    judge: Judge,
    replaced: Replaced,
    *,
    batch: int,
    in_flight: int,
) -> AsyncGenerator[list[Rescored], None]:
    """Every sample with its old and its new verdict, in order, batch by batch.

    Raises:
        ConfigError: a file cannot be read.
        RemoteError: the server stays out of reach.
    """
    waiting: deque[Sample] = deque()

    def rows() -> Iterator[Row]:
        for number, sample in enumerate(recorded):
            waiting.append(sample)
            yield sample.row(number)

    batches = judged(rows(), judge, batch=batch, in_flight=in_flight)
    async with aclosing(batches):
        async for found in batches:
            yield [_compared(waiting.popleft(), new, replaced) for new in found.verdicts]


def _compared(sample: Sample, verdict: Verdict, replaced: Replaced) -> Rescored:
    values = sample.values
    reward_before = replaced.reward(sample)
    same = values["outcome"] == verdict.outcome and _same(reward_before, verdict.reward)
    return Rescored(
        file=sample.file.name,
        step=sample.file.step,
        dataset=sample.file.dataset,
        prompt_id=values["prompt_id"],
        sample_index=values["sample_index"],
        state=values["state"],
        references=values["references"] or (),
        outcome_before=values["outcome"] or "",
        outcome=verdict.outcome,
        reward_before=reward_before,
        reward=verdict.reward,
        changed=not same,
        extracted_answer_before=values["extracted_answer"] or "",
        extracted_answer=verdict.extracted_answer,
        detail=verdict.detail,
        components=verdict.components,
        verifier_version_before=values["verifier_version"] or "",
        verifier_version=verdict.verifier_version,
        elapsed_s=verdict.elapsed_s,
    )


def _same(before: float | None, after: float | None) -> bool:
    if before is None or after is None:
        return before is after
    return abs(before - after) <= _CLOSE * max(1.0, abs(before))


class RescoredWriter:
    """A file of rescored samples that appears when the `with` block ends without an error."""

    def __init__(self, path: Path) -> None:
        """Nothing is created yet."""
        self._path = path
        self._temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        self._writer: Any = None
        self._rows: list[Rescored] = []

    def write(self, rows: Sequence[Rescored]) -> None:
        """Adds rows."""
        self._rows += rows
        if len(self._rows) >= _GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        columns = [*zip(*self._rows, strict=True)] if self._rows else [()] * len(SCHEMA)
        arrays = [
            pa.array(column, kind) for column, kind in zip(columns, SCHEMA.types, strict=True)
        ]
        self._writer.write_table(pa.table(arrays, schema=SCHEMA))
        self._rows.clear()

    def __enter__(self) -> RescoredWriter:
        """Creates a file beside the one that is meant.

        Raises:
            ConfigError: it cannot be created.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = pq.ParquetWriter(self._temporary, SCHEMA, compression="zstd")
        except OSError as error:
            raise ConfigError(f"{self._path} cannot be written: {error.strerror}") from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._flush()
            self._writer.close()
            if kind is None:
                self._temporary.replace(self._path)
        finally:
            self._temporary.unlink(missing_ok=True)
