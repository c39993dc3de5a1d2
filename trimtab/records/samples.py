"""One row a sample: everything that is known of it, in parquet."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from trimtab.records.files import write_atomically

_SPAN = pa.struct(
    [
        ("first_token", pa.int32()),
        ("lineage", pa.string()),
        ("version", pa.int64()),
        ("digest", pa.string()),
    ]
)
SCHEMA = pa.schema(
    [
        ("step", pa.int64()),
        ("prompt_id", pa.string()),
        ("sample_index", pa.int32()),
        ("state", pa.string()),
        ("drop_reason", pa.string()),
        ("prompt", pa.string()),
        ("response", pa.string()),
        ("references", pa.list_(pa.string())),
        ("prompt_token_ids", pa.list_(pa.int32())),
        ("token_ids", pa.list_(pa.int32())),
        ("finish_reason", pa.string()),
        ("logprobs", pa.list_(pa.float32())),
        ("entropies", pa.list_(pa.float32())),
        ("entropy_kind", pa.string()),
        ("token_weights", pa.list_(pa.float32())),
        ("advantage", pa.float32()),
        ("outcome", pa.string()),
        ("reward", pa.float64()),
        ("components", pa.map_(pa.string(), pa.float64())),
        ("extracted_answer", pa.string()),
        ("detail", pa.string()),
        ("verifier_version", pa.string()),
        ("weights_spans", pa.list_(_SPAN)),
        ("waiting_s", pa.float64()),
        ("generating_s", pa.float64()),
        ("scoring_s", pa.float64()),
    ]
)
"""Columns of `samples/step-*.parquet` and of `eval/*.parquet`."""


@dataclass(slots=True, kw_only=True)
class SampleRecord:
    """A row. Per-token lists are as long as `token_ids`, or empty."""

    step: int
    """Training step; for an evaluation, the step after which it was done."""
    prompt_id: str
    """Names the prompt within the step."""
    sample_index: int
    """Which sample of the prompt; -1 is the greedy one of an evaluation."""
    state: str = "trained"
    """"trained", "dropped" or "evaluated"."""
    drop_reason: str = ""
    """Why it was dropped, as "too_few_valid" or an invalid outcome."""
    prompt: str = ""
    """The prompt as text."""
    response: str = ""
    """The sample's text."""
    references: Sequence[str] = ()
    """The right answers."""
    prompt_token_ids: Sequence[int] = ()
    """The prompt's tokens."""
    token_ids: Sequence[int] = ()
    """The sample's tokens."""
    finish_reason: str = ""
    """"eos", "stop", "length" or "aborted"."""
    logprobs: Sequence[float] = ()
    """Log-probability of each token when it was drawn, in nats."""
    entropies: Sequence[float] = ()
    """Entropy at each token when it was drawn, in nats."""
    entropy_kind: str = ""
    """"exact", "lower_bound" or "absent"."""
    token_weights: Sequence[float] = ()
    """Weight of each token's loss, of the last pass over the sample."""
    advantage: float | None = None
    """Advantage against the group; None if the sample was not trained."""
    outcome: str = ""
    """What the verifiers said, as "correct"."""
    reward: float | None = None
    """The reward; None if the sample is invalid."""
    components: Mapping[str, float] = field(default_factory=dict)
    """The reward's parts by verifier."""
    extracted_answer: str = ""
    """The answer that was found."""
    detail: str = ""
    """Why this outcome."""
    verifier_version: str = ""
    """Which verifiers judged."""
    weights_spans: Sequence[Mapping[str, Any]] = ()
    """Which weights drew which tokens: first_token, lineage, version, digest."""
    waiting_s: float = 0.0
    """Time before the first token, in seconds."""
    generating_s: float = 0.0
    """Time from the first to the last token, in seconds."""
    scoring_s: float = 0.0
    """Time that the slowest verifier took, in seconds."""


def write_samples(path: Path, records: Sequence[SampleRecord]) -> None:
    """Writes the rows; the file is either whole or not there."""
    columns: dict[str, list[Any]] = {}
    for column in fields(SampleRecord):
        values = [getattr(record, column.name) for record in records]
        columns[column.name] = (
            [list(value.items()) for value in values] if column.name == "components" else values
        )
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns, schema=SCHEMA), buffer, compression="zstd")
    write_atomically(path, buffer.getvalue())


def read_samples(path: Path) -> list[dict[str, Any]]:
    """The rows as dictionaries."""
    rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return rows
