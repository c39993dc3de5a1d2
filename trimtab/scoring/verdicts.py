"""What became of a row, and the table that many of them make."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import pyarrow as pa

from trimtab.common.v1 import outcome_pb2
from trimtab.outcomes import REWARDED, outcome_name
from trimtab.reward.v1 import reward_pb2

SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("outcome", pa.string()),
        ("reward", pa.float64()),
        ("extracted_answer", pa.string()),
        ("detail", pa.string()),
        ("cause", pa.string()),
        ("verifier_version", pa.string()),
        ("elapsed_s", pa.float64()),
        ("cached", pa.bool_()),
        ("confidence", pa.float64()),
        ("components", pa.map_(pa.string(), pa.float64())),
    ]
)
"""Columns of the output, in order."""
AUDITED_SCHEMA = pa.schema(
    [
        *SCHEMA,
        ("audit_outcome", pa.string()),
        ("audit_reward", pa.float64()),
        ("audit_detail", pa.string()),
        ("audit_version", pa.string()),
        ("disagrees", pa.bool_()),
    ]
)
"""The same where a second verifier audits; null in the rows that it was not asked about."""
_OUTCOMES: dict[int, str] = {
    number: outcome_name(number) for number in outcome_pb2.Outcome.values()
}
_CAUSES = {
    outcome_pb2.CAUSE_UNSPECIFIED: "",
    outcome_pb2.CAUSE_ITEM: "item",
    outcome_pb2.CAUSE_MACHINERY: "machinery",
}
REWARDED_NAMES = frozenset(_OUTCOMES[number] for number in REWARDED)
"""Outcomes that carry a reward; all others are no verdict."""


class Verdict(NamedTuple):
    """One row of the output; what the contract says of a result."""

    row: int
    outcome: str
    reward: float | None
    extracted_answer: str
    detail: str
    cause: str
    verifier_version: str
    elapsed_s: float
    cached: bool
    confidence: float | None
    components: Sequence[tuple[str, float]]


class Audit(NamedTuple):
    """The audit's columns of a row."""

    audit_outcome: str | None
    audit_reward: float | None
    audit_detail: str | None
    audit_version: str | None
    disagrees: bool | None


NOT_AUDITED = Audit(None, None, None, None, None)


def verdict_of(row: int, result: reward_pb2.ScoreResult) -> Verdict:
    """The verdict that a result, which keeps to the contract, gives on the row."""
    elapsed = result.elapsed
    return Verdict(
        row,
        _OUTCOMES[result.outcome],
        result.reward if result.HasField("reward") else None,
        result.extracted_answer,
        result.detail,
        _CAUSES[result.cause],
        result.verifier_version,
        elapsed.seconds + elapsed.nanos / 1e9,
        result.cached,
        result.confidence if result.HasField("confidence") else None,
        list(result.components.items()),
    )


def audit_of(verdict: Verdict, second: Verdict) -> Audit:
    """What the second opinion makes of the verdict.

    They disagree where both give a reward and the rewards differ; where one gives none, that
    cannot be said.
    """
    disagrees = None
    if verdict.reward is not None and second.reward is not None:
        disagrees = not math.isclose(verdict.reward, second.reward, abs_tol=1e-9)
    return Audit(second.outcome, second.reward, second.detail, second.verifier_version, disagrees)


def table_of(verdicts: Sequence[Verdict], audits: Sequence[Audit] | None = None) -> pa.Table:
    """The verdicts as columns; with the audit's, if there are some."""
    schema = SCHEMA if audits is None else AUDITED_SCHEMA
    columns = [*zip(*verdicts, strict=True)] if verdicts else [()] * len(SCHEMA)
    if audits is not None:
        columns += [*zip(*audits, strict=True)] if audits else [()] * len(Audit._fields)
    arrays = [pa.array(column, kind) for column, kind in zip(columns, schema.types, strict=True)]
    return pa.table(arrays, schema=schema)
