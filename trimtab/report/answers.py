"""Samples of a data set's first and last evaluation, side by side."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

_NUM_SHOWN = 4
_MAX_SHOWN_CHARACTERS = 600
_COLUMNS = [
    "prompt_id", "sample_index", "prompt", "response", "references", "outcome", "reward",
    "extracted_answer",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answer:
    """One sample and what the verifiers said."""

    response: str
    outcome: str
    reward: float | None


@dataclass(frozen=True, slots=True)
class AnswerPair:
    """The same problem, the same place in its group, before and after training."""

    prompt: str
    references: str
    before: Answer | None
    after: Answer | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two evaluations of a data set say of single problems."""

    shown: list[AnswerPair] = field(default_factory=list)
    """A few problems, the first ones of the data set: none is picked for its answer."""
    accuracy_before: Mapping[str, float] = field(default_factory=dict)
    """Share of correct samples by problem; greedy ones are left out."""
    accuracy_after: Mapping[str, float] = field(default_factory=dict)
    """The same for the last evaluation; empty if there was one only."""


def compare_answers(before: Path, after: Path | None) -> Comparison:
    """Reads both files; one that is missing tells nothing."""
    first = _read(before)
    last = _read(after) if after is not None else []
    return Comparison(
        shown=_shown(first, last),
        accuracy_before=_accuracy(first),
        accuracy_after=_accuracy(last),
    )


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    rows: list[dict[str, Any]] = pq.read_table(path, columns=_COLUMNS).to_pylist()
    return [row for row in rows if row["sample_index"] >= 0]


def _accuracy(rows: list[dict[str, Any]]) -> dict[str, float]:
    verdicts: dict[str, list[bool]] = defaultdict(list)
    for row in rows:
        verdicts[row["prompt_id"]].append(row["outcome"] == "correct")
    return {name: sum(flags) / len(flags) for name, flags in verdicts.items()}


def _shown(first: list[dict[str, Any]], last: list[dict[str, Any]]) -> list[AnswerPair]:
    columns = [
        {row["prompt_id"]: row for row in rows if row["sample_index"] == 0}
        for rows in (first, last)
    ]
    names = sorted({**columns[0], **columns[1]}, key=lambda name: (len(name), name))
    pairs = []
    for name in names[:_NUM_SHOWN]:
        before, after = (column.get(name) for column in columns)
        known = before or after
        assert known is not None
        pairs.append(
            AnswerPair(
                prompt=_short(known["prompt"]),
                references=" or ".join(known["references"] or []),
                before=_answer(before),
                after=_answer(after),
            )
        )
    return pairs


def _answer(row: Mapping[str, Any] | None) -> Answer | None:
    if row is None:
        return None
    return Answer(_short(row["response"]), row["outcome"], row["reward"])


def _short(text: str) -> str:
    if len(text) <= _MAX_SHOWN_CHARACTERS:
        return text
    return text[:_MAX_SHOWN_CHARACTERS] + "…"
