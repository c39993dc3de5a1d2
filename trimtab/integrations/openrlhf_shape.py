"""OpenRLHF's lists of queries, prompts and labels as items, and verdicts as its reply."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trimtab.client.reward import Item
from trimtab.integrations.labels import metadata_of, references_of
from trimtab.integrations.policy import Verdict

_PROBE_CHARACTERS = 48


def items_of(
    queries: Sequence[str],
    prompts: Sequence[str],
    labels: Sequence[Any],
    *,
    verifier: str,
    end_tokens: Sequence[str],
) -> list[Item]:
    """One item a query. `prompts` and `labels` are as long as `queries`, or empty.

    Raises:
        LabelError: a label is of no kind that holds right answers.
    """
    return [
        Item(
            id=str(index),
            verifier=verifier,
            prompt=prompts[index] if prompts else "",
            response=response_in(query, prompts[index] if prompts else "", end_tokens),
            references=references_of(labels[index]) if labels else (),
            metadata=metadata_of(labels[index]) if labels else {},
        )
        for index, query in enumerate(queries)
    ]


def response_in(query: str, prompt: str, end_tokens: Sequence[str]) -> str:
    """What follows the prompt in a query, without the tokens that end a turn.

    The query may begin inside the prompt, as it does when a long prompt was cut on the left. A
    query that does not hold the prompt is taken whole.
    """
    return _without_end(query[_overlap(prompt, query) :], tuple(end_tokens))


def _overlap(prompt: str, query: str) -> int:
    """Length of the longest end of the prompt that the query begins with."""
    if query.startswith(prompt):
        return len(prompt)
    probe = query[:_PROBE_CHARACTERS]
    start = prompt.find(probe, 1) if len(probe) == _PROBE_CHARACTERS else -1
    while start > 0:
        if query.startswith(prompt[start:]):
            return len(prompt) - start
        start = prompt.find(probe, start + 1)
    return 0


def _without_end(text: str, end_tokens: tuple[str, ...]) -> str:
    while True:
        bare = text.rstrip()
        token = next((token for token in end_tokens if bare.endswith(token)), None)
        if token is None:
            return text
        text = bare[: -len(token)]


def reply_of(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Rewards, scores within [0, 1], and what to log of each sample.

    The logs have the same names for every sample, as the trainer stacks them; none is one of its
    own (`reward`, `score`, ...).
    """
    return {
        "rewards": [verdict.reward for verdict in verdicts],
        "scores": [verdict.score for verdict in verdicts],
        "extra_logs": {
            "invalid": [float(not verdict.is_valid) for verdict in verdicts],
            "no_answer": [float(verdict.outcome == "no_answer") for verdict in verdicts],
        },
    }
