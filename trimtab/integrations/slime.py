"""A reward function for slime and miles: `--custom-rm-path trimtab.integrations.slime.reward`.

Both want a number for every response. One that is itself to blame for having no verdict gets 0;
anything else raises NoVerdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trimtab.client.reward import Item
from trimtab.integrations.environment import shared_caller, verifier_for
from trimtab.integrations.labels import metadata_of, references_of
from trimtab.integrations.policy import verdicts_of


async def reward(args: Any, sample: Any, **_: Any) -> Any:  # noqa: ARG001 - as slime calls it
    """The reward of a sample, or the list of those of a list of samples (`--group-rm`).

    Raises:
        NoVerdict: a response could not be judged.
        RemoteError: the server refuses the call, or stays out of reach.
        LabelError: a label holds no right answer.
    """
    samples = sample if isinstance(sample, Sequence) else [sample]
    items = [_item(index, one) for index, one in enumerate(samples)]
    results = await shared_caller().score_async(items)
    verdicts = verdicts_of(results, on_item_failure="zero", on_machinery_failure="error")
    rewards = [verdict.reward for verdict in verdicts]
    return rewards if isinstance(sample, Sequence) else rewards[0]


def _item(index: int, sample: Any) -> Item:
    metadata = sample.metadata if isinstance(getattr(sample, "metadata", None), dict) else {}
    return Item(
        id=str(index),
        verifier=metadata.get("verifier") or verifier_for("*"),
        prompt=sample.prompt if isinstance(sample.prompt, str) else "",
        response=sample.response,
        references=references_of(sample.label),
        metadata=metadata_of(sample.label),
    )
