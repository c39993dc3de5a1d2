"""Reward functions for verl, to be named as `custom_reward_function`.

verl wants a number for every response and cannot leave one out. A response that is itself to blame
for having no verdict gets 0, with `invalid` 1 beside it. Anything else ends the training with the
reason, after the patience is over, unless `invalid_score` says which number such a sample gets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trimtab.client.reward import Item
from trimtab.integrations.environment import shared_caller, verifier_for
from trimtab.integrations.labels import LabelError, metadata_of, references_of
from trimtab.integrations.policy import NoVerdict, Verdict, verdicts_of
from trimtab.reward.v1 import reward_pb2


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: Any,
    extra_info: Any = None,  # noqa: ARG001 - verl gives it by name
    *,
    verifiers: Mapping[str, str] | None = None,
    invalid_score: float | None = None,
    **_: Any,
) -> dict[str, Any]:
    """The verdict on one response: `score`, `acc`, `pred`, `outcome`, `invalid`.

    `verifiers` (verl's `reward_kwargs`) names a verifier by data source, as TRIMTAB_VERIFIER does.
    Blocks; threads may call it at once.

    Raises:
        NoVerdict: there is none, and `invalid_score` gives no number for it.
        RemoteError: the server refuses the call, or stays out of reach.
        ValueError: the ground truth holds no right answer.
    """
    item = _item(0, data_source, solution_str, ground_truth, verifiers)
    [score] = _scores(shared_caller().score([item]), invalid_score)
    return score


async def compute_score_async(
    data_source: str,
    solution_str: str,
    ground_truth: Any,
    extra_info: Any = None,  # noqa: ARG001 - verl gives it by name
    *,
    verifiers: Mapping[str, str] | None = None,
    invalid_score: float | None = None,
    **_: Any,
) -> dict[str, Any]:
    """The same as a coroutine function, which spares verl's reward loop a thread a response."""
    item = _item(0, data_source, solution_str, ground_truth, verifiers)
    [score] = _scores(await shared_caller().score_async([item]), invalid_score)
    return score


def compute_score_batch(
    data_sources: Sequence[str],
    solution_strs: Sequence[str],
    ground_truths: Sequence[Any],
    extra_infos: Any = None,  # noqa: ARG001 - verl gives it by name
    *,
    verifiers: Mapping[str, str] | None = None,
    invalid_score: float | None = None,
    **_: Any,
) -> list[dict[str, Any]]:
    """The same for verl's reward manager `batch`: the whole batch in one call."""
    rows = zip(data_sources, solution_strs, ground_truths, strict=True)
    items = [_item(index, *row, verifiers) for index, row in enumerate(rows)]
    return _scores(shared_caller().score(items), invalid_score)


def _item(
    index: int,
    data_source: str,
    response: str,
    ground_truth: Any,
    verifiers: Mapping[str, str] | None,
) -> Item:
    try:
        references, metadata = references_of(ground_truth), metadata_of(ground_truth)
    except LabelError as error:
        raise ValueError(f"ground_truth of {data_source!r}: {error}") from error
    return Item(
        id=str(index),
        verifier=verifier_for(str(data_source), verifiers),
        response=response,
        references=references,
        metadata=metadata,
    )


def _scores(
    results: Sequence[reward_pb2.ScoreResult], invalid_score: float | None
) -> list[dict[str, Any]]:
    verdicts = verdicts_of(
        results,
        on_item_failure="zero",
        on_machinery_failure="error" if invalid_score is None else "null",
    )
    return [
        {
            "score": invalid_score if verdict.reward is None else verdict.reward,
            "acc": _accuracy(verdict),
            "pred": verdict.answer,
            "outcome": verdict.outcome,
            "invalid": float(not verdict.is_valid),
        }
        for verdict in verdicts
    ]


def _accuracy(verdict: Verdict) -> float | None:
    """1 for a right answer, whatever its reward; the reward where there is no right and wrong."""
    is_graded = verdict.outcome == "scored"
    return verdict.reward if is_graded else float(verdict.outcome == "correct")


__all__ = ["NoVerdict", "compute_score", "compute_score_async", "compute_score_batch"]
